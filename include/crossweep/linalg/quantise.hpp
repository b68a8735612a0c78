// Symmetric uniform quantisation of inputs, and the largest magnitudes that set scales.
#pragma once

#include <cstdint>
#include <span>

#include "crossweep/linalg/matrix.hpp"

namespace crossweep::linalg {

/// Largest |x|; 0 for nothing, and not a number if any element is none.
float largest_magnitude(std::span<const float> x);
float largest_magnitude(const ConstMatrixView& x);

/// Codes and values of inputs whose largest magnitude is known: code = round(x / step), y = code step, with
/// step = largest / (2^(bits-1) - 1); a largest of 0 gives 0.
class Quantiser {
  public:
    /// `bits` from 2 to 16.
    Quantiser(float largest, std::uint32_t bits);
    float step() const;
    void to_codes(std::span<const float> x, std::span<float> code) const;
    void to_values(std::span<const float> x, std::span<float> y) const;

  private:
    float inverse_step() const;
    float largest_, codes_;
};

}  // namespace crossweep::linalg
