// LayerNorm, softmax, GELU and their kin against the formulas in double precision.
#include "crossweep/linalg/elementwise.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "linalg/normal_matrix.hpp"

namespace crossweep::linalg {
namespace {

using Eigen::Index;

const std::vector<Index> widths{1, 2, 15, 16, 17, 64, 197, 1000};

double at(const Matrix& matrix, Index row, Index column) {
    return static_cast<double>(matrix(row, column));
}

TEST(LayerNorm, agrees_with_its_formula) {
    for (const Index width : widths) {
        Matrix x = 3 * normal_matrix(5, width, 1);
        x.array() += 2.0F;
        const Matrix weight = normal_matrix(1, width, 2), bias = normal_matrix(1, width, 3);
        Matrix y(5, width);
        layer_norm(const_view(x), row_of(const_view(weight), 0), row_of(const_view(bias), 0), 1e-6F, view(y));
        for (Index row = 0; row < 5; ++row) {
            double mean = 0, variance = 0;
            for (Index i = 0; i < width; ++i) mean += at(x, row, i) / static_cast<double>(width);
            for (Index i = 0; i < width; ++i) {
                variance += (at(x, row, i) - mean) * (at(x, row, i) - mean) / static_cast<double>(width);
            }
            for (Index i = 0; i < width; ++i) {
                const double expected =
                    (at(x, row, i) - mean) / std::sqrt(variance + 1e-6) * at(weight, 0, i) + at(bias, 0, i);
                ASSERT_NEAR(at(y, row, i), expected, 1e-5) << "width " << width;
            }
        }
    }
}

TEST(LayerNorm, of_a_constant_row_is_the_bias) {
    const Matrix x = Matrix::Constant(2, 64, 5.0F), weight = normal_matrix(1, 64, 1),
                 bias = normal_matrix(1, 64, 2);
    Matrix y(2, 64);
    layer_norm(const_view(x), row_of(const_view(weight), 0), row_of(const_view(bias), 0), 1e-6F, view(y));
    for (Index i = 0; i < 64; ++i) EXPECT_NEAR(y(1, i), bias(0, i), 1e-6F);
}

TEST(LayerNorm, uses_epsilon) {
    Matrix x(1, 2), y(1, 2);
    x << 1.0F, -1.0F;  // variance 1
    const std::vector<float> ones(2, 1.0F), zeros(2, 0.0F);
    layer_norm(const_view(x), ones, zeros, 3.0F, view(y));
    EXPECT_NEAR(y(0, 0), 0.5F, 1e-6F);
}

TEST(Softmax, agrees_with_its_formula) {
    for (const Index width : widths) {
        const Matrix x = 4 * normal_matrix(5, width, 1);
        Matrix y = x;
        softmax(view(y), 0.37F);
        for (Index row = 0; row < 5; ++row) {
            double sum = 0;
            for (Index i = 0; i < width; ++i) sum += std::exp(0.37 * at(x, row, i));
            for (Index i = 0; i < width; ++i) {
                const double expected = std::exp(0.37 * at(x, row, i)) / sum;
                ASSERT_NEAR(at(y, row, i), expected, 1e-6 * std::max(1e-3, expected)) << "width " << width;
            }
        }
    }
}

TEST(Softmax, survives_large_scores) {
    Matrix x(1, 3);
    x << 1e4F, -1e4F, 1e4F;
    softmax(view(x), 1.0F);
    EXPECT_FLOAT_EQ(x(0, 0), 0.5F);
    EXPECT_FLOAT_EQ(x(0, 1), 0.0F);
    EXPECT_FLOAT_EQ(x(0, 2), 0.5F);
}

TEST(Softmax, leaves_what_lies_beside_a_view) {
    Matrix x = Matrix::Constant(3, 10, 7.0F);
    softmax(columns_of(x, 2, 4), 1.0F);
    EXPECT_TRUE((x.leftCols(2).array() == 7.0F).all());
    EXPECT_TRUE((x.rightCols(4).array() == 7.0F).all());
    EXPECT_NEAR(x(2, 5), 0.25F, 1e-7F);
}

TEST(Gelu, agrees_with_its_exact_form) {
    Matrix x(1, 801);
    std::vector<float> bias(801);
    for (Index i = 0; i < 801; ++i) {
        x(0, i) = static_cast<float>(i - 400) / 20.0F;  // -20 to 20
        bias[static_cast<std::size_t>(i)] = 0.01F * static_cast<float>(i % 7);
    }
    Matrix y = x;
    add_bias_gelu(view(y), bias, Gelu::erf);
    for (Index i = 0; i < 801; ++i) {
        const double v = at(x, 0, i) + static_cast<double>(bias[static_cast<std::size_t>(i)]);
        ASSERT_NEAR(at(y, 0, i), 0.5 * v * std::erfc(-v / std::sqrt(2.0)), 2e-6 * std::max(1.0, std::abs(v)))
            << v;
    }
}

TEST(Gelu, of_gpt2_agrees_with_its_form) {
    Matrix x(1, 801), y;
    const std::vector<float> bias(801, 0.25F);
    for (Index i = 0; i < 801; ++i) x(0, i) = static_cast<float>(i - 400) / 20.0F;
    y = x;
    add_bias_gelu(view(y), bias, Gelu::tanh);
    for (Index i = 0; i < 801; ++i) {
        const double v = at(x, 0, i) + 0.25;
        const double u = std::sqrt(2 / 3.14159265358979323846) * (v + 0.044715 * v * v * v);
        ASSERT_NEAR(at(y, 0, i), 0.5 * v * (1 + std::tanh(u)), 2e-6 * std::max(1.0, std::abs(v))) << v;
    }
}

TEST(CausalSoftmax, sees_no_later_column) {
    const Matrix before = normal_matrix(3, 5, 1);
    Matrix x = before;
    causal_softmax(view(x), 0.5F, 2);
    for (Index row = 0; row < 3; ++row) {
        Matrix seen = before.block(row, 0, 1, row + 3);
        softmax(view(seen), 0.5F);
        EXPECT_EQ(x.block(row, 0, 1, row + 3), seen);
        EXPECT_TRUE((x.row(row).rightCols(2 - row).array() == 0.0F).all());
    }
}

TEST(AddBias, then_tanh_or_relu) {
    const Matrix before = 3 * normal_matrix(3, 17, 1), bias = normal_matrix(1, 17, 2);
    Matrix x = before, y = before;
    add_bias_tanh(view(x), row_of(const_view(bias), 0));
    add_bias_relu(view(y), row_of(const_view(bias), 0));
    for (Index row = 0; row < 3; ++row) {
        for (Index i = 0; i < 17; ++i) {
            const double sum = at(before, row, i) + at(bias, 0, i);
            EXPECT_NEAR(at(x, row, i), std::tanh(sum), 1e-6);
            EXPECT_NEAR(at(y, row, i), std::max(sum, 0.0), 1e-6);
        }
    }
}

TEST(LogSumExp, does_not_overflow) {
    EXPECT_NEAR(log_sum_exp(std::vector{1000.0F, 1000.0F}), 1000 + std::log(2.0), 1e-9);
    EXPECT_NEAR(log_sum_exp(std::vector{-1.0F, 2.0F, 0.5F}),
                std::log(std::exp(-1.0) + std::exp(2.0) + std::exp(0.5)), 1e-9);
}

TEST(AddBias, adds_to_every_row_and_skips_an_empty_bias) {
    const Matrix x = normal_matrix(3, 17, 1), bias = normal_matrix(1, 17, 2);
    Matrix y = x;
    add_bias(view(y), {});
    EXPECT_EQ(y, x);
    add_bias(view(y), row_of(const_view(bias), 0));
    EXPECT_EQ(y, (x.rowwise() + bias.row(0)).eval());
}

TEST(AddToResidual, adds_product_and_bias) {
    const Matrix x = normal_matrix(3, 17, 1), bias = normal_matrix(1, 17, 2),
                 before = normal_matrix(3, 17, 3);
    Matrix residual = before;
    add_to_residual(const_view(x), row_of(const_view(bias), 0), 1, view(residual));
    EXPECT_LT(largest_difference(residual, (before + x).rowwise() + bias.row(0)), 1e-6);
    residual = before;
    add_to_residual(const_view(x), row_of(const_view(bias), 0), 0.5F, view(residual));
    EXPECT_LT(largest_difference(residual, before + 0.5F * (x.rowwise() + bias.row(0))), 1e-6);
}

TEST(SquareSums, are_those_of_the_signal_and_of_the_difference) {
    const Matrix a = normal_matrix(7, 33, 1), b = normal_matrix(7, 33, 2);
    const SquareSums sums = square_sums(const_view(a), const_view(b));
    EXPECT_NEAR(sums.signal, a.cast<double>().squaredNorm(), 1e-10);
    EXPECT_NEAR(sums.noise, (a.cast<double>() - b.cast<double>()).squaredNorm(), 1e-10);
    EXPECT_EQ(square_sums(const_view(a), const_view(a)).noise, 0.0);
}

}  // namespace
}  // namespace crossweep::linalg
