#include "crossweep/linalg/quantise.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"
#include "crossweep/core/rounding.hpp"

namespace crossweep::linalg {
namespace {

CROSSWEEP_MULTIVERSION
float largest_kernel(const float* x, std::size_t count) {
    // Magnitudes of floats are ordered as their bits are; unlike floats, integers may be compared in any
    // order, which is what lets the compiler use vectors.
    std::uint32_t largest = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(x[i]) & 0x7fffffffU;
        largest = magnitude > largest ? magnitude : largest;
    }
    return std::bit_cast<float>(largest);
}

CROSSWEEP_MULTIVERSION
void code_kernel(const float* __restrict x, float inverse_step, float* __restrict code, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) code[i] = (x[i] * inverse_step + rounding_shift) - rounding_shift;
}

CROSSWEEP_MULTIVERSION
void value_kernel(const float* __restrict x, float inverse_step, float step, float* __restrict y,
                  std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        y[i] = ((x[i] * inverse_step + rounding_shift) - rounding_shift) * step;
}

CROSSWEEP_MULTIVERSION
void word_kernel(const float* __restrict code, std::int16_t* __restrict word, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        word[i] = static_cast<std::int16_t>(static_cast<std::int32_t>(code[i]));
}

}  // namespace

float largest_magnitude(std::span<const float> x) {
    return largest_kernel(x.data(), x.size());
}

float largest_magnitude(const ConstMatrixView& x) {
    // By their bits, as in the kernel: what is not a number counts as the largest and is not lost.
    std::uint32_t largest = 0;
    for (Eigen::Index row = 0; row < x.rows(); ++row) {
        largest = std::max(largest, std::bit_cast<std::uint32_t>(largest_magnitude(row_of(x, row))));
    }
    return std::bit_cast<float>(largest);
}

void Quantiser::to_codes(std::span<const float> x, std::span<float> code) const {
    CROSSWEEP_EXPECT(x.size() == code.size());
    code_kernel(x.data(), inverse_step_, code.data(), x.size());
}

void Quantiser::to_values(std::span<const float> x, std::span<float> y) const {
    CROSSWEEP_EXPECT(x.size() == y.size());
    value_kernel(x.data(), inverse_step_, step_, y.data(), x.size());
}

void to_words(std::span<const float> codes, std::span<std::int16_t> words) {
    CROSSWEEP_EXPECT(codes.size() == words.size());
    word_kernel(codes.data(), words.data(), codes.size());
}

}  // namespace crossweep::linalg
