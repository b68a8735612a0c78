#include "crossweep/crossbar/large_small.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "crossbar/chip.hpp"
#include "crossweep/crossbar/function_unit.hpp"

namespace crossweep::crossbar {
namespace {

using linalg::const_view;
using linalg::Matrix;
using linalg::Role;

/// INT8 on cells of one bit, 1-bit DACs and 2-bit converters, as the architecture is published.
ChipParams large_small(double telegraph_amplitude = 0) {
    ChipParams params = noiseless_chip(Fidelity::large_small);
    params.crossbar.weight_levels = 128;
    params.crossbar.array_rows = params.crossbar.array_columns = 128;
    params.crossbar.adc_bits = 2;
    params.device.bits_per_cell = 1;
    params.device.telegraph_amplitude = telegraph_amplitude;
    return params;
}

/// The same by hand: circuits on arrays of three rows with converters over their full range.
ChipParams circuit_of_three_rows(double telegraph_amplitude) {
    ChipParams params = large_small(telegraph_amplitude);
    params.fidelity = Fidelity::circuit;
    params.crossbar.array_rows = 3;
    params.crossbar.adc_range = AdcRange::full;
    return params;
}

TEST(LargeSmall, drives_as_many_rows_as_converters_resolve) {
    CrossbarParams params = large_small().crossbar;
    EXPECT_EQ(rows_at_once(params, 1), 3U);
    EXPECT_EQ(rows_at_once(params, 2), 1U);
    params.adc_bits = 6;
    EXPECT_EQ(rows_at_once(params, 2), 21U);
    params.dac_bits = 2;
    EXPECT_EQ(rows_at_once(params, 2), 7U);
    params.adc_bits = 0;
    EXPECT_EQ(rows_at_once(params, 2), 128U);
    params.rows_at_once = 5;
    EXPECT_EQ(rows_at_once(params, 2), 5U);
}

TEST(LargeSmall, telegraph_noise_of_a_sixth_of_a_step_cannot_change_a_code) {
    const auto exact = [](double amplitude, std::uint32_t rows = 0) {
        ChipParams params = large_small(amplitude);
        params.crossbar.rows_at_once = rows;
        return reads_exactly(params.operands()[0], params.crossbar);
    };
    EXPECT_TRUE(exact(0.05));
    EXPECT_TRUE(exact(0.16));  // three cells of G_max: 0.16 * 3 * 100 / 99 < 1 / 2
    EXPECT_FALSE(exact(0.17));
    EXPECT_TRUE(exact(0.17, 2));
    EXPECT_FALSE(exact(0, 4));  // a sum of 4 has no code
}

/// round(127 x / largest) of every row.
Matrix int8_rows(const Matrix& x, std::vector<double>& steps) {
    Matrix codes = x;
    steps.clear();
    for (Eigen::Index row = 0; row < x.rows(); ++row) {
        steps.push_back(static_cast<double>(x.row(row).cwiseAbs().maxCoeff()) / 127);
        for (Eigen::Index i = 0; i < x.cols(); ++i)
            codes(row, i) = static_cast<float>(std::nearbyint(static_cast<double>(x(row, i)) / steps.back()));
    }
    return codes;
}

TEST(LargeSmall, products_are_those_of_8_bit_integers) {
    const BlockInputs in;
    const BlockWeights weights(in.shape);
    const Products out = noisy_products(large_small(0.05), ImageId(0), in);
    std::vector<double> steps;
    const Matrix x = int8_rows(in.x, steps);
    const double weight_step = static_cast<double>(weights.mlp().cwiseAbs().maxCoeff()) / 127;
    for (Eigen::Index token = 0; token < x.rows(); ++token) {
        for (Eigen::Index output = 0; output < weights.mlp().rows(); ++output) {
            double sum = 0;
            for (Eigen::Index i = 0; i < x.cols(); ++i)
                sum += static_cast<double>(x(token, i)) *
                       std::nearbyint(static_cast<double>(weights.mlp()(output, i)) / weight_step);
            const double wanted = sum * steps[static_cast<std::size_t>(token)] * weight_step;
            EXPECT_NEAR(static_cast<double>(out.mlp(token, output)), wanted, 1e-5);
        }
    }
}

TEST(LargeSmall, integers_are_what_the_circuits_give) {
    const BlockInputs in;
    for (const double amplitude : {0.0, 0.05, 0.16}) {
        const Products integers = noisy_products(large_small(amplitude), ImageId(3), in);
        const Products circuits = noisy_products(circuit_of_three_rows(amplitude), ImageId(3), in);
        EXPECT_LT(relative_error(integers, circuits), 1e-6) << amplitude;
    }
}

TEST(LargeSmall, beyond_the_margin_it_is_the_circuit_itself) {
    const BlockInputs in;
    const Products noisy = noisy_products(large_small(0.2), ImageId(3), in);
    EXPECT_TRUE(noisy == noisy_products(circuit_of_three_rows(0.2), ImageId(3), in));
    EXPECT_GT(relative_error(noisy, noisy_products(large_small(0.16), ImageId(3), in)), 1e-3);
    EXPECT_FALSE(noisy == noisy_products(large_small(0.2), ImageId(4), in));
}

TEST(LargeSmall, works_with_real_numbers_on_cells_too) {
    const BlockInputs in;
    ChipParams params = large_small();
    params.device.write_noise_sigma = 0.05;
    params.device.write_noise_factor = 1;
    const Products exact = noisy_products(large_small(), ImageId(0), in);
    // A little noise of writing is rounded away; much is not.
    EXPECT_LT(relative_error(noisy_products(params, ImageId(0), in), exact), 1e-6);
    params.device.write_noise_factor = 6;
    EXPECT_GT(relative_error(noisy_products(params, ImageId(0), in), exact), 1e-2);
    params.device.write_noise_factor = 0;
    params.device.read_noise_sigma = 0.3;
    EXPECT_GT(relative_error(noisy_products(params, ImageId(0), in), exact), 1e-2);
}

/// One weight of 1 with an input of 1: the product's seven times seven reads, each one cell.
struct OneCell {
    static constexpr int images = 20000;
    double mean = 0, variance = 0, kurtosis = 0;

