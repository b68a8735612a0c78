// Bytes that are needed again soon, and that may be more than memory holds.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

namespace crossweep::io {

/// A temporary file that is appended to and then read. Up to `buffer_bytes` it exists in memory only; what is
/// on the disk goes with its owner.
class ScratchFile {
  public:
    ScratchFile(std::filesystem::path path, std::size_t buffer_bytes);
    ~ScratchFile();
    ScratchFile(ScratchFile&& other) noexcept;
    ScratchFile& operator=(ScratchFile&&) = delete;

    std::size_t size() const { return written_ + buffer_.size(); }
    /// Throws DataError (disk full, not writable); makes the folder of the file if there is none.
    void append(std::span<const std::byte> bytes);
    /// Bytes from `first` on. Throws DataError.
    std::vector<std::byte> read(std::size_t first, std::size_t count);
    /// All bytes, which are then no longer here.
    std::vector<std::byte> take();

  private:
    void flush();

    std::filesystem::path path_;
    std::size_t buffer_bytes_, written_ = 0;
    std::vector<std::byte> buffer_;
};

}  // namespace crossweep::io
