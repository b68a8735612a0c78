#include "crossweep/crossbar/input_converter.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"
#include "crossweep/crossbar/read_law.hpp"
#include "crossweep/linalg/quantise.hpp"

namespace crossweep::crossbar {

using Eigen::Index;
using linalg::const_view;
using linalg::ConstMatrixView;
using linalg::MatrixView;
using linalg::row_of;

namespace {

CROSSWEEP_MULTIVERSION
void digit_kernel(const float* __restrict code, std::int32_t sign, std::int32_t floor,
                  std::uint32_t lowest_bit, std::int32_t largest_digit, float* __restrict digit,
                  std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const std::int32_t signed_code = sign * static_cast<std::int32_t>(code[i]);
        const std::int32_t kept = signed_code > floor ? signed_code : floor;
        digit[i] = static_cast<float>((kept >> lowest_bit) & largest_digit);
    }
}

std::int32_t sign_of(const Cycle& cycle) {
    return cycle.of == Cycle::Of::negative_magnitude ? -1 : 1;
}

/// Least value that is cut into digits.
std::int32_t floor_of(const Cycle& cycle) {
    return cycle.of == Cycle::Of::code ? std::numeric_limits<std::int32_t>::min() : 0;
}

/// Bit i is whether digit i is 1.
CROSSWEEP_MULTIVERSION
std::uint32_t pack_kernel(const float* digit, std::size_t count) {
    std::uint32_t word = 0;
    for (std::size_t i = 0; i < count; ++i) word |= (digit[i] != 0.0F ? 1U : 0U) << i;
    return word;
}

}  // namespace

std::vector<Cycle> input_cycles(const CrossbarParams& params, InputSign sign) {
    CROSSWEEP_EXPECT(params.input_bits >= 2 && params.dac_bits >= 1);
    const std::uint32_t magnitude_bits = params.input_bits - 1;
    std::vector<Cycle> cycles;
    const auto add_digits = [&](Cycle::Of of, float weight) {
        for (std::uint32_t bit = 0; bit < magnitude_bits; bit += params.dac_bits) {
            const std::uint32_t bits = std::min(params.dac_bits, magnitude_bits - bit);
            cycles.push_back(
                {of, bit, (std::int32_t{1} << bits) - 1, weight * static_cast<float>(1U << bit)});
        }
    };
    if (sign == InputSign::not_negative) {
        add_digits(Cycle::Of::positive_magnitude, 1);
    } else if (params.input_encoding == InputEncoding::twos_complement) {
        cycles.push_back({Cycle::Of::code, magnitude_bits, 1, -static_cast<float>(1U << magnitude_bits)});
        add_digits(Cycle::Of::code, 1);
    } else {
        add_digits(Cycle::Of::positive_magnitude, 1);
        add_digits(Cycle::Of::negative_magnitude, -1);
    }
    return cycles;
}

std::int32_t digit_of(std::int32_t code, const Cycle& cycle) {
    return (std::max(sign_of(cycle) * code, floor_of(cycle)) >> cycle.lowest_bit) & cycle.largest_digit;
}

InputConverter::InputConverter(const CrossbarParams& params)
    : params_(params), largest_code_(largest_input_code(params.input_bits)) {
    if (largest_code_ == 0) return;
    signed_.cycles = input_cycles(params_, InputSign::both);
    unsigned_.cycles = input_cycles(params_, InputSign::not_negative);
}

const float* InputConverter::energies_of_codes() {
    Encoding& encoding = sign_ == InputSign::both ? signed_ : unsigned_;
    if (encoding.energies.empty()) {
        for (std::int32_t code = -largest_code_; code <= largest_code_; ++code) {
            float energy = 0;
            for (const Cycle& cycle : encoding.cycles) {
                const float applied = cycle.weight * static_cast<float>(digit_of(code, cycle));
                energy += applied * applied;
            }
            encoding.energies.push_back(energy);
        }
    }
    return encoding.energies.data() + largest_code_;
}

void InputConverter::convert(const ConstMatrixView& x, InputSign sign) {
    sign_ = sign;
    kept_ = {};
    new (&inputs_) ConstMatrixView(x);  // an Eigen::Map is pointed elsewhere by constructing it anew
}

template <class Use>
void InputConverter::for_each_row(const Use& use) {
    CROSSWEEP_EXPECT(largest_code_ > 0);
    const bool per_token = params_.input_scale == InputScale::token;
    if (!kept_.scales) {
        quantisers_.clear();
        steps_.clear();
    }
    const float largest_of_all = kept_.scales || per_token ? 0 : linalg::largest_magnitude(inputs_);
    for (Index row = 0; row < inputs_.rows(); ++row) {
        if (!kept_.scales) {
            const float largest =
                per_token ? linalg::largest_magnitude(row_of(inputs_, row)) : largest_of_all;
            steps_.push_back(quantisers_.emplace_back(largest, params_.input_bits).step());
        }
        use(row);
    }
    kept_.scales = true;
}

std::span<const float> InputConverter::steps() {
    if (!kept_.scales) for_each_row([](Index) {});
    return steps_;
}

