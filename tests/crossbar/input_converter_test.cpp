// Inputs as the DACs apply them: every code comes back from its cycles, whatever the encoding.
#include "crossweep/crossbar/input_converter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "linalg/normal_matrix.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::const_view;
using linalg::ConstMatrixView;
using linalg::Matrix;

constexpr InputEncoding encodings[] = {InputEncoding::twos_complement, InputEncoding::sign_magnitude};
constexpr InputSign signs[] = {InputSign::both, InputSign::not_negative};

CrossbarParams converters(std::uint32_t input_bits, InputEncoding encoding, std::uint32_t dac_bits) {
    CrossbarParams params;
    params.input_bits = input_bits;
    params.input_encoding = encoding;
    params.dac_bits = dac_bits;
    return params;
}

std::int32_t largest_code(std::uint32_t input_bits) {
    return (std::int32_t{1} << (input_bits - 1)) - 1;
}

std::int32_t least_code(const CrossbarParams& params, InputSign sign) {
    return sign == InputSign::both ? -largest_code(params.input_bits) : 0;
}

/// Call `check` with 2 … 10 input bits, both encodings, DACs of 1 … 8 bits, with and without signs.
template <class Check>
void for_every_converter(Check&& check) {
    for (std::uint32_t bits = 2; bits <= 10; ++bits) {
        for (const InputEncoding encoding : encodings) {
            for (std::uint32_t dac_bits = 1; dac_bits <= 8; ++dac_bits) {
                for (const InputSign sign : signs) {
                    SCOPED_TRACE(testing::Message()
                                 << bits << " bits, encoding " << static_cast<int>(encoding) << ", DAC of "
                                 << dac_bits << ", sign " << static_cast<int>(sign));
                    check(converters(bits, encoding, dac_bits), sign);
                }
            }
        }
    }
}

/// Two tokens with every code that inputs of `sign` can have: the first with step 1, the second with 0.25.
Matrix all_codes(const CrossbarParams& params, InputSign sign) {
    const std::int32_t least = least_code(params, sign), most = largest_code(params.input_bits);
    Matrix x(2, most - least + 1);
    for (std::int32_t code = least; code <= most; ++code)
        x.col(code - least).setConstant(static_cast<float>(code));
    x.row(1) *= 0.25F;
    return x;
}

TEST(InputCycles, weighted_digits_add_up_to_every_code) {
    for_every_converter([](const CrossbarParams& params, InputSign sign) {
        const auto cycles = input_cycles(params, sign);
        for (std::int32_t code = least_code(params, sign); code <= largest_code(params.input_bits); ++code) {
            double sum = 0;
            for (const Cycle& cycle : cycles)
                sum += static_cast<double>(cycle.weight) * digit_of(code, cycle);
            ASSERT_EQ(sum, code);
        }
    });
}

TEST(InputCycles, digits_fit_the_dac) {
    for_every_converter([](const CrossbarParams& params, InputSign sign) {
        for (const Cycle& cycle : input_cycles(params, sign)) {
            ASSERT_LT(cycle.largest_digit, 1 << params.dac_bits);
            for (std::int32_t code = least_code(params, sign); code <= largest_code(params.input_bits);
                 ++code) {
                ASSERT_GE(digit_of(code, cycle), 0);
                ASSERT_LE(digit_of(code, cycle), cycle.largest_digit);
            }
        }
    });
}

TEST(InputCycles, of_inputs_that_are_not_negative_have_no_sign) {
    for_every_converter([](const CrossbarParams& params, InputSign) {
        for (const Cycle& cycle : input_cycles(params, InputSign::not_negative))
            EXPECT_GT(cycle.weight, 0.0F);
    });
}

std::size_t cycle_count(InputEncoding encoding, std::uint32_t dac_bits, InputSign sign) {
    return input_cycles(converters(8, encoding, dac_bits), sign).size();
}

