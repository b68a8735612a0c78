#include "crossweep/core/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <vector>

namespace crossweep {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

double mean_of(std::span<const double> values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
}

/// Variance of the mean of `values`, from their scatter.
double variance_of_mean(std::span<const double> values) {
    const double mean = mean_of(values);
    double squares = 0;
    for (const double value : values) squares += (value - mean) * (value - mean);
    const auto count = static_cast<double>(values.size());
    return squares / (count * (count - 1));
}

double student_quantile(double degrees_of_freedom, double confidence) {
    return boost::math::quantile(boost::math::students_t(degrees_of_freedom), 0.5 + confidence / 2);
}

}  // namespace

double normal_quantile(double probability) {
    if (probability <= 0) return -std::numeric_limits<double>::infinity();
    if (probability >= 1) return std::numeric_limits<double>::infinity();
    return boost::math::quantile(boost::math::normal(), probability);
}

Estimate wilson_interval(double successes, double count, double confidence) {
    if (count <= 0) return {nan, nan, nan};
    const double z = normal_quantile(0.5 + confidence / 2);
    const double proportion = successes / count;
    const double centre = (proportion + z * z / (2 * count)) / (1 + z * z / count);
    const double half = z / (1 + z * z / count) *
                        std::sqrt(proportion * (1 - proportion) / count + z * z / (4 * count * count));
    return {std::max(0.0, centre - half), proportion, std::min(1.0, centre + half)};
}

Estimate mean_interval(std::span<const double> values, double confidence) {
    if (values.empty()) return {nan, nan, nan};
    const double mean = mean_of(values);
    if (values.size() == 1) return {nan, mean, nan};
    const double half = student_quantile(static_cast<double>(values.size() - 1), confidence) *
                        std::sqrt(variance_of_mean(values));
    return {mean - half, mean, mean + half};
}

namespace {

/// Satterthwaite (1946): degrees of freedom of the sum of two independent variance estimates.
double combined_degrees_of_freedom(double a, double of_a, double b, double of_b) {
    const double denominator = a * a / of_a + b * b / of_b;
    return denominator > 0 ? (a + b) * (a + b) / denominator : of_a;
}

/// `images` that never differed bound how often they would: an interval of no width would claim certainty.
Estimate student_interval(double mean, double variance, double degrees_of_freedom, double images,
                          double confidence) {
    const double half =
        variance > 0 ? student_quantile(std::max(1.0, degrees_of_freedom), confidence) * std::sqrt(variance)
                     : wilson_interval(0, images, confidence).high;
    return {mean - half, mean, mean + half};
}

}  // namespace

TwoWayEstimate two_way_interval(std::span<const float> values, std::size_t trials, std::size_t images,
                                ChipNoise chip_noise, double confidence) {
    if (trials == 0 || images == 0) return {{nan, nan, nan}, {nan, nan, nan}};
    const auto trial_count = static_cast<double>(trials), image_count = static_cast<double>(images);
    std::vector<double> by_trial(trials), by_image(images);
    for (std::size_t t = 0; t < trials; ++t) {
        for (std::size_t i = 0; i < images; ++i) {
            const double value = static_cast<double>(values[t * images + i]);
            by_trial[t] += value / image_count;
            by_image[i] += value / trial_count;
        }
    }
    const double mean = mean_of(by_trial);
    if (images == 1) return {mean_interval(by_trial, confidence), {nan, mean, nan}};
    const double from_images = variance_of_mean(by_image);
    if (trials == 1) {
        return {{nan, mean, nan},
                student_interval(mean, from_images, image_count - 1, image_count, confidence)};
    }

    double residual_squares = 0;
    for (std::size_t t = 0; t < trials; ++t) {
        for (std::size_t i = 0; i < images; ++i) {
            const double residual =
                static_cast<double>(values[t * images + i]) - by_trial[t] - by_image[i] + mean;
            residual_squares += residual * residual;
        }
    }
    const double residual_freedom = (trial_count - 1) * (image_count - 1);
    const double residual = residual_squares / residual_freedom / (trial_count * image_count);
    const double from_trials = variance_of_mean(by_trial);
    const bool by_chip = chip_noise == ChipNoise::present;
    const double of_chips = by_chip ? std::max(0.0, from_trials - residual) : 0.0;
    const double freedom =
        combined_degrees_of_freedom(from_images, image_count - 1, of_chips, trial_count - 1);
    return {by_chip ? student_interval(mean, std::max(from_trials, residual), trial_count - 1, image_count,
                                       confidence)
                    : student_interval(mean, residual, residual_freedom, image_count, confidence),
            student_interval(mean, from_images + of_chips, freedom, image_count, confidence)};
}

}  // namespace crossweep
