#include "crossweep/crossbar/function_unit.hpp"

#include <algorithm>
#include <cmath>

#include "crossweep/crossbar/adc.hpp"
#include "crossweep/crossbar/large_small.hpp"
#include "crossweep/linalg/elementwise.hpp"
#include "crossweep/linalg/gaussian.hpp"
#include "crossweep/linalg/quantise.hpp"

namespace crossweep::crossbar {

using Eigen::Index;
using linalg::ConstMatrixView;
using linalg::MatrixView;
using linalg::row_of;

FunctionUnit::FunctionUnit(const OperandParams& operand, const CrossbarParams& crossbar)
    : crossbar_(crossbar),
      layout_(cell_layout(Fidelity::large_small, Mapping::differential, operand.device.bits_per_cell,
                          static_cast<float>(largest_input_code(crossbar.input_bits)),
                          static_cast<float>(largest_input_code(crossbar.input_bits)))),
      rows_at_once_(rows_at_once(crossbar, operand.device.bits_per_cell)),
      exact_(reads_exactly(operand, crossbar)),
      cells_(operand.device, device::Storage::stationary, {}, layout_, 0),
      largest_code_of_adc_(crossbar.adc_bits == 0 ? 0 : static_cast<double>((1U << crossbar.adc_bits) - 1)),
      signed_cycles_(input_cycles(crossbar, InputSign::both)),
      unsigned_cycles_(input_cycles(crossbar, InputSign::not_negative)) {
    CrossbarParams group = crossbar;
    group.array_rows = static_cast<std::uint32_t>(rows_at_once_);
    step_of_adc_ = crossbar.adc_bits == 0
                       ? 0
                       : std::max(1.0, full_range(group, layout_.largest_digit) / largest_code_of_adc_);
}

float FunctionUnit::to_codes(std::span<const float> x) {
    const linalg::Quantiser quantiser(linalg::largest_magnitude(x), crossbar_.input_bits);
    codes_.resize(x.size());
    quantiser.to_codes(x, codes_);
    // Digits are cut from whole numbers; that an input is not finite shows in the step.
    if (!std::isfinite(quantiser.step())) std::ranges::fill(codes_, 0.0F);
    return quantiser.step();
}

void FunctionUnit::softmax(MatrixView x, float scale, std::optional<Index> first, const ReadDraws& draws) {
    const auto largest_code = static_cast<float>(largest_input_code(crossbar_.input_bits));
    for (Index row = 0; row < x.rows(); ++row) {
        const std::span<float> all = row_of(x, row);
        const std::span<float> seen = first ? all.first(static_cast<std::size_t>(*first + row + 1)) : all;
        const float step = to_codes(seen);
        if (!std::isfinite(step)) {
            std::ranges::fill(seen, step);
            continue;
        }
        const float largest = *std::ranges::max_element(codes_);
        for (float& code : codes_)
            code = std::nearbyint(largest_code * std::exp(scale * step * (code - largest)));
        begin_row(draws.identity(row), draws.key, 1);
        // Misread ones may add up to nothing.
        const auto sum = std::max(1.0F, static_cast<float>(sum_of_codes(InputSign::not_negative)));
        for (std::size_t i = 0; i < seen.size(); ++i) seen[i] = codes_[i] / sum;
        std::fill(all.begin() + static_cast<std::ptrdiff_t>(seen.size()), all.end(), 0.0F);
    }
}

void FunctionUnit::layer_norm(const ConstMatrixView& x, const linalg::Norm& norm, MatrixView y,
                              const ReadDraws& draws) {
    const auto width = static_cast<double>(x.cols());
    for (Index row = 0; row < x.rows(); ++row) {
        const auto step = static_cast<double>(to_codes(row_of(x, row)));
        begin_row(draws.identity(row), draws.key, 1 + layout_.planes.size());
        const double mean = sum_of_codes(InputSign::both) / width;
        const double variance = std::max(0.0, sum_of_squares() / width - mean * mean);
        const double inverse = 1 / std::sqrt(step * step * variance + static_cast<double>(norm.epsilon));
        const std::span<float> out = row_of(y, row);
        for (std::size_t i = 0; i < out.size(); ++i) {
            const double normalised = step * (static_cast<double>(codes_[i]) - mean) * inverse;
            out[i] = static_cast<float>(normalised) * norm.weight[i] + norm.bias[i];
        }
    }
}

void FunctionUnit::add_bias_gelu(MatrixView x, std::span<const float> bias, linalg::Gelu form) const {
    const std::vector<float> none(bias.size(), 0.0F);
    linalg::add_bias(x, bias);
    for (Index row = 0; row < x.rows(); ++row) {
        const std::span<float> values = row_of(x, row);
        linalg::Quantiser(linalg::largest_magnitude(values), crossbar_.input_bits).to_values(values, values);
    }
    linalg::add_bias_gelu(x, none, form);
}

void FunctionUnit::begin_row(const DrawIdentity& draws, StreamKey key, std::size_t sums) {
    next_ = 0;
    if (exact_) return;
    const std::size_t groups = (codes_.size() + rows_at_once_ - 1) / rows_at_once_;
    const std::size_t conversions = sums * groups * std::max(signed_cycles_.size(), unsigned_cycles_.size());
    states_.resize(conversions);
    linalg::fill_words(key, draws, 0, states_);
    normal_.assign(conversions, 0.0F);
    if (cells_.read_sigma() > 0) {
        DrawIdentity of_normals = draws;
        of_normals.site_layer_operand ^= (static_cast<std::uint32_t>(NoiseSite::telegraph) ^
                                          static_cast<std::uint32_t>(NoiseSite::product_read))
                                         << 24;
        linalg::fill_normal(key, of_normals, normal_);
    }
}

double FunctionUnit::sum_of_codes(InputSign sign) {
    ones_.assign(codes_.size(), 1.0F);
    return sum_on_cells(ones_, sign);
}

double FunctionUnit::sum_of_squares() {
    magnitudes_.resize(codes_.size());
    digits_.resize(codes_.size());
    std::ranges::transform(codes_, magnitudes_.begin(), [](float code) { return std::abs(code); });
    double sum = 0;
    for (const Plane& plane : layout_.planes) {
        to_digit(layout_, plane, magnitudes_, codes_, digits_);
        sum += static_cast<double>(plane.significance) * sum_on_cells(digits_, InputSign::both);
    }
    return sum;
}

double FunctionUnit::sum_on_cells(std::span<const float> digits, InputSign sign) {
    double total = 0;
    if (exact_) {
        for (std::size_t i = 0; i < digits.size(); ++i)
            total += static_cast<double>(codes_[i]) * static_cast<double>(digits[i]);
        return total;
    }
    swings_.resize(digits.size());
    squares_.resize(digits.size());
    std::ranges::transform(digits, swings_.begin(),
                           [&](float digit) { return cells_.telegraph_swing(digit); });
    cells_.squared_amplitude(digits, squares_);
    for (const Cycle& cycle : sign == InputSign::both ? signed_cycles_ : unsigned_cycles_) {
        for (std::size_t first = 0; first < digits.size(); first += rows_at_once_) {
            const std::size_t end = std::min(first + rows_at_once_, digits.size());
            double sum = 0, swing = 0, variance = 0;
            for (std::size_t i = first; i < end; ++i) {
                const double applied = digit_of(static_cast<std::int32_t>(codes_[i]), cycle);
                const bool is_up = (states_[next_] >> (i - first) & 1U) != 0;
                sum += applied * static_cast<double>(digits[i]);
                swing += applied * static_cast<double>(is_up ? swings_[i] : -swings_[i]);
                variance += applied * applied * static_cast<double>(squares_[i]);
            }
            total += static_cast<double>(cycle.weight) * convert(sum, swing, variance);
        }
    }
    return total;
}

double FunctionUnit::convert(double sum, double swing, double variance) {
    const double noise =
        static_cast<double>(cells_.read_sigma()) * std::sqrt(variance) * static_cast<double>(normal_[next_]);
    ++next_;
    const double read = sum + swing + noise;
    if (step_of_adc_ == 0) return read;
    return step_of_adc_ * std::clamp(std::nearbyint(read / step_of_adc_), 0.0, largest_code_of_adc_);
}

}  // namespace crossweep::crossbar
