// A file mapped read-only, so that all ranks of a node share its pages.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace crossweep::io {

/// Throws DataError if the file cannot be opened or mapped.
class MappedFile {
  public:
    explicit MappedFile(const std::filesystem::path& path);
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    std::span<const std::byte> bytes() const { return bytes_; }

  private:
    std::span<const std::byte> bytes_;
};

}  // namespace crossweep::io
