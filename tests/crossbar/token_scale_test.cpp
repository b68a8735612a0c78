// K and V written with a scale for every token, as a decoder has to.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "crossbar/chip.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::const_view;
using linalg::largest_difference;
using linalg::Matrix;
using linalg::view;

ChipParams by_token() {
    ChipParams params = ideal_chip();
    params.crossbar.written_scale = ScaleBlock::token;
    return params;
}

/// K and V whose tokens differ in size by up to 1000, one of them all zeros.
BlockInputs uneven_inputs(Index tokens = 11) {
    BlockInputs in(BlockShape{.tokens = tokens});
    for (Matrix* operand : {&in.keys, &in.values}) {
        for (Index token = 0; token < tokens; ++token)
            operand->row(token) *= std::pow(10.0F, static_cast<float>(token % 4));
        operand->row(2).setZero();
    }
    return in;
}

TEST(TokenScale, divides_rows_by_their_largest_and_gives_it_to_the_inputs) {
    Matrix values(3, 2);
    values << 1, -4, 0, 0, 0.5F, 0.25F;
    TokenScale scale;
    Matrix wanted(3, 2);
    wanted << 0.25F, -1, 0, 0, 1, 0.5F;
    EXPECT_EQ(Matrix(scale.divide(const_view(values))), wanted);
    const Matrix inputs = Matrix::Ones(2, 3);
    Matrix scaled(2, 3);
    scale.multiply(const_view(inputs), view(scaled));
    Matrix expected(2, 3);
    expected << 4, 0, 0.5F, 4, 0, 0.5F;
    EXPECT_EQ(scaled, expected);
}

TEST(TokenScale, ideal_limit_is_the_digital_result_at_every_fidelity) {
    const BlockInputs in = uneven_inputs();
    EXPECT_LT(relative_error(noisy_products(by_token(), ImageId(0), in), exact_products(in)), 1e-6);
    for (const Fidelity fidelity : {Fidelity::sliced, Fidelity::circuit}) {
        ChipParams params = noiseless_chip(fidelity);
        params.crossbar.written_scale = ScaleBlock::token;
        params.crossbar.weight_levels = 65536;
        params.crossbar.input_bits = 16;
        EXPECT_LT(relative_error(noisy_products(params, ImageId(0), in), exact_products(in)), 1e-3);
    }
}

// Rounding to 256 levels: half a step of the token's own largest value at most.
TEST(TokenScale, levels_are_the_tokens_own) {
    const BlockInputs in = uneven_inputs();
    ChipParams params = by_token();
    params.crossbar.weight_levels = 256;
    Chip chip(params);
    const WrittenOperands got = written_operands(chip.engine(), in, ImageId(0));
    for (Index token = 0; token < in.shape.tokens; ++token) {
        for (const auto& [written, wanted] :
             {std::pair(&got.keys, &in.keys), std::pair(&got.values, &in.values)}) {
            const float half_step = wanted->row(token).cwiseAbs().maxCoeff() / 255 / 2;
            EXPECT_LE((written->row(token) - wanted->row(token)).cwiseAbs().maxCoeff(), 1.001F * half_step);
        }
    }
}

/// Mean and variance of what is written of every element, over many images.
struct WrittenMoments {
    Matrix mean, variance;
};

template <class Select>
WrittenMoments moments_over_images(const ChipParams& params, const BlockInputs& in, int images,
                                   Select&& select) {
    Chip chip(params);
    Matrix sum = Matrix::Zero(in.shape.tokens, in.shape.width), squares = sum;
    for (int image = 0; image < images; ++image) {
        const Matrix written =
            select(written_operands(chip.engine(), in, ImageId(static_cast<std::uint32_t>(image))));
        sum += written;
        squares += written.cwiseAbs2();
    }
    const auto n = static_cast<float>(images);
    return {sum / n, squares / n - (sum / n).cwiseAbs2()};
}

/// Pooled over the elements of a token: (variance found) / (variance of the law), less `planted`.
double worst_variance_error(const WrittenMoments& found, const Matrix& wanted, double sigma, double planted) {
    double worst = 0;
    for (Index token = 0; token < wanted.rows(); ++token) {
        const auto largest = static_cast<double>(wanted.row(token).cwiseAbs().maxCoeff());
        if (largest == 0) continue;
        double ratio = 0;
        for (Index i = 0; i < wanted.cols(); ++i) {
            // ClipFormer eq. 9 in units of weights: sigma sqrt(|w| w_max), w_max of the token.
            const double law =
                sigma * sigma * static_cast<double>(std::abs(wanted(token, i))) * largest * (1 + planted);
            ratio += static_cast<double>(found.variance(token, i)) / law / static_cast<double>(wanted.cols());
        }
        worst = std::max(worst, std::abs(ratio - 1));
    }
    return worst;
}

