// Labelled images as bytes, from IDX files (gzip or plain) or from HDF5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crossweep/core/content_hash.hpp"
#include "crossweep/core/shared_bytes.hpp"

namespace crossweep::io {

/// Images [count, height, width, channels], uint8, with one label each.
struct ImageSet {
    std::size_t count = 0, height = 0, width = 0, channels = 0;
    SharedBytes pixels;                ///< of the images held, one after the other
    std::vector<std::uint32_t> held;   ///< the images whose pixels are here, ascending; empty: all
    std::optional<ContentHash> whole;  ///< content hash of the set that this was taken from, if it was
    std::vector<std::int32_t> labels;
    std::vector<double> mean,
        std;  ///< per channel, of pixels scaled to [0, 1]; empty if the file does not say

    std::size_t image_bytes() const { return height * width * channels; }
    /// Throws InternalError if the pixels of this image are not held.
    std::span<const std::uint8_t> image(std::size_t index) const;
    /// Hash of shape, pixels, labels and normalisation, of all images.
    ContentHash content_hash() const;
    /// The same set, numbers and hash with copies of the pixels of `images` alone, which ascend.
    ImageSet holding(std::vector<std::uint32_t> images) const;
};

/// Read IDX images and labels (MNIST layout; gzip or plain). Throws DataError: not IDX, truncated, counts
/// differ.
ImageSet read_idx(const std::filesystem::path& images, const std::filesystem::path& labels);

/// Read HDF5 with `images` uint8 [n, h, w, c], `labels` integer [n], and attributes `mean`, `std` on `images`
/// (optional). Throws DataError naming the file and what is wrong.
ImageSet read_hdf5_images(const std::filesystem::path& path);

/// Read whichever format `images` has, by its first bytes; `labels` is used with IDX only.
ImageSet read_images(const std::filesystem::path& images, const std::filesystem::path& labels);

}  // namespace crossweep::io
