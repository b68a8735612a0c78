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

Estimate wilson_interval(double successes, double count, double confidence) {
    if (count <= 0) return {nan, nan, nan};
    const double z = boost::math::quantile(boost::math::normal(), 0.5 + confidence / 2);
    const double proportion = successes / count;
    const double centre = (proportion + z * z / (2 * count)) / (1 + z * z / count);
    const double half =
        z / (1 + z * z / count) * std::sqrt(proportion * (1 - proportion) / count + z * z / (4 * count * count));
    return {std::max(0.0, centre - half), proportion, std::min(1.0, centre + half)};
}

Estimate mean_interval(std::span<const double> values, double confidence) {
    if (values.empty()) return {nan, nan, nan};
    const double mean = mean_of(values);
    if (values.size() == 1) return {nan, mean, nan};
    const double half =
        student_quantile(static_cast<double>(values.size() - 1), confidence) * std::sqrt(variance_of_mean(values));
    return {mean - half, mean, mean + half};
}

TwoWayEstimate two_way_interval(std::span<const float> values, std::size_t trials, std::size_t images,
                                double confidence) {
    if (trials == 0 || images == 0) return {{nan, nan, nan}, {nan, nan, nan}};
    std::vector<double> by_trial(trials), by_image(images);
    for (std::size_t t = 0; t < trials; ++t) {
        for (std::size_t i = 0; i < images; ++i) {
            const double value = static_cast<double>(values[t * images + i]);
            by_trial[t] += value / static_cast<double>(images);
            by_image[i] += value / static_cast<double>(trials);
        }
    }
    const Estimate this_data_set = mean_interval(by_trial, confidence);
    const double mean = this_data_set.best;
    if (images == 1) return {this_data_set, {nan, mean, nan}};

    const double from_images = variance_of_mean(by_image);
    double variance = from_images;
    double clusters = static_cast<double>(images);
    if (trials > 1) {
        double residual_squares = 0;
        for (std::size_t t = 0; t < trials; ++t) {
            for (std::size_t i = 0; i < images; ++i) {
                const double residual =
                    static_cast<double>(values[t * images + i]) - by_trial[t] - by_image[i] + mean;
                residual_squares += residual * residual;
            }
        }
        const auto cells = static_cast<double>(trials * images);
        const double residual = residual_squares / (static_cast<double>((trials - 1) * (images - 1)) * cells);
        const double from_trials = variance_of_mean(by_trial);
        variance = std::max(from_images, from_images + from_trials - residual);
        // Satterthwaite (1946): degrees of freedom of a sum of two independent variance estimates.
        const double excess = variance - from_images;
        const double denominator = from_images * from_images / (static_cast<double>(images) - 1) +
                                   excess * excess / (static_cast<double>(trials) - 1);
        if (denominator > 0) clusters = 1 + variance * variance / denominator;
    }
    const double half = student_quantile(std::max(1.0, clusters - 1), confidence) * std::sqrt(variance);
    return {this_data_set, {mean - half, mean, mean + half}};
}

}  // namespace crossweep