// 2000 images of 24 elements: the variance of a token is known to sqrt(2 / 48000) = 0.65 %, and the worst of
// 20 tokens lies within 3.3 % (five standard errors; alpha < 2e-5). Five per cent more is seen.
TEST(TokenScale, mean_and_variance_of_write_noise_follow_the_tokens_own_scale) {
    const BlockInputs in = uneven_inputs();
    ChipParams params = by_token();
    params.device.write_noise_sigma = 0.1;
    params.device.write_noise_factor = 1;
    const double sigma = 0.1;
    const auto check = [&](const Matrix& wanted, const WrittenMoments& found) {
        EXPECT_LT(worst_variance_error(found, wanted, sigma, 0), 0.033);
        EXPECT_GT(worst_variance_error(found, wanted, sigma, 0.05), 0.033);
        for (Index token = 0; token < in.shape.tokens; ++token) {
            const float largest = wanted.row(token).cwiseAbs().maxCoeff();
            // The mean of 2000 draws of at most sigma w_max, within five standard errors.
            EXPECT_LE((found.mean.row(token) - wanted.row(token)).cwiseAbs().maxCoeff(),
                      5 * 0.1F / std::sqrt(2000.0F) * largest);
        }
        EXPECT_TRUE((found.mean.row(2).array() == 0.0F).all());  // a row of zeros stays one
        EXPECT_TRUE((found.variance.row(2).array() == 0.0F).all());
    };
    check(in.keys, moments_over_images(params, in, 2000, [](const WrittenOperands& w) { return w.keys; }));
    check(in.values,
          moments_over_images(params, in, 2000, [](const WrittenOperands& w) { return w.values; }));
}

TEST(TokenScale, rows_of_a_shorter_text_are_written_as_in_a_longer_one) {
    const BlockInputs many = uneven_inputs(11), few = uneven_inputs(6);
    for (const Fidelity fidelity : {Fidelity::behavioural, Fidelity::sliced, Fidelity::circuit}) {
        ChipParams params = noiseless_chip(fidelity);
        params.crossbar.written_scale = ScaleBlock::token;
        params.device.write_noise_sigma = 0.1;
        params.crossbar.input_bits = 8;  // unit vectors are whole codes
        Chip of_many(params, many.shape), of_few(params, few.shape);
        const WrittenOperands longer = written_operands(of_many.engine(), many, ImageId(3));
        const WrittenOperands shorter = written_operands(of_few.engine(), few, ImageId(3));
        const auto relative = [&](const Matrix& a, const Matrix& b) {
            double worst = 0;
            for (Index row = 0; row < b.rows(); ++row) {
                if (row == 2) continue;
                worst = std::max(worst, largest_difference(a.row(row), b.row(row)) /
                                            static_cast<double>(b.row(row).cwiseAbs().maxCoeff()));
            }
            return worst;
        };
        EXPECT_LT(relative(longer.keys.topRows(6), shorter.keys), 1e-5);
        EXPECT_LT(relative(longer.values.topRows(6), shorter.values), 1e-5);
        EXPECT_GT(relative(shorter.keys, few.keys), 1e-2);  // there is noise
        // With one scale for all tokens the largest of them, which is yet to come, would decide.
        params.crossbar.written_scale = ScaleBlock::tensor;
        Chip tensor_many(params, many.shape), tensor_few(params, few.shape);
        BlockInputs growing = many;
        growing.keys.row(10) *= 100;
        EXPECT_GT(relative(written_operands(tensor_many.engine(), growing, ImageId(3)).keys.topRows(6),
                           written_operands(tensor_few.engine(), few, ImageId(3)).keys),
                  1e-2);
    }
}

TEST(TokenScale, what_is_not_finite_reaches_the_products) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
        BlockInputs in;
        in.keys(3, 5) = in.values(3, 5) = bad;
        const Products products = noisy_products(by_token(), ImageId(0), in);
        EXPECT_FALSE(std::isfinite(products.scores.sum()));
        EXPECT_FALSE(std::isfinite(products.context.sum()));
    }
}

}  // namespace
}  // namespace crossweep::crossbar
