#include "crossweep/linalg/quantise.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"

namespace crossweep::linalg {
namespace {

CROSSWEEP_MULTIVERSION
float largest_kernel(const float* x, std::size_t count) {
    // Sixteen running maxima: the compiler may not reorder a single one.
    float lanes[16] = {};
    std::size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        for (std::size_t lane = 0; lane < 16; ++lane) {
            const float magnitude = std::fabs(x[i + lane]);
            lanes[lane] = magnitude > lanes[lane] ? magnitude : lanes[lane];
        }
    }
    float largest = 0;
    for (; i < count; ++i) largest = std::max(largest, std::fabs(x[i]));
    for (const float lane : lanes) largest = std::max(largest, lane);
    return largest;
}

CROSSWEEP_MULTIVERSION
void quantise_kernel(const float* x, float inverse_step, float step, float* y, std::size_t count) {
    // Adding and subtracting 1.5 * 2^23 rounds to the nearest integer, ties to even, for |x| < 2^22.
    constexpr float magic = 12582912.0F;
    for (std::size_t i = 0; i < count; ++i) y[i] = ((x[i] * inverse_step + magic) - magic) * step;
}

}  // namespace

float largest_magnitude(std::span<const float> x) { return largest_kernel(x.data(), x.size()); }

float largest_magnitude(const ConstMatrixView& x) {
    float largest = 0;
    for (Eigen::Index row = 0; row < x.rows(); ++row) {
        largest = std::max(largest, largest_magnitude(row_of(x, row)));
    }
    return largest;
}

void quantise(std::span<const float> x, float largest, std::uint32_t bits, std::span<float> y) {
    CROSSWEEP_EXPECT(x.size() == y.size() && bits >= 2 && bits <= 16);
    const float codes = static_cast<float>((1U << (bits - 1)) - 1);
    const float inverse_step = largest > 0 ? codes / largest : 0.0F;
    quantise_kernel(x.data(), inverse_step, largest / codes, y.data(), x.size());
}

}  // namespace crossweep::linalg