ConstMatrixView InputConverter::values() {
    if (largest_code_ == 0) return inputs_;
    MatrixView values = quantised_.shaped(inputs_.rows(), inputs_.cols());
    if (!kept_.values) {
        for_each_row([&](Index row) {
            quantisers_[static_cast<std::size_t>(row)].to_values(row_of(inputs_, row), row_of(values, row));
        });
    }
    kept_.values = true;
    return const_view(values);
}

ConstMatrixView InputConverter::codes() {
    MatrixView codes = codes_.shaped(inputs_.rows(), inputs_.cols());
    if (!kept_.codes) {
        for_each_row([&](Index row) {
            const auto number = static_cast<std::size_t>(row);
            quantisers_[number].to_codes(row_of(inputs_, row), row_of(codes, row));
            // Digits are cut from whole numbers; that an input is not finite shows in values and step.
            if (!std::isfinite(steps_[number])) codes.row(row).setZero();
        });
    }
    kept_.codes = true;
    return const_view(codes);
}

ConstMatrixView InputConverter::squares() {
    MatrixView squares = squares_.shaped(inputs_.rows(), inputs_.cols());
    if (!kept_.squares) square(values(), squares);
    kept_.squares = true;
    return const_view(squares);
}

ConstMatrixView InputConverter::cycle_energies() {
    if (largest_code_ == 0) return squares();
    MatrixView energies = energies_.shaped(inputs_.rows(), inputs_.cols());
    const float* energy_of = energies_of_codes();
    for (Index row = 0; row < inputs_.rows() && !kept_.energies; ++row) {
        const float step = steps()[static_cast<std::size_t>(row)];
        const auto code = row_of(codes(), row);
        const auto out = row_of(energies, row);
        for (std::size_t i = 0; i < code.size(); ++i)
            out[i] = step * step * energy_of[static_cast<std::int32_t>(code[i])];
    }
    kept_.energies = true;
    return const_view(energies);
}

const Energies& InputConverter::energies(InputEnergy of) {
    const bool at_once = of == InputEnergy::at_once;
    Energies& energies = at_once ? squares_in_bytes_ : energies_in_bytes_;
    bool& has = at_once ? kept_.squares_in_bytes : kept_.energies_in_bytes;
    if (!has && at_once && largest_code_ > 0)
        energies.store_squares_of(codes(), steps());
    else if (!has)
        energies.store(at_once ? squares() : cycle_energies());
    has = true;
    return energies;
}

const linalg::WordRows& InputConverter::words() {
    CROSSWEEP_EXPECT(largest_code_ > 0);
    if (kept_.words) return words_;
    words_.shape(inputs_.rows(), inputs_.cols());
    for (Index row = 0; row < inputs_.rows(); ++row) {
        const auto code = row_of(codes(), row);
        linalg::to_words(code, {words_.row(row), code.size()});
    }
    kept_.words = true;
    return words_;
}

ConstMatrixView InputConverter::digits() {
    CROSSWEEP_EXPECT(largest_code_ > 0);
    const auto cycle_count = static_cast<Index>(cycles().size());
    MatrixView digits = digits_.shaped(inputs_.rows() * cycle_count, inputs_.cols());
    for (Index row = 0; row < inputs_.rows() && !kept_.digits; ++row) {
        const auto code = row_of(codes(), row);
        for (Index c = 0; c < cycle_count; ++c) {
            const Cycle& cycle = cycles()[static_cast<std::size_t>(c)];
            digit_kernel(code.data(), sign_of(cycle), floor_of(cycle), cycle.lowest_bit, cycle.largest_digit,
                         row_of(digits, row * cycle_count + c).data(), code.size());
        }
    }
    kept_.digits = true;
    return const_view(digits);
}

ConstMatrixView InputConverter::squared_digits() {
    if (params_.dac_bits == 1) return digits();
    const ConstMatrixView applied = digits();
    MatrixView squared = squared_digits_.shaped(applied.rows(), applied.cols());
    if (!kept_.squared_digits) square(applied, squared);
    kept_.squared_digits = true;
    return const_view(squared);
}

bool InputConverter::applies_bits() const {
    return largest_code_ > 0 && std::all_of(cycles().begin(), cycles().end(),
                                            [](const Cycle& cycle) { return cycle.largest_digit == 1; });
}

void InputConverter::pack_bits(Index first, Index count, Index words, std::vector<std::uint32_t>& packed) {
    CROSSWEEP_EXPECT(applies_bits() && count <= 32 * words);
    const ConstMatrixView applied = digits();
    packed.assign(static_cast<std::size_t>(applied.rows() * words), 0);
    for (Index row = 0; row < applied.rows(); ++row) {
        const float* const digit = applied.data() + row * applied.outerStride() + first;
        for (Index i = 0; i < count; i += 32)
            packed[static_cast<std::size_t>(row * words + i / 32)] =
                pack_kernel(digit + i, static_cast<std::size_t>(std::min<Index>(32, count - i)));
    }
}

}  // namespace crossweep::crossbar
