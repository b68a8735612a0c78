// Safetensors files: a length, a JSON header, raw little-endian tensors. Mapped, checked whole, read as fp32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "crossweep/core/content_hash.hpp"
#include "crossweep/core/shared_bytes.hpp"

namespace crossweep::io {

/// One tensor as the header describes it.
struct TensorInfo {
    std::string dtype;                ///< F32, F16, BF16, or a type that `floats` refuses
    std::vector<std::int64_t> shape;  ///< row-major
    std::size_t begin = 0, end = 0;   ///< bytes within the data section

    std::int64_t elements() const;
};

/// An open safetensors file.
class Safetensors {
  public:
    /// Map and check the file: header length, JSON, types, shapes against byte ranges, ranges inside the file
    /// and disjoint. Throws DataError listing every problem at once.
    explicit Safetensors(const std::filesystem::path& path);
    /// The same for the bytes of such a file, aligned as a mapping is; `path` only names them in messages.
    Safetensors(const std::filesystem::path& path, SharedBytes contents);

    const std::filesystem::path& path() const { return path_; }
    const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }
    const std::map<std::string, std::string>& metadata() const { return metadata_; }

    /// The elements of `name` as fp32, row-major. F32 is a view of the mapping (shared by the ranks of a
    /// node); F16, BF16 and F32 that is not aligned to 4 bytes are converted once, on first use, and kept.
    /// Call it from one thread at a time. Throws DataError if absent or of another type.
    std::span<const float> floats(const std::string& name) const;

    /// Hash of the whole file.
    ContentHash content_hash() const;

  private:
    std::filesystem::path path_;
    SharedBytes contents_;
    std::size_t data_start_ = 0;
    std::map<std::string, TensorInfo> tensors_;
    std::map<std::string, std::string> metadata_;
    mutable std::map<std::string, std::vector<float>> converted_;
};

}  // namespace crossweep::io
