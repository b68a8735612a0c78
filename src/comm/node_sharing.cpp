#include "node_sharing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "crossweep/core/error.hpp"
#include "node_memory.hpp"

namespace crossweep::comm {
namespace {

/// A communicator of some of the ranks; none on a rank that is not one of them.
class Group {
  public:
    /// The ranks whose memory this rank can map.
    static Group of_my_node(MPI_Comm world, const Sharing& sharing) {
        int rank = 0;
        MPI_Comm_rank(world, &rank);
        Group node;
        MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node.comm_);
        if (sharing.ranks_per_node == 0) return node;
        Group part;
        MPI_Comm_split(node.comm_, rank / sharing.ranks_per_node, rank, &part.comm_);
        return part;
    }

    static Group that(MPI_Comm world, bool belongs) {
        int rank = 0;
        MPI_Comm_rank(world, &rank);
        Group ranks;
        MPI_Comm_split(world, belongs ? 0 : MPI_UNDEFINED, rank, &ranks.comm_);
        return ranks;
    }

    ~Group() {
        if (comm_ != MPI_COMM_NULL) MPI_Comm_free(&comm_);
    }
    Group(Group&& other) noexcept : comm_(std::exchange(other.comm_, MPI_COMM_NULL)) {}
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

    MPI_Comm comm() const { return comm_; }
    bool am_first() const {
        int rank = 0;
        MPI_Comm_rank(comm_, &rank);
        return rank == 0;
    }

  private:
    Group() = default;
    MPI_Comm comm_ = MPI_COMM_NULL;
};

bool true_on_all(MPI_Comm comm, bool mine) {
    int value = mine ? 1 : 0;
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, MPI_MIN, comm);
    return value != 0;
}

int count_true(MPI_Comm comm, bool mine) {
    int value = mine ? 1 : 0;
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, MPI_SUM, comm);
    return value;
}

/// Where the parts stand in one memory.
struct Layout {
    std::vector<std::uint64_t> sizes;
    std::vector<std::size_t> offsets;
    std::size_t total = 0;
};

/// The layout of rank 0's parts, on all ranks.
Layout agree_on_layout(MPI_Comm world, const std::vector<SharedBytes>& parts) {
    constexpr std::size_t alignment =
        4096;  // as good as that of a mapped file, which readers of floats count on
    std::uint64_t count = parts.size();
    MPI_Bcast(&count, 1, MPI_UINT64_T, 0, world);
    Layout layout;
    for (const SharedBytes& part : parts) layout.sizes.push_back(part.bytes.size());
    layout.sizes.resize(count);
    MPI_Bcast(layout.sizes.data(), static_cast<int>(count), MPI_UINT64_T, 0, world);
    for (const std::uint64_t size : layout.sizes) {
        layout.offsets.push_back(layout.total);
        layout.total += (size + alignment - 1) / alignment * alignment;
    }
    return layout;
}

/// This rank's view of the memory, and whether the bytes must be sent to it.
struct Place {
    std::shared_ptr<NodeMemory> memory;
    bool holds_copy = false;
};

/// One memory for the node; one for every rank of it if any of them cannot map the first one's.
Place make_place(const Group& node, std::size_t size) {
    Place place{nullptr, node.am_first()};
    MemoryAddress address;
    if (place.holds_copy) place.memory = NodeMemory::for_others(size);
    if (place.memory) address = place.memory->address();
    MPI_Bcast(&address, sizeof address, MPI_BYTE, 0, node.comm());
    if (!place.holds_copy) place.memory = NodeMemory::of_another(address, size);
    if (!true_on_all(node.comm(), place.memory != nullptr)) place = {NodeMemory::for_oneself(size), true};
    if (place.memory) place.memory->close();  // all have mapped it
    return place;
}

/// Fill the memories of the ranks that hold copies; the first of them is rank 0.
void broadcast(const Group& holders, const std::vector<SharedBytes>& parts, const Layout& layout,
               std::span<std::byte> memory, std::size_t piece_bytes) {
    const bool sends = holders.am_first();
    for (std::size_t part = 0; part < layout.sizes.size(); ++part) {
        for (std::size_t at = 0; at < layout.sizes[part]; at += piece_bytes) {
            const auto piece =
                memory.subspan(layout.offsets[part] + at, std::min(piece_bytes, layout.sizes[part] - at));
            if (sends) std::memcpy(piece.data(), parts[part].bytes.data() + at, piece.size());
            MPI_Bcast(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, 0, holders.comm());
        }
    }
}

}  // namespace

SharedParts share_over(MPI_Comm world, const std::vector<SharedBytes>& parts, const Sharing& sharing) {
    const Layout layout = agree_on_layout(world, parts);
    SharedParts shared;
    shared.parts.resize(layout.sizes.size());
    if (layout.total == 0) return shared;

    const Group node = Group::of_my_node(world, sharing);
    const Place place = make_place(node, layout.total);
    // All or none: a rank that left here would leave the others waiting for it.
    if (!true_on_all(world, place.memory != nullptr)) {
        throw DataError(
            fmt::format("the weights and images of the study take {} MiB on every node, and one has no room. "
                        "Use nodes with "
                        "more memory, or fewer models and images.",
                        layout.total >> 20));
    }
    shared.copies = count_true(world, place.holds_copy);
    shared.nodes = count_true(world, node.am_first());
    {
        const Group holders = Group::that(world, place.holds_copy);
        if (place.holds_copy) {
            broadcast(holders, parts, layout, place.memory->bytes(), sharing.piece_bytes);
            place.memory->make_read_only();
        }
    }
    MPI_Barrier(node.comm());  // before it, the others would read what is not yet written
    for (std::size_t part = 0; part < layout.sizes.size(); ++part) {
        shared.parts[part] = {place.memory->bytes().subspan(layout.offsets[part], layout.sizes[part]),
                              place.memory};
    }
    return shared;
}

}  // namespace crossweep::comm
