// Symmetric uniform quantisation of inputs, and the largest magnitudes that set scales.
#pragma once

#include <cstdint>
#include <span>

#include "crossweep/linalg/matrix.hpp"

namespace crossweep::linalg {

/// Largest |x|; 0 for nothing.
float largest_magnitude(std::span<const float> x);
float largest_magnitude(const ConstMatrixView& x);

/// y = round(x / step) step with step = largest / (2^(bits-1) - 1); a largest of 0 gives 0. x and y may be
/// the same.
void quantise(std::span<const float> x, float largest, std::uint32_t bits, std::span<float> y);

}  // namespace crossweep::linalg