TEST(InputCycles, of_eight_bits_number_8_or_14_or_7_without_signs) {
    constexpr InputEncoding complement = InputEncoding::twos_complement,
                            magnitude = InputEncoding::sign_magnitude;
    EXPECT_EQ(cycle_count(complement, 1, InputSign::both), 8U);
    EXPECT_EQ(cycle_count(magnitude, 1, InputSign::both), 14U);
    EXPECT_EQ(cycle_count(complement, 1, InputSign::not_negative), 7U);
    EXPECT_EQ(cycle_count(magnitude, 1, InputSign::not_negative), 7U);
    // Two bits at a time: 7 bits of magnitude take 4 cycles, the last for a single bit.
    EXPECT_EQ(cycle_count(complement, 2, InputSign::both), 5U);
    EXPECT_EQ(cycle_count(magnitude, 2, InputSign::both), 8U);
    EXPECT_EQ(cycle_count(complement, 7, InputSign::both), 2U);
    EXPECT_EQ(cycle_count(complement, 8, InputSign::not_negative), 1U);
}

TEST(InputConverter, applies_the_digits_of_its_codes_cycle_by_cycle) {
    for_every_converter([](const CrossbarParams& params, InputSign sign) {
        const Matrix x = all_codes(params, sign);
        InputConverter inputs(params);
        inputs.convert(const_view(x), sign);
        const auto cycles = static_cast<Index>(inputs.cycles().size());
        const Matrix digits = inputs.digits(), squared = inputs.squared_digits();
        ASSERT_EQ(digits.rows(), 2 * cycles);
        EXPECT_EQ(squared, digits.cwiseAbs2());
        for (Index token = 0; token < 2; ++token) {
            for (Index i = 0; i < x.cols(); ++i) {
                ASSERT_EQ(inputs.codes()(token, i), x(0, i));
                ASSERT_EQ(inputs.values()(token, i), x(token, i));
                for (Index c = 0; c < cycles; ++c) {
                    ASSERT_EQ(digits(token * cycles + c, i),
                              static_cast<float>(digit_of(static_cast<std::int32_t>(x(0, i)),
                                                          inputs.cycles()[static_cast<std::size_t>(c)])));
                }
            }
        }
        EXPECT_EQ(inputs.steps()[0], 1.0F);
        EXPECT_EQ(inputs.steps()[1], 0.25F);
    });
}

TEST(InputConverter, cycle_energies_are_the_squares_of_all_weighted_digits_times_the_squared_step) {
    for_every_converter([](const CrossbarParams& params, InputSign sign) {
        const Matrix x = all_codes(params, sign);
        InputConverter inputs(params);
        inputs.convert(const_view(x), sign);
        const Matrix energies = inputs.cycle_energies();
        for (Index token = 0; token < 2; ++token) {
            const double step = token == 0 ? 1 : 0.25;
            for (Index i = 0; i < x.cols(); ++i) {
                double sum = 0;
                for (const Cycle& cycle : inputs.cycles()) {
                    const double applied = static_cast<double>(cycle.weight) *
                                           digit_of(static_cast<std::int32_t>(x(0, i)), cycle);
                    sum += applied * applied;
                }
                ASSERT_EQ(energies(token, i), step * step * sum);
            }
        }
    });
}

