// Memory that one process fills and others of its node map read-only. It has a name only until all have
// mapped it, which is before it is filled: nothing is left behind if the processes are killed later.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace crossweep::comm {

/// Where other processes of the node find a memory; sent between them as it is.
struct MemoryAddress {
    std::array<char, 64> path{};          ///< ends with zero; empty: nowhere
    std::uint64_t device = 0, inode = 0;  ///< tells it from what another container has under this path
};

class NodeMemory {
  public:
    ~NodeMemory();
    NodeMemory(const NodeMemory&) = delete;
    NodeMemory& operator=(const NodeMemory&) = delete;

    // Each gives null where the system refuses.
    static std::shared_ptr<NodeMemory> for_others(std::size_t size);
    static std::shared_ptr<NodeMemory> of_another(const MemoryAddress& address, std::size_t size);
    static std::shared_ptr<NodeMemory> for_oneself(std::size_t size);

    /// Of memory that is for_others, until it is closed.
    const MemoryAddress& address() const { return address_; }
    std::span<std::byte> bytes() { return bytes_; }
    /// Let no more processes find the memory; those that have mapped it keep it.
    void close();
    void make_read_only();

  private:
    NodeMemory() = default;
    static std::shared_ptr<NodeMemory> map(std::size_t size, int protection, int flags, int descriptor);

    std::span<std::byte> bytes_;
    MemoryAddress address_;
    int descriptor_ = -1;
    bool named_ = false;  ///< in a file system
};

}  // namespace crossweep::comm
