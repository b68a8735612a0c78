#include "crossweep/linalg/quantise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "linalg/normal_matrix.hpp"

namespace crossweep::linalg {
namespace {

struct Quantised {
    std::vector<float> code, y;
    float step;
};

Quantised quantised_with_codes(const std::vector<float>& x, float largest, std::uint32_t bits) {
    Quantised result{std::vector<float>(x.size()), std::vector<float>(x.size()), 0};
    const Quantiser quantiser(largest, bits);
    result.step = quantiser.step();
    quantiser.to_codes(x, result.code);
    quantiser.to_values(x, result.y);
    return result;
}

std::vector<float> quantised(const std::vector<float>& x, float largest, std::uint32_t bits) {
    return quantised_with_codes(x, largest, bits).y;
}

std::vector<float> normals(std::size_t count) {
    std::vector<float> x(count);
    fill_normal({1, 2}, {3, 4, 5}, x);
    return x;
}

TEST(LargestMagnitude, looks_at_every_element_and_at_both_signs) {
    EXPECT_EQ(largest_magnitude(std::span<const float>{}), 0.0F);
    for (const std::size_t count : {1U, 15U, 16U, 17U, 100U}) {
        for (std::size_t place = 0; place < count; ++place) {
            std::vector<float> x(count, 0.5F);
            x[place] = place % 2 == 0 ? -3.0F : 3.0F;
            ASSERT_EQ(largest_magnitude(x), 3.0F) << place << " of " << count;
        }
    }
}

TEST(LargestMagnitude, of_a_view_ignores_what_lies_beside_it) {
    Matrix x = Matrix::Constant(3, 40, 9.0F);
    x.middleCols(5, 20).setConstant(-2.0F);
    EXPECT_EQ(largest_magnitude(const_view(columns_of(x, 5, 20))), 2.0F);
}

TEST(LargestMagnitude, is_not_a_number_if_any_element_is_none) {
    Matrix x = Matrix::Constant(3, 40, 9.0F);
    for (const Eigen::Index row : {0, 1, 2}) {
        Matrix broken = x;
        broken(row, 17) = std::numeric_limits<float>::quiet_NaN();
        EXPECT_TRUE(std::isnan(largest_magnitude(const_view(broken)))) << row;
    }
}

TEST(Quantise, agrees_with_its_formula_for_every_number_of_bits) {
    const auto x = normals(1000);
    const float largest = largest_magnitude(x);
    for (std::uint32_t bits = 2; bits <= 16; ++bits) {
        const double codes = std::pow(2.0, bits - 1) - 1, step = static_cast<double>(largest) / codes;
        const auto y = quantised(x, largest, bits);
        std::set<float> distinct(y.begin(), y.end());
        EXPECT_LE(static_cast<double>(distinct.size()), 2 * codes + 1) << bits;
        double worst = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double code = static_cast<double>(y[i]) / step;
            ASSERT_NEAR(code, std::round(code), 1e-6 * codes) << bits;
            worst = std::max(worst, std::abs(static_cast<double>(y[i]) - static_cast<double>(x[i])) / step);
        }
        EXPECT_LE(worst, 0.5 + 2e-7 * codes) << bits;
        EXPECT_GT(worst, 0.45) << bits;
    }
}

TEST(Quantise, keeps_zero_and_the_largest_with_its_sign) {
    for (std::uint32_t bits = 2; bits <= 16; ++bits) {
        const auto y = quantised({0.0F, 3.7F, -3.7F}, 3.7F, bits);
        EXPECT_EQ(y[0], 0.0F);
        EXPECT_FLOAT_EQ(y[1], 3.7F);
        EXPECT_EQ(y[2], -y[1]);
    }
}

TEST(Quantise, halves_go_to_the_even_code) {
    EXPECT_EQ(quantised({0.5F, 1.5F, 2.5F, -0.5F, -1.5F}, 127.0F, 8), (std::vector<float>{0, 2, 2, 0, -2}));
}

TEST(Quantise, of_nothing_but_zeros_is_zeros) {
    EXPECT_EQ(quantised({0.0F, 0.0F, -0.0F}, 0.0F, 8), (std::vector<float>(3, 0.0F)));
}

TEST(Quantise, of_the_smallest_numbers_is_finite) {
    for (const float tiny : {1e-37F, 1e-38F, 1e-40F, 1e-45F}) {
        for (const std::uint32_t bits : {2U, 8U, 16U}) {
            for (const float value : quantised({tiny, 0.0F, -tiny}, tiny, bits)) {
                EXPECT_LE(std::abs(value), 1.001F * tiny) << tiny << " in " << bits << " bits";
            }
        }
    }
}

TEST(Quantise, nan_stays_nan) {
    EXPECT_TRUE(std::isnan(quantised({1.0F, std::numeric_limits<float>::quiet_NaN()}, 1.0F, 8)[1]));
}

TEST(Quantise, codes_are_whole_numbers_that_the_step_turns_into_values) {
    const auto x = normals(1000);
    const float largest = largest_magnitude(x);
    for (std::uint32_t bits = 2; bits <= 16; ++bits) {
        const float codes = static_cast<float>((1U << (bits - 1)) - 1);
        const Quantised result = quantised_with_codes(x, largest, bits);
        EXPECT_EQ(result.step, largest / codes);
        for (std::size_t i = 0; i < x.size(); ++i) {
            ASSERT_EQ(result.code[i], std::nearbyint(result.code[i]));
            ASSERT_LE(std::abs(result.code[i]), codes);
            ASSERT_EQ(result.y[i], result.code[i] * result.step);
        }
    }
}

TEST(Quantise, of_zeros_has_step_and_codes_zero) {
    const Quantised result = quantised_with_codes({0.0F, -0.0F}, 0.0F, 8);
    EXPECT_EQ(result.step, 0.0F);
    EXPECT_EQ(result.code, (std::vector<float>{0, 0}));
}

}  // namespace
}  // namespace crossweep::linalg