// -1 in two's complement sets every bit: 128^2 + 64^2 + … + 1 = (4^8 - 1) / 3; by magnitude it sets one.
TEST(InputConverter, small_negative_codes_cost_twos_complement_all_its_cycles) {
    const auto energy = [](InputEncoding encoding) {
        Matrix x(1, 2);
        x << 127, -1;
        InputConverter inputs(converters(8, encoding, 1));
        inputs.convert(const_view(x), InputSign::both);
        return inputs.cycle_energies()(0, 1);
    };
    EXPECT_EQ(energy(InputEncoding::twos_complement), 21'845.0F);
    EXPECT_EQ(energy(InputEncoding::sign_magnitude), 1.0F);
}

TEST(InputConverter, passes_continuous_inputs_through) {
    const Matrix x = linalg::normal_matrix(3, 40, 1);
    InputConverter inputs(converters(0, InputEncoding::twos_complement, 1));
    inputs.convert(const_view(x), InputSign::both);
    EXPECT_EQ(inputs.values().data(), x.data());
    EXPECT_EQ(Matrix(inputs.squares()), x.cwiseAbs2());
    EXPECT_EQ(Matrix(inputs.cycle_energies()), x.cwiseAbs2());  // applied at once
}

TEST(InputConverter, scale_is_that_of_a_token_or_of_the_whole_product) {
    Matrix x(2, 2);
    x << 127, -1, 254, 6;
    CrossbarParams params;
    InputConverter by_token(params);
    by_token.convert(const_view(x), InputSign::both);
    EXPECT_EQ(by_token.steps()[0], 1.0F);
    EXPECT_EQ(by_token.steps()[1], 2.0F);
    EXPECT_EQ(by_token.codes()(1, 1), 3.0F);
    params.input_scale = InputScale::tensor;
    InputConverter by_product(params);
    by_product.convert(const_view(x), InputSign::both);
    EXPECT_EQ(by_product.steps()[0], 2.0F);
    EXPECT_EQ(by_product.codes()(0, 0), 64.0F);  // 63.5, to even
}

TEST(InputConverter, forgets_the_inputs_before) {
    const Matrix many = linalg::normal_matrix(5, 9, 1), few = linalg::normal_matrix(2, 3, 2).cwiseAbs();
    const CrossbarParams params = converters(6, InputEncoding::sign_magnitude, 2);
    InputConverter used(params), fresh(params);
    used.convert(const_view(many), InputSign::both);
    used.squares(), used.cycle_energies(), used.digits(), used.squared_digits();
    for (InputConverter* inputs : {&used, &fresh}) inputs->convert(const_view(few), InputSign::not_negative);
    EXPECT_EQ(Matrix(used.values()), Matrix(fresh.values()));
    EXPECT_EQ(Matrix(used.squares()), Matrix(fresh.squares()));
    EXPECT_EQ(Matrix(used.cycle_energies()), Matrix(fresh.cycle_energies()));
    EXPECT_EQ(Matrix(used.digits()), Matrix(fresh.digits()));
    EXPECT_EQ(Matrix(used.squared_digits()), Matrix(fresh.squared_digits()));
}

// A point whose numbers overflow must fail, not end the program.
TEST(InputConverter, keeps_what_is_not_finite) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        for (const InputEncoding encoding : encodings) {
            Matrix x = Matrix::Ones(1, 40);
            x(0, 7) = bad;
            InputConverter inputs(converters(8, encoding, 1));
            inputs.convert(const_view(x), InputSign::both);
            EXPECT_FALSE(std::isfinite(inputs.values().sum()));
            EXPECT_FALSE(std::isfinite(inputs.squares().sum()));
            EXPECT_FALSE(std::isfinite(inputs.cycle_energies().sum()));
            EXPECT_FALSE(std::isfinite(inputs.steps()[0]));
            EXPECT_GE(inputs.digits().minCoeff(), 0.0F);
            EXPECT_LE(inputs.digits().maxCoeff(), 1.0F);
        }
    }
}

TEST(InputConverter, packs_its_digits_where_all_are_bits) {
    for_every_converter([](const CrossbarParams& params, InputSign sign) {
        const Matrix x = all_codes(params, sign);
        InputConverter inputs(params);
        inputs.convert(const_view(x), sign);
        const Matrix digits = inputs.digits();
        ASSERT_EQ(inputs.applies_bits(), digits.maxCoeff() == 1);
        if (!inputs.applies_bits()) return;
        const Index first = x.cols() / 5, count = std::min<Index>(x.cols() - first, 50), words = 4;
        std::vector<std::uint32_t> packed;
        inputs.pack_bits(first, count, words, packed);
        ASSERT_EQ(packed.size(), static_cast<std::size_t>(digits.rows() * words));
        for (Index row = 0; row < digits.rows(); ++row) {
            for (Index i = 0; i < 32 * words; ++i) {
                const std::uint32_t word = packed[static_cast<std::size_t>(row * words + i / 32)];
                const bool expected = i < count && digits(row, first + i) == 1;
                ASSERT_EQ((word >> (i % 32) & 1U) != 0, expected) << "row " << row << ", input " << i;
            }
        }
    });
}

TEST(InputConverter, continuous_inputs_are_no_bits) {
    CrossbarParams params;
    params.input_bits = 0;
    EXPECT_FALSE(InputConverter(params).applies_bits());
}

TEST(InputConverter, words_are_the_codes) {
    for_every_converter([](const CrossbarParams& params, InputSign sign) {
        const Matrix x = all_codes(params, sign);
        InputConverter inputs(params);
        inputs.convert(const_view(x), sign);
        const linalg::WordRows& words = inputs.words();
        for (Index row = 0; row < x.rows(); ++row)
            for (Index i = 0; i < x.cols(); ++i)
                ASSERT_EQ(static_cast<float>(words.row(row)[i]), inputs.codes()(row, i));
    });
}

}  // namespace
}  // namespace crossweep::crossbar
