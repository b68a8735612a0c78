// Standard normal numbers from Philox4x32-10, vectorised, the same bits on every instruction set.
#pragma once

#include <span>

#include "crossweep/core/noise_stream.hpp"

namespace crossweep::linalg {

/// Fill `out` with the normals of one row of draws: element e comes from the Philox block 16 (e / 64) + e %
/// 16, word pair (e % 64) / 32, through Box and Muller's transform (cosine for the first sixteen of a pair,
/// sine for the rest). A shorter row is a prefix of a longer one. Radius resolution 2^-24 (largest |z| 5.9),
/// angle resolution 2^-32.
void fill_normal(StreamKey key, DrawIdentity row, std::span<float> out);

/// The elements from `first` on, a multiple of `normal_group`.
inline constexpr std::size_t normal_group = 64;
void fill_normal(StreamKey key, DrawIdentity row, std::size_t first, std::span<float> out);

/// The same numbers through Random123 and the C library, one at a time; differs by rounding only.
void fill_normal_reference(StreamKey key, DrawIdentity row, std::span<float> out);

}  // namespace crossweep::linalg
