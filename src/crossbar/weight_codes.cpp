#include "crossweep/crossbar/weight_codes.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <span>

#include "crossweep/core/multiversion.hpp"
#include "crossweep/linalg/quantise.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::const_view;
using linalg::Matrix;
using linalg::row_of;

constexpr Index largest_code = std::numeric_limits<std::int16_t>::max();

CROSSWEEP_MULTIVERSION
void sign_kernel(const float* __restrict code, const float* __restrict wanted,
                 std::int16_t* __restrict signed_code, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const auto magnitude = static_cast<std::int16_t>(static_cast<std::int32_t>(code[i]));
        signed_code[i] = static_cast<std::int16_t>(wanted[i] < 0.0F ? -magnitude : magnitude);
    }
}

bool is_uniform(std::span<const float> values) {
    return std::all_of(values.begin(), values.end(), [&](float v) { return v == values.front(); });
}

/// Bits, with the sign, of the finest codes of one output's weights whose magnitudes add up to `largest_sum`
/// at most.
std::uint32_t finest_bits(const Eigen::Ref<const Eigen::RowVectorXf>& weights, float largest,
                          Index largest_sum) {
    if (largest == 0) return 16;
    // Rounding adds half a code to each, and the sum in fp32 is good to far better than a thousandth.
    const double room = static_cast<double>(largest_sum) - 0.5 * static_cast<double>(weights.size());
    const double share = static_cast<double>(weights.lpNorm<1>()) * 1.001 / static_cast<double>(largest);
    const double most = std::clamp(room / share, 0.0, static_cast<double>(largest_code));
    return static_cast<std::uint32_t>(std::bit_width(static_cast<std::uint32_t>(most) + 1));
}

/// How the weights of one output are rounded; nothing if they are not finite or have no room.
std::optional<linalg::Quantiser> quantiser_of(const Matrix& weights, Index row, Index largest_sum) {
    const float largest = linalg::largest_magnitude(row_of(const_view(weights), row));
    if (!std::isfinite(largest)) return std::nullopt;
    const std::uint32_t bits = finest_bits(weights.row(row), largest, largest_sum);
    if (bits < 2) return std::nullopt;
    return linalg::Quantiser(largest, bits);
}

}  // namespace

Index largest_code_sum(Orientation orientation, std::int32_t largest_input) {
    if (largest_input == 0 || orientation != Orientation::outputs_by_inputs) return 0;
    return std::numeric_limits<std::int32_t>::max() / largest_input;
}

std::optional<WeightCodes> exact_codes(const MappedOperand& mapped, const Cells& cells, Index largest_sum) {
    const Index rows = mapped.code.rows(), columns = mapped.code.cols();
    const bool continuous = mapped.full_code == 1;
    const float largest = static_cast<float>(std::min(largest_sum / columns, largest_code));
    if (!cells.are_perfect() || continuous || mapped.full_code > largest) return std::nullopt;
    for (Index row = 0; row < rows; row += mapped.rows_per_scale)
        if (!is_uniform(mapped.scale_of_row(row))) return std::nullopt;

    WeightCodes codes;
    codes.packed.shape(rows, columns);
    std::vector<std::int16_t> words(static_cast<std::size_t>(columns));
    for (Index row = 0; row < rows; ++row) {
        sign_kernel(row_of(const_view(mapped.code), row).data(), row_of(mapped.wanted, row).data(),
                    words.data(), words.size());
        codes.packed.set_output(row, words);
        codes.steps.push_back(mapped.scale_of_row(row).front() / mapped.full_code);
    }
    return codes;
}

std::optional<WeightCodes> rounded_codes(const Matrix& weights, const Matrix& squared_amplitudes, float sigma,
                                         Index largest_sum, double rounding) {
    const Index rows = weights.rows(), columns = weights.cols();
    std::vector<linalg::Quantiser> quantisers;
    for (Index row = 0; row < rows; ++row) {
        const auto quantiser = quantiser_of(weights, row, largest_sum);
        if (!quantiser) return std::nullopt;
        // Rounding errors are spread evenly over a step.
        const double error = std::pow(static_cast<double>(quantiser->step()), 2) / 12;
        const double noise =
            std::pow(static_cast<double>(sigma), 2) * static_cast<double>(squared_amplitudes.row(row).mean());
        if (!std::isfinite(noise) || error > rounding * rounding * noise) return std::nullopt;
        quantisers.push_back(*quantiser);
    }
    WeightCodes codes;
    codes.packed.shape(rows, columns);
    Matrix code(1, columns);
    std::vector<std::int16_t> words(static_cast<std::size_t>(columns));
    for (Index row = 0; row < rows; ++row) {
        const linalg::Quantiser& quantiser = quantisers[static_cast<std::size_t>(row)];
        quantiser.to_codes(row_of(const_view(weights), row), row_of(code, 0));
        linalg::to_words(row_of(const_view(code), 0), words);
        codes.packed.set_output(row, words);
        codes.steps.push_back(quantiser.step());
    }
    return codes;
}

}  // namespace crossweep::crossbar
