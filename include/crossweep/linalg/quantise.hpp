// Symmetric uniform quantisation of inputs, and the largest magnitudes that set scales.
#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "crossweep/core/error.hpp"
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
    Quantiser(float largest, std::uint32_t bits) {
        CROSSWEEP_EXPECT(bits >= 2 && bits <= 16);
        const auto codes = static_cast<float>((1U << (bits - 1)) - 1);
        step_ = largest / codes;
        // A step below the smallest normal number has no finite inverse: such inputs count as 0.
        inverse_step_ = step_ < std::numeric_limits<float>::min() ? 0.0F : codes / largest;
    }
    float step() const { return step_; }
    void to_codes(std::span<const float> x, std::span<float> code) const;
    void to_values(std::span<const float> x, std::span<float> y) const;

  private:
    float step_, inverse_step_;
};

/// Codes, whole numbers that fit, as words.
void to_words(std::span<const float> codes, std::span<std::int16_t> words);

}  // namespace crossweep::linalg
