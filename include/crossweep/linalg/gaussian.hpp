// Standard normal numbers from Philox4x32-10, vectorised, the same bits on every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "crossweep/core/noise_stream.hpp"

namespace crossweep::linalg {

/// Fill `out` with the normals of one row of draws: element e is the normal of word (e % 64) / 16 of the
/// Philox block 16 (e / 64) + e % 16. A shorter row is a prefix of a longer one.
///
/// A word, read as a signed number w, gives the number of w's sign whose size is the normal quantile of
/// |w| / 2^32 (0 is read as 2; largest size 6.23), to within `normal_error` by a polynomial per octave of |w|
/// (analysis/fit_normal_quantile.py).
void fill_normal(StreamKey key, DrawIdentity row, std::span<float> out);

/// The elements from `first` on, a multiple of `normal_group`.
inline constexpr std::size_t normal_group = 64;
void fill_normal(StreamKey key, DrawIdentity row, std::size_t first, std::span<float> out);

/// The words that those normals come from.
void fill_words(StreamKey key, DrawIdentity row, std::size_t first, std::span<std::uint32_t> out);

/// The largest distance of a normal from the quantile of its word: 6e-7 of the polynomials, the rest
/// rounding.
inline constexpr double normal_error = 1e-6;

/// The normals of given words, by the code that fill_normal runs.
void turn_words_into_normals(std::span<const std::uint32_t, normal_group> words,
                             std::span<float, normal_group> out);

/// The normal of a word by Boost's inverse of erfc, in double precision.
double normal_reference(std::uint32_t word);

/// The numbers of fill_normal through Random123 and `normal_reference`, one at a time.
void fill_normal_reference(StreamKey key, DrawIdentity row, std::span<float> out);

}  // namespace crossweep::linalg