    explicit OneCell(double amplitude) {
        ChipParams params = large_small(amplitude);
        params.fidelity = Fidelity::circuit;  // with exact converters, to see what they would round
        params.crossbar.adc_bits = 0;
        params.device.on_off_ratio = 1e6;
        const BlockShape shape{.tokens = 1, .width = 1, .hidden = 1, .heads = 1};
        Chip chip(params, std::make_unique<BlockWeights>(shape, Matrix::Ones(3, 1), Matrix::Ones(1, 1)));
        const Matrix x = Matrix::Ones(1, 1);
        Matrix y(1, 1);
        std::vector<double> values;
        for (std::uint32_t image = 0; image < images; ++image) {
            chip.engine().begin_image(ImageId(image));
            chip.engine().multiply(1, const_view(x), linalg::view(y));
            values.push_back(static_cast<double>(y(0, 0)));
            mean += values.back() / images;
        }
        for (const double value : values) variance += std::pow(value - mean, 2) / images;
        for (const double value : values)
            kurtosis += std::pow(value - mean, 4) / (images * variance * variance);
    }
};

/// The same from the law: reads count 2^(cycle + slice) / 127^2, each up or down by the amplitude.
void expect_law(const OneCell& found, double amplitude) {
    double squares = 0, fourths = 0;
    for (int cycle = 0; cycle < 7; ++cycle) {
        for (int slice = 0; slice < 7; ++slice) {
            const double weight = std::exp2(cycle + slice) / (127.0 * 127.0);
            squares += std::pow(weight, 2);
            fourths += std::pow(weight, 4);
        }
    }
    const double variance = amplitude * amplitude * squares;
    EXPECT_NEAR(found.mean, 1, 5 * std::sqrt(variance / OneCell::images));
    EXPECT_NEAR(found.variance / variance, 1, 0.04);
    EXPECT_NEAR(found.kurtosis, 3 - 2 * fourths / (squares * squares), 0.05);
}

TEST(TelegraphNoise, has_two_states_for_every_cell_and_read) {
    expect_law(OneCell(0.1), 0.1);
    // A twin with another amplitude would be found.
    EXPECT_GT(std::abs(OneCell(0.105).variance / OneCell(0.1).variance - 1), 0.06);
}

TEST(TelegraphNoise, changes_a_code_only_where_three_cells_agree) {
    // Sum 3 of amplitude 0.2 becomes 3.6 or 2.4 if all agree, with a chance of 1/4: the first is clipped, the
    // second read as 2. Sums of 2 become 2.4 at most.
    const BlockShape shape{.tokens = 1, .width = 3, .hidden = 1, .heads = 1};
    ChipParams params = large_small(0.2);
    params.device.on_off_ratio = 1e6;
    Chip chip(params, std::make_unique<BlockWeights>(shape, Matrix::Ones(9, 3), Matrix::Ones(1, 3)));
    const Matrix x = Matrix::Ones(1, 3);
    Matrix y(1, 1);
    double mean = 0;
    constexpr int images = 4000;
    for (std::uint32_t image = 0; image < images; ++image) {
        chip.engine().begin_image(ImageId(image));
        chip.engine().multiply(1, const_view(x), linalg::view(y));
        EXPECT_LE(y(0, 0), 3.0F);
        mean += static_cast<double>(y(0, 0)) / images;
    }
    EXPECT_NEAR(mean, 3 - 1.0 / 8, 0.01);  // one in eight reads loses one level of three
}

Matrix softmax_of(const ChipParams& params, const Matrix& x, ImageId image = ImageId(0),
                  std::optional<Eigen::Index> first = {}) {
    Chip chip(params);
    Matrix y = x;
    chip.engine().begin_image(image);
    chip.engine().softmax(LayerId(1), linalg::view(y), 0.5F, first);
    return y;
}

TEST(FunctionUnit, softmax_gives_codes_that_the_next_product_meets_again) {
    const Matrix x = linalg::normal_matrix(5, 30, 7) * 4.0F;
    const Matrix y = softmax_of(large_small(), x);
    Matrix exact = x;
    linalg::softmax(linalg::view(exact), 0.5F);
    EXPECT_LT((y - exact).cwiseAbs().maxCoeff(), 0.02F);
    for (Eigen::Index row = 0; row < y.rows(); ++row) {
        EXPECT_NEAR(y.row(row).sum(), 1, 1e-6);
        const Matrix codes = y.row(row) / y.row(row).maxCoeff() * 127;
        EXPECT_LT((codes.array() - codes.array().round()).abs().maxCoeff(), 1e-4F);
    }
}

TEST(FunctionUnit, causal_softmax_sees_no_later_token) {
    const Matrix x = linalg::normal_matrix(4, 6, 7);
    const Matrix y = softmax_of(large_small(), x, ImageId(0), 2);
    for (Eigen::Index row = 0; row < 4; ++row)
        for (Eigen::Index column = 0; column < 6; ++column)
            EXPECT_EQ(y(row, column) == 0, column > row + 2) << row << " " << column;
}

TEST(FunctionUnit, norm_and_gelu_are_those_of_rounded_rows) {
    const Matrix x = linalg::normal_matrix(5, 48, 8);
    const std::vector<float> weight(48, 1.5F), bias(48, 0.25F), none(48, 0.0F);
    std::vector<double> steps;
    Matrix rounded = int8_rows(x, steps);
    for (Eigen::Index row = 0; row < x.rows(); ++row)
        rounded.row(row) *= static_cast<float>(steps[static_cast<std::size_t>(row)]);
    Chip chip(large_small());
    Matrix norm(5, 48), wanted(5, 48), gelu = x;
    chip.engine().layer_norm(LayerId(1), const_view(x), {weight, bias, 1e-6F}, linalg::view(norm));
    linalg::layer_norm(const_view(rounded), weight, bias, 1e-6F, linalg::view(wanted));
    EXPECT_LT((norm - wanted).cwiseAbs().maxCoeff(), 1e-5F);
    chip.engine().add_bias_gelu(LayerId(1), linalg::view(gelu), none, linalg::Gelu::erf);
    linalg::add_bias_gelu(linalg::view(rounded), none, linalg::Gelu::erf);
    EXPECT_LT((gelu - rounded).cwiseAbs().maxCoeff(), 1e-5F);
}

TEST(FunctionUnit, sums_have_the_noise_of_their_cells) {
    const Matrix x = linalg::normal_matrix(5, 48, 8);
    EXPECT_TRUE(softmax_of(large_small(0.16), x) == softmax_of(large_small(), x));
    const Matrix noisy = softmax_of(large_small(0.2), x);
    EXPECT_FALSE(noisy == softmax_of(large_small(), x));
    EXPECT_TRUE(noisy == softmax_of(large_small(0.2), x));
    EXPECT_FALSE(noisy == softmax_of(large_small(0.2), x, ImageId(1)));
    const std::vector<float> ones(48, 1.0F);
    std::vector<Matrix> norms;
    for (const double amplitude : {0.0, 0.16, 0.2}) {
        Chip chip(large_small(amplitude));
        chip.engine().layer_norm(LayerId(1), const_view(x), {ones, ones, 1e-6F},
                                 linalg::view(norms.emplace_back(5, 48)));
    }
    EXPECT_TRUE(norms[0] == norms[1]);
    EXPECT_GT((norms[2] - norms[0]).cwiseAbs().maxCoeff(), 1e-3F);
}

TEST(FunctionUnit, read_noise_follows_the_law_of_the_device) {
    const Matrix x = linalg::normal_matrix(5, 48, 8);
    const std::vector<float> ones(48, 1.0F);
    std::vector<Matrix> norms, softmaxes;
    for (const auto law : {device::ReadNoiseLaw::proportional, device::ReadNoiseLaw::constant}) {
        ChipParams params = large_small();
        params.device.read_noise_sigma = 0.3;
        params.device.read_noise_law = law;
        softmaxes.push_back(softmax_of(params, x));
        Chip chip(params);
        chip.engine().layer_norm(LayerId(1), const_view(x), {ones, ones, 1e-6F},
                                 linalg::view(norms.emplace_back(5, 48)));
    }
    EXPECT_FALSE(softmaxes[0] == softmax_of(large_small(), x));
    EXPECT_TRUE(softmaxes[0] == softmaxes[1]);  // ones are all at G_max
    EXPECT_FALSE(norms[0] == norms[1]);
}

TEST(FunctionUnit, sums_that_are_misread_altogether_leave_numbers) {
    const Matrix x = linalg::normal_matrix(5, 48, 8);
    const std::vector<float> ones(48, 1.0F);
    for (const double amplitude : {0.6, 1.0}) {
        EXPECT_TRUE(softmax_of(large_small(amplitude), x).allFinite());
        Chip chip(large_small(amplitude));
        Matrix norm(5, 48);
        chip.engine().layer_norm(LayerId(1), const_view(x), {ones, ones, 1e-6F}, linalg::view(norm));
        EXPECT_TRUE(norm.allFinite());
    }
}

TEST(FunctionUnit, what_is_not_finite_stays_so) {
    Matrix x = linalg::normal_matrix(2, 12, 8);
    x(1, 3) = std::numeric_limits<float>::quiet_NaN();
    for (const double amplitude : {0.0, 0.2}) {
        const Matrix y = softmax_of(large_small(amplitude), x);
        EXPECT_TRUE(y.row(0).allFinite());
        EXPECT_FALSE(y.row(1).allFinite());
    }
}

}  // namespace
}  // namespace crossweep::crossbar
