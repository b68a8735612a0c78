#include "crossweep/crossbar/read_variance.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"
#include "crossweep/linalg/quantise.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::row_of;

// One below the largest byte: a threshold just below 1 may round up.
constexpr float largest_energy = 254, largest_amplitude = 126;

/// Thresholds are multiples of an irrational number modulo 1 (Weyl), as 32-bit fractions: of the golden ratio
/// along the inputs of energies, and of the plastic number's first two powers along the inputs and outputs of
/// amplitudes (the R2 sequence), so that the two patterns have nothing in common.
constexpr std::uint32_t energy_pitch = 0x9e3779b9U, input_pitch = 0xc13fa9a9U, output_pitch = 0x91e10da5U;

template <class Byte>
[[gnu::always_inline]] inline Byte round_at(float value, std::uint32_t threshold) {
    const float fraction = static_cast<float>(static_cast<std::int32_t>(threshold >> 8)) * 0x1p-24F;
    const float number = value >= 0.0F ? value : 0.0F;  // what is none shows in the step
    return static_cast<Byte>(static_cast<std::int32_t>(number + fraction));
}

CROSSWEEP_MULTIVERSION
void energy_kernel(const float* __restrict square, float inverse_step, std::uint8_t* __restrict code,
                   std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        code[i] =
            round_at<std::uint8_t>(square[i] * inverse_step, static_cast<std::uint32_t>(i) * energy_pitch);
}

/// The same for inputs that are codes: their squares are not kept.
CROSSWEEP_MULTIVERSION
void squared_code_kernel(const float* __restrict input, float inverse_step, std::uint8_t* __restrict code,
                         std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        code[i] = round_at<std::uint8_t>(input[i] * input[i] * inverse_step,
                                         static_cast<std::uint32_t>(i) * energy_pitch);
}

CROSSWEEP_MULTIVERSION
void amplitude_kernel(const float* __restrict square, const float* __restrict inverse_step,
                      std::uint32_t threshold, std::uint32_t pitch, std::int8_t* __restrict code,
                      std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        code[i] = round_at<std::int8_t>(square[i] * inverse_step[i],
                                        threshold + static_cast<std::uint32_t>(i) * pitch);
}

/// Compared by their bits, in which what is not a number is larger than any.
CROSSWEEP_MULTIVERSION
void largest_kernel(const float* __restrict square, float* __restrict largest, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const auto a = std::bit_cast<std::uint32_t>(square[i]), b = std::bit_cast<std::uint32_t>(largest[i]);
        largest[i] = std::bit_cast<float>(a > b ? a : b);
    }
}

/// 1 / step; 0 where nothing is to be told apart, which gives code 0.
float inverse_of(float step) {
    return std::isfinite(step) && step >= std::numeric_limits<float>::min() ? 1 / step : 0;
}

}  // namespace

void Energies::store(const linalg::ConstMatrixView& squares) {
    codes_.shape(squares.rows(), squares.cols());
    steps_.resize(static_cast<std::size_t>(squares.rows()));
    for (Index token = 0; token < squares.rows(); ++token) {
        const auto of_token = row_of(squares, token);
        const float step = linalg::largest_magnitude(of_token) / largest_energy;
        steps_[static_cast<std::size_t>(token)] = step;
        if (std::isfinite(step)) {
            energy_kernel(of_token.data(), inverse_of(step), codes_.row(token), of_token.size());
        } else {
            std::fill_n(codes_.row(token), of_token.size(), std::uint8_t{0});
        }
    }
}

void Energies::store_squares_of(const linalg::ConstMatrixView& input_codes, std::span<const float> steps) {
    CROSSWEEP_EXPECT(steps.size() == static_cast<std::size_t>(input_codes.rows()));
    codes_.shape(input_codes.rows(), input_codes.cols());
    steps_.resize(steps.size());
    for (std::size_t token = 0; token < steps.size(); ++token) {
        const auto of_token = row_of(input_codes, static_cast<Index>(token));
        const float largest = linalg::largest_magnitude(of_token);
        const float step = largest * largest / largest_energy;  // of squared codes
        steps_[token] = steps[token] * steps[token] * step;
        squared_code_kernel(of_token.data(), inverse_of(step), codes_.row(static_cast<Index>(token)),
                            of_token.size());
    }
}

void SquaredAmplitudes::store(const linalg::ConstMatrixView& squares, Orientation orientation) {
    const bool by_outputs = orientation == Orientation::outputs_by_inputs;
    const Index outputs = by_outputs ? squares.rows() : squares.cols();
    const Index inputs = by_outputs ? squares.cols() : squares.rows();
    if (inputs >= (Index{1} << 31) / (255 * 127))
        throw InternalError("a variance over more inputs than 32 bits can hold");
    const auto columns = static_cast<std::size_t>(squares.cols());
    codes_.shape(outputs, inputs);
    steps_.assign(static_cast<std::size_t>(outputs), 0);
    for (Index row = 0; row < squares.rows(); ++row) {
        const auto of_row = row_of(squares, row);
        if (by_outputs)
            steps_[static_cast<std::size_t>(row)] = linalg::largest_magnitude(of_row);
        else
            largest_kernel(of_row.data(), steps_.data(), columns);
    }
    for (float& step : steps_) step /= largest_amplitude;
    inverse_.resize(columns);
    row_codes_.resize(columns);
    if (!by_outputs) std::transform(steps_.begin(), steps_.end(), inverse_.begin(), inverse_of);
    for (Index row = 0; row < squares.rows(); ++row) {
        const auto number = static_cast<std::uint32_t>(row);
        if (by_outputs)
            std::fill(inverse_.begin(), inverse_.end(), inverse_of(steps_[static_cast<std::size_t>(row)]));
        amplitude_kernel(row_of(squares, row).data(), inverse_.data(),
                         number * (by_outputs ? output_pitch : input_pitch),
                         by_outputs ? input_pitch : output_pitch, row_codes_.data(), columns);
        by_outputs ? codes_.set_output(row, row_codes_) : codes_.set_input(row, row_codes_);
    }
}

}  // namespace crossweep::crossbar
