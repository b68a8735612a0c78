// Intervals against published and hand-computed values, and against how often they hold what they must.
#include "crossweep/core/statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace crossweep {
namespace {

void expect_estimate(const Estimate& estimate, double low, double best, double high, double tolerance) {
    EXPECT_NEAR(estimate.low, low, tolerance);
    EXPECT_NEAR(estimate.best, best, tolerance);
    EXPECT_NEAR(estimate.high, high, tolerance);
}

// Abramowitz & Stegun (1964), Tables 26.5 and 26.6.
TEST(NormalQuantile, gives_tabled_values) {
    EXPECT_EQ(normal_quantile(0.5), 0);
    EXPECT_NEAR(normal_quantile(0.975), 1.959963985, 1e-8);
    EXPECT_NEAR(normal_quantile(0.999), 3.090232306, 1e-8);
    EXPECT_NEAR(normal_quantile(1e-6), -4.753424309, 1e-8);
}

TEST(NormalQuantile, undoes_the_distribution_and_is_odd_about_one_half) {
    for (const double probability : {1e-9, 0.001, 0.1, 0.3, 0.5}) {
        const double z = normal_quantile(probability);
        EXPECT_NEAR(0.5 * std::erfc(-z / std::sqrt(2.0)), probability, 1e-12 + 1e-9 * probability);
        EXPECT_NEAR(normal_quantile(1 - probability), -z, 1e-6);
    }
}

TEST(NormalQuantile, is_infinite_at_zero_and_one) {
    EXPECT_EQ(normal_quantile(0), -std::numeric_limits<double>::infinity());
    EXPECT_EQ(normal_quantile(1), std::numeric_limits<double>::infinity());
}

// Newcombe (1998), Statistics in Medicine 17, 857, Table I, method 3; four decimals.
TEST(WilsonInterval, gives_published_values) {
    expect_estimate(wilson_interval(81, 263, 0.95), 0.2553, 81.0 / 263, 0.3662, 6e-5);
    expect_estimate(wilson_interval(15, 148, 0.95), 0.0624, 15.0 / 148, 0.1605, 6e-5);
    expect_estimate(wilson_interval(0, 20, 0.95), 0.0, 0.0, 0.1611, 6e-5);
    expect_estimate(wilson_interval(1, 29, 0.95), 0.0061, 1.0 / 29, 0.1718, 6e-5);
}

TEST(WilsonInterval, is_symmetric_and_stays_within_zero_and_one) {
    for (const double count : {1.0, 2.5, 20.0, 1e6}) {
        for (const double share : {0.0, 0.3, 1.0}) {
            const Estimate right = wilson_interval(share * count, count, 0.95);
            const Estimate wrong = wilson_interval((1 - share) * count, count, 0.95);
            EXPECT_NEAR(right.low, 1 - wrong.high, 1e-12);
            EXPECT_GE(right.low, 0);
            EXPECT_LE(right.high, 1);
            EXPECT_LE(right.low, right.best + 1e-12);
            EXPECT_GE(right.high, right.best - 1e-12);
        }
    }
}

TEST(WilsonInterval, widens_with_confidence_and_narrows_with_the_count) {
    const auto width = [](double count, double confidence) {
        const Estimate estimate = wilson_interval(0.3 * count, count, confidence);
        return estimate.high - estimate.low;
    };
    EXPECT_LT(width(100, 0.9), width(100, 0.99));
    EXPECT_NEAR(width(1e6, 0.95) / width(4e6, 0.95), 2, 1e-3);
}

TEST(WilsonInterval, of_nothing_is_unknown) {
    const Estimate estimate = wilson_interval(0, 0, 0.95);
    EXPECT_TRUE(std::isnan(estimate.low) && std::isnan(estimate.best) && std::isnan(estimate.high));
}

// Mean 3, standard error sqrt(2.5 / 5), Student's t of 4 degrees of freedom at 0.975: 2.776445.
TEST(MeanInterval, is_that_of_student) {
    const std::vector<double> values{1, 2, 3, 4, 5};
    const double half = 2.776445105 * std::sqrt(0.5);
    expect_estimate(mean_interval(values, 0.95), 3 - half, 3, 3 + half, 1e-8);
}

TEST(MeanInterval, of_one_value_has_no_bounds_and_of_none_no_mean) {
    const Estimate one = mean_interval(std::vector<double>{4.0}, 0.95);
    EXPECT_EQ(one.best, 4.0);
    EXPECT_TRUE(std::isnan(one.low) && std::isnan(one.high));
    EXPECT_TRUE(std::isnan(mean_interval({}, 0.95).best));
}

TEST(MeanInterval, of_identical_values_has_no_width) {
    expect_estimate(mean_interval(std::vector<double>(7, 0.25), 0.95), 0.25, 0.25, 0.25, 1e-15);
}

// Trials 2 and 4, images 4.5 and 1.5, residuals all 1/2 in size: V_image 2.25, V_trial 1, V_residual 1/4, so
// the chips have 3/4. With chip noise, this data set has V_trial with one degree of freedom (t at
// 0.975: 12.7062), and images like these V = 2.25 + 0.75 with 9 / (2.25^2 + 0.75^2) = 1.6 degrees of freedom
// (5.517245). Without, they have V_residual and V_image, both with one.
TEST(TwoWayInterval, agrees_with_a_computation_by_hand) {
    const std::vector<float> values{3, 1, 6, 2};
    constexpr double student_1 = 12.706204736, student_1_6 = 5.517245440727;
    const TwoWayEstimate chips = two_way_interval(values, 2, 2, ChipNoise::present, 0.95);
    expect_estimate(chips.this_data_set, 3 - student_1, 3, 3 + student_1, 1e-7);
    const double half = student_1_6 * std::sqrt(3.0);
    expect_estimate(chips.images_like_these, 3 - half, 3, 3 + half, 1e-7);

    const TwoWayEstimate inputs = two_way_interval(values, 2, 2, ChipNoise::none, 0.95);
    expect_estimate(inputs.this_data_set, 3 - 0.5 * student_1, 3, 3 + 0.5 * student_1, 1e-7);
    expect_estimate(inputs.images_like_these, 3 - 1.5 * student_1, 3, 3 + 1.5 * student_1, 1e-7);
}

// Trials 2/3 and 1, images 1, 1/2, 1: all three variances are 1/36. Without chip noise both intervals have 2
// degrees of freedom: of the residual 1 x 2, of the images 3 - 1.
TEST(TwoWayInterval, of_correctness_agrees_with_a_computation_by_hand) {
    const std::vector<float> correct{1, 0, 1, 1, 1, 1};
    const TwoWayEstimate estimate = two_way_interval(correct, 2, 3, ChipNoise::none, 0.95);
    const double mean = 5.0 / 6, half = 4.302652729911 / 6;
    expect_estimate(estimate.this_data_set, mean - half, mean, mean + half, 1e-7);
    expect_estimate(estimate.images_like_these, mean - half, mean, mean + half, 1e-7);
}

TEST(TwoWayInterval, of_one_trial_is_that_of_its_images) {
    const std::vector<float> values{1, 0, 0, 1, 1};
    const TwoWayEstimate estimate = two_way_interval(values, 1, 5, ChipNoise::present, 0.95);
    const Estimate images = mean_interval(std::vector<double>(values.begin(), values.end()), 0.95);
    expect_estimate(estimate.images_like_these, images.low, images.best, images.high, 1e-12);
    EXPECT_EQ(estimate.this_data_set.best, estimate.images_like_these.best);
    EXPECT_TRUE(std::isnan(estimate.this_data_set.low) && std::isnan(estimate.this_data_set.high));
}

TEST(TwoWayInterval, of_one_image_says_nothing_about_others) {
    const TwoWayEstimate estimate =
        two_way_interval(std::vector<float>{1, 2, 3}, 3, 1, ChipNoise::present, 0.95);
    EXPECT_NEAR(estimate.this_data_set.best, 2, 1e-12);
    EXPECT_LT(estimate.this_data_set.low, 2);
    EXPECT_TRUE(std::isnan(estimate.images_like_these.low) && std::isnan(estimate.images_like_these.high));
}

TEST(TwoWayInterval, of_identical_values_is_no_certainty) {
    const TwoWayEstimate estimate =
        two_way_interval(std::vector<float>(12, 1.0F), 3, 4, ChipNoise::present, 0.95);
    const double half = wilson_interval(0, 4, 0.95).high;
    EXPECT_GT(half, 0.1);
    expect_estimate(estimate.this_data_set, 1 - half, 1, 1 + half, 1e-12);
    expect_estimate(estimate.images_like_these, 1 - half, 1, 1 + half, 1e-12);
}

TEST(TwoWayInterval, of_nothing_is_unknown) {
    EXPECT_TRUE(std::isnan(two_way_interval({}, 0, 5, ChipNoise::none, 0.95).images_like_these.best));
    EXPECT_TRUE(std::isnan(two_way_interval({}, 5, 0, ChipNoise::none, 0.95).this_data_set.best));
}

/// Deviations of the random effects: value = trial + image + both, each normal with mean zero.
struct Effects {
    double trial, image, residual;
};

/// How often the intervals of a crossed experiment hold the truth.
struct Coverage {
    double this_data_set = 0, images_like_these = 0, images_alone = 0;
};

constexpr int experiments = 4000;
constexpr std::size_t images = 40;

Coverage coverage_of(const Effects& effects, std::size_t trials, ChipNoise chip_noise) {
    std::mt19937_64 generator(20240610);
    std::normal_distribution<double> normal;
    const auto holds = [](const Estimate& estimate, double truth) {
        return estimate.low <= truth && truth <= estimate.high ? 1.0 / experiments : 0.0;
    };
    Coverage coverage;
    std::vector<double> of_image(images);
    std::vector<float> values(trials * images);
    for (int experiment = 0; experiment < experiments; ++experiment) {
        double mean_of_images = 0;
        for (double& effect : of_image) {
            effect = effects.image * normal(generator);
            mean_of_images += effect / static_cast<double>(images);
        }
        std::vector<double> by_image(images);
        for (std::size_t t = 0; t < trials; ++t) {
            const double of_trial = effects.trial * normal(generator);
            for (std::size_t i = 0; i < images; ++i) {
                const double value = of_trial + of_image[i] + effects.residual * normal(generator);
                values[t * images + i] = static_cast<float>(value);
                by_image[i] += value / static_cast<double>(trials);
            }
        }
        const TwoWayEstimate estimate = two_way_interval(values, trials, images, chip_noise, 0.95);
        coverage.this_data_set += holds(estimate.this_data_set, mean_of_images);
        coverage.images_like_these += holds(estimate.images_like_these, 0);
        coverage.images_alone += holds(mean_interval(by_image, 0.95), 0);
    }
    return coverage;
}

// 4000 experiments: standard error of a coverage of 95 % is 0.34 %; five of them (alpha = 6e-7) are 1.7 %.
constexpr double allowance = 0.017;

TEST(TwoWayInterval, of_chips_holds_the_truth_as_often_as_it_says_from_two_trials_on) {
    for (const std::size_t trials : {2U, 3U, 8U}) {
        for (const double of_trial : {0.0, 0.1, 0.3, 1.0}) {
            const Coverage coverage = coverage_of({of_trial, 1, 1}, trials, ChipNoise::present);
            EXPECT_GT(coverage.this_data_set, 0.95 - allowance) << trials << ' ' << of_trial;
        }
    }
    // With few trials the noise of single images, as a floor, makes it wider than it says; with more it is
    // exact.
    EXPECT_LT(coverage_of({1, 1, 1}, 8, ChipNoise::present).this_data_set, 0.95 + allowance);
}

TEST(TwoWayInterval, of_inputs_alone_holds_the_truth_as_often_as_it_says) {
    for (const std::size_t trials : {2U, 3U, 8U}) {
        const Coverage coverage = coverage_of({0, 1, 1}, trials, ChipNoise::none);
        for (const double held : {coverage.this_data_set, coverage.images_like_these}) {
            EXPECT_GT(held, 0.95 - allowance) << trials;
            EXPECT_LT(held, 0.95 + allowance) << trials;
        }
    }
}

// Degrees of freedom are estimates here: that may cost another 1.5 %. A variance of the chips that comes out
// negative counts as zero, so that the interval holds more than it says where chips are alike.
TEST(TwoWayInterval, of_images_and_chips_holds_the_truth_as_often_as_it_says) {
    for (const Effects& effects :
         {Effects{1, 1, 1}, Effects{0.3, 1, 1}, Effects{0, 1, 1}, Effects{0.5, 0.1, 1}}) {
        const Coverage coverage = coverage_of(effects, 8, ChipNoise::present);
        EXPECT_GT(coverage.images_like_these, 0.95 - allowance - 0.015)
            << effects.trial << ' ' << effects.image;
        EXPECT_LT(coverage.images_like_these, 0.985) << effects.trial << ' ' << effects.image;
    }
}

TEST(TwoWayInterval, that_leaves_out_the_trials_is_found_out) {
    EXPECT_LT(coverage_of({1, 1, 1}, 8, ChipNoise::present).images_alone, 0.95 - allowance);
    EXPECT_LT(coverage_of({1, 1, 1}, 8, ChipNoise::none).this_data_set, 0.95 - allowance);
}

}  // namespace
}  // namespace crossweep
