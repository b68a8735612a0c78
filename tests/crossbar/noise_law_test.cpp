// The noise that reaches a product, against the formulas of PHYSICS in weight units. r = G_max / G_min.
// Each check is shown to fail on a planted error of 5 %.
#include <gtest/gtest.h>

#include <cmath>

#include "crossbar/chip.hpp"
#include "linalg/normal_law.hpp"

namespace crossweep::crossbar {
namespace {

using device::ReadNoiseMode;
using Eigen::Index;
using linalg::is_normal;
using linalg::Matrix;

constexpr double ratio = 100;
/// Factors on the deviation that one expects: the law, and 5 % beside it on both sides.
constexpr double planted[] = {1.05, 0.95};

using Sample = std::vector<double>;
/// Deviation of the noise of a weight of `magnitude` where the largest is `largest`.
using Deviation = double (*)(double magnitude, double largest);

double write_deviation(double magnitude, double largest) {
    return 3 * 0.1 * std::sqrt(magnitude * largest);
}
double programming_deviation(double magnitude, double largest) {
    return 0.1 * std::sqrt(magnitude * largest);
}
double read_deviation(double magnitude, double largest) {
    return 0.05 * (magnitude + largest / (ratio - 1));
}

/// Append (noisy - exact) / deviation of every element; elements without noise are left out. One row in
/// `every`.
void standardise(const Matrix& noisy, const Matrix& exact, Deviation deviation, Sample& sample) {
    const double largest = static_cast<double>(exact.cwiseAbs().maxCoeff());
    for (Index row = 0; row < exact.rows(); ++row) {
        for (Index column = 0; column < exact.cols(); ++column) {
            const double wanted = static_cast<double>(exact(row, column));
            const double expected = deviation(std::abs(wanted), largest);
            // The smallest magnitudes have noise near the rounding of fp32 conductances.
            if (expected > 1e-4 * largest)
                sample.push_back((static_cast<double>(noisy(row, column)) - wanted) / expected);
        }
    }
}

/// Standard normal, and not so if the deviation that one expects were 5 % off.
void expect_law(const Sample& sample) {
    ASSERT_GT(sample.size(), 20'000U);  // 5 standard errors of the variance: 5 %
    EXPECT_TRUE(is_normal(sample, 0, 1));
    for (const double factor : planted) EXPECT_FALSE(is_normal(sample, 0, factor));
}

/// Noise of K and V over many images.
struct OperandSamples {
    Sample keys, values;
};
OperandSamples operand_noise(const ChipParams& params, Deviation deviation, std::uint32_t images = 60) {
    const BlockInputs in(BlockShape{.tokens = 25});
    Chip chip(params, in.shape);
    OperandSamples samples;
    for (std::uint32_t image = 0; image < images; ++image) {
        const WrittenOperands written = written_operands(chip.engine(), in, ImageId(image));
        standardise(written.keys, in.keys, deviation, samples.keys);
        standardise(written.values, in.values, deviation, samples.values);
    }
    return samples;
}

TEST(WriteNoiseLaw, of_k_and_v_is_gamma_sigma_sqrt_of_magnitude_times_largest) {
    ChipParams params = ideal_chip();
    params.device.write_noise_sigma = 0.1;
    const OperandSamples samples = operand_noise(params, write_deviation);
    expect_law(samples.keys);
    expect_law(samples.values);
}

TEST(WriteNoiseLaw, planted_error_of_five_percent_in_gamma_is_found) {
    ChipParams params = ideal_chip();
    params.device.write_noise_sigma = 0.1;
    params.device.write_noise_factor = 1.05 * 3;
    const OperandSamples samples = operand_noise(params, write_deviation);
    EXPECT_FALSE(is_normal(samples.keys, 0, 1));
    EXPECT_FALSE(is_normal(samples.values, 0, 1));
}

TEST(WriteNoiseLaw, does_not_depend_on_on_off_ratio) {
    const BlockInputs in;
    const auto written = [&](double on_off_ratio) {
        ChipParams params = ideal_chip();
        params.device.write_noise_sigma = 0.1;
        params.device.on_off_ratio = on_off_ratio;
        Chip chip(params);
        return written_operands(chip.engine(), in, ImageId(0));
    };
    const WrittenOperands original = written(100);
    for (const double other : {25.0, 50.0, 1000.0}) {
        EXPECT_LT(linalg::largest_difference(written(other).keys, original.keys), 1e-5);
        EXPECT_LT(linalg::largest_difference(written(other).values, original.values), 1e-5);
    }
}

TEST(ReadNoiseLaw, of_frozen_k_and_v_grows_with_the_magnitude_and_g_min) {
    ChipParams params = ideal_chip();
    params.device.read_noise = ReadNoiseMode::frozen;
    params.device.read_noise_sigma = 0.05;
    const OperandSamples samples = operand_noise(params, read_deviation);
    expect_law(samples.keys);
    expect_law(samples.values);
    const OperandSamples without_g_min =
        operand_noise(params, [](double magnitude, double) { return 0.05 * magnitude; });
    EXPECT_FALSE(is_normal(without_g_min.keys, 0, 1));
}

// Read with one unit input at a time, a fresh read shows the noise of one device. Squared amplitudes have 7
// bits: those of small weights are too coarse to be looked at one by one (see read_variance_test.cpp).
TEST(ReadNoiseLaw, of_fresh_reads_of_k_and_v_is_the_same_for_one_device) {
    ChipParams params = ideal_chip();
    params.device.read_noise_sigma = 0.05;
    const OperandSamples samples = operand_noise(
        params,
        [](double magnitude, double largest) {
            return magnitude < 0.4 * largest ? 0 : read_deviation(magnitude, largest);
        },
        300);
    expect_law(samples.keys);
    expect_law(samples.values);
    params.device.read_noise_sigma = 1.05 * 0.05;
    EXPECT_FALSE(is_normal(operand_noise(params, read_deviation).keys, 0, 1));
}

/// Weights as they stand on many chips, part by part.
Sample weight_noise(ChipParams params, Deviation deviation) {
    Sample sample;
    for (std::uint32_t trial = 0; trial < 30; ++trial) {
        params.key.trial = trial;
        const Chip chip(params);
        for (std::size_t part = 0; part < 3; ++part) {
            const Matrix mean = weights_of(std::get<LinearMatrix>(chip.programmed()[0][part]));
            standardise(mean, part_of(chip.weights().all()[0], part), deviation, sample);
        }
    }
    return sample;
}

TEST(ReadNoiseLaw, of_frozen_weights_has_the_largest_weight_of_each_part) {
    ChipParams params = ideal_chip();
    params.device.read_noise = ReadNoiseMode::frozen;
    params.device.read_noise_sigma = 0.05;
    expect_law(weight_noise(params, read_deviation));
    params.device.read_noise_sigma = 0.95 * 0.05;
    EXPECT_FALSE(is_normal(weight_noise(params, read_deviation), 0, 1));
}

TEST(ProgrammingNoiseLaw, is_that_of_writing_without_gamma) {
    ChipParams params = ideal_chip();
    params.device.programming_noise_sigma = 0.1;
    params.device.write_noise_factor = 5;
    expect_law(weight_noise(params, programming_deviation));
    params.device.programming_noise_sigma = 1.05 * 0.1;
    EXPECT_FALSE(is_normal(weight_noise(params, programming_deviation), 0, 1));
}

/// Errors of a product with weights over many images, each over sigma sqrt(sum x^2 (|W| + W_max / (r -
/// 1))^2). Outputs of each image follow each other, token by token.
Sample product_noise(double sigma, ReadNoiseMode mode) {
    ChipParams params = ideal_chip();
    params.device.read_noise = mode;
    params.device.read_noise_sigma = sigma;
    const BlockInputs in;
    const BlockWeights weights(in.shape);
    const Matrix exact = in.x * weights.mlp().transpose();
    const float floor = weights.mlp().cwiseAbs().maxCoeff() / static_cast<float>(ratio - 1);
    const Matrix amplitude = (weights.mlp().cwiseAbs().array() + floor).matrix();
    const Matrix variance = in.x.cwiseAbs2() * amplitude.cwiseAbs2().transpose();
    Sample sample;
    for (std::uint32_t repeat = 0; repeat < 60; ++repeat) {
        params.key.trial = mode == ReadNoiseMode::frozen ? repeat : 0;
        Chip chip(params, in.shape);
        const Matrix noise = products_of(chip.engine(), in, ImageId(repeat)).mlp - exact;
        for (Index row = 0; row < noise.rows(); ++row) {
            for (Index column = 0; column < noise.cols(); ++column) {
                sample.push_back(static_cast<double>(noise(row, column)) /
                                 (0.05 * std::sqrt(static_cast<double>(variance(row, column)))));
            }
        }
    }
    return sample;
}

TEST(ReadNoiseLaw, of_a_product_is_the_exact_gaussian_of_its_devices) {
    expect_law(product_noise(0.05, ReadNoiseMode::per_read));
    EXPECT_FALSE(is_normal(product_noise(1.05 * 0.05, ReadNoiseMode::per_read), 0, 1));
}

TEST(ReadNoiseLaw, of_fresh_products_is_independent_between_columns_tokens_and_images) {
    const BlockInputs in;
    const auto columns = static_cast<std::size_t>(in.shape.hidden);
    const std::size_t image = columns * static_cast<std::size_t>(in.shape.tokens);
    const auto lagged = [](const Sample& sample, std::size_t lag) {
        const std::span<const double> all(sample);
        return linalg::are_uncorrelated(all.first(all.size() - lag), all.subspan(lag));
    };
    const Sample fresh = product_noise(0.05, ReadNoiseMode::per_read);
    EXPECT_TRUE(lagged(fresh, 1));
    EXPECT_TRUE(lagged(fresh, columns));
    EXPECT_TRUE(lagged(fresh, image));
    // Frozen devices make the errors of one column's tokens depend on each other: the check must see that
    // kind.
    Sample repeated = fresh;
    for (std::size_t i = columns; i < repeated.size(); ++i) repeated[i] += 0.05 * fresh[i - columns];
    EXPECT_FALSE(lagged(repeated, columns));
}

// Frozen and fresh noise differ in how long they last, not in the error of one product.
TEST(ReadNoiseLaw, of_frozen_products_has_the_same_variance) {
    const double variance = linalg::moments_of(product_noise(0.05, ReadNoiseMode::frozen)).variance;
    // Tokens share their devices: 60 chips x 40 columns = 2400 independent errors at least, 5 sqrt(2 / 2400)
    // = 14 %.
    EXPECT_NEAR(variance, 1, 0.14);
}

}  // namespace
}  // namespace crossweep::crossbar
