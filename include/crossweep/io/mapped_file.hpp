// A file mapped read-only, so that all ranks of a node share its pages.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "crossweep/core/shared_bytes.hpp"

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

/// The bytes of a file, mapped as long as the result or a copy of it lives. Throws as MappedFile does.
SharedBytes map_file(const std::filesystem::path& path);

}  // namespace crossweep::io
