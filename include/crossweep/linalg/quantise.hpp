// Symmetric uniform quantisation of inputs, and the largest magnitudes that set scales.
#pragma once

#include <cstdint>
#include <span>

#include "crossweep/linalg/matrix.hpp"

namespace crossweep::linalg {

/// Largest |x|; 0 for nothing, and not a number if any element is none.
float largest_magnitude(std::span<const float> x);
float largest_magnitude(const ConstMatrixView& x);

/// code = round(x / step), y = code step, with step = largest / (2^(bits-1) - 1), which is returned; a
/// largest of 0 gives 0.
float quantise(std::span<const float> x, float largest, std::uint32_t bits, std::span<float> code,
               std::span<float> y);

}  // namespace crossweep::linalg
