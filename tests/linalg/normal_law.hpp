// Is a sample normal with a given mean and deviation? The check behind every test of a noise law.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

namespace crossweep::linalg {

/// Mean, variance and standardised third and fourth moments (0 and 3 for a normal law).
struct SampleMoments {
    double mean = 0, variance = 0, skewness = 0, kurtosis = 0;
};

inline SampleMoments moments_of(std::span<const double> sample) {
    const auto count = static_cast<double>(sample.size());
    SampleMoments moments;
    for (const double value : sample) moments.mean += value / count;
    double second = 0, third = 0, fourth = 0;
    for (const double value : sample) {
        const double square = (value - moments.mean) * (value - moments.mean);
        second += square / count;
        third += square * (value - moments.mean) / count;
        fourth += square * square / count;
    }
    moments.variance = second;
    moments.skewness = third / std::pow(second, 1.5);
    moments.kurtosis = fourth / (second * second);
    return moments;
}

/// Do all four moments agree with a normal law? Standard errors of n independent normals: deviation / sqrt(n)
/// for the mean, variance sqrt(2 / n), sqrt(6 / n) and sqrt(24 / n) for the third and fourth. Each may be off
/// by five of them, alpha = 6e-7 per moment. A deviation that is wrong by 5 % moves the variance by 10 % and
/// is found from n = 10 000 on (5 sqrt(2 / n) = 7 %).
inline bool is_normal(std::span<const double> sample, double mean, double deviation) {
    const auto count = static_cast<double>(sample.size());
    const double variance = deviation * deviation;
    const SampleMoments moments = moments_of(sample);
    return std::abs(moments.mean - mean) < 5 * deviation / std::sqrt(count) &&
           std::abs(moments.variance - variance) < 5 * variance * std::sqrt(2 / count) &&
           std::abs(moments.skewness) < 5 * std::sqrt(6 / count) &&
           std::abs(moments.kurtosis - 3) < 5 * std::sqrt(24 / count);
}

/// Pearson's correlation of two samples of the same size.
inline double correlation(std::span<const double> a, std::span<const double> b) {
    const SampleMoments of_a = moments_of(a), of_b = moments_of(b);
    double covariance = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        covariance += (a[i] - of_a.mean) * (b[i] - of_b.mean) / static_cast<double>(a.size());
    }
    return covariance / std::sqrt(of_a.variance * of_b.variance);
}

/// Is the correlation of two independent samples zero, to five standard errors 1 / sqrt(n)? alpha = 6e-7.
inline bool are_uncorrelated(std::span<const double> a, std::span<const double> b) {
    return std::abs(correlation(a, b)) < 5 / std::sqrt(static_cast<double>(a.size()));
}

}  // namespace crossweep::linalg
