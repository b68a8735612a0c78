// Do two samples of several outputs come from one law? Mean, second to fourth central moment, and the
// correlations of all pairs, each with the standard error that the samples themselves give.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace crossweep::crossbar {

enum class Statistic {
    mean,
    variance,
    third_moment,
    fourth_moment,
    correlation_of_columns,
    correlation_of_heads,
    correlation_of_reads,
    correlation_of_images,  ///< of one output in successive images
    pooled_variance,        ///< relative to that of the other sample, averaged over all outputs
    pooled_fourth_moment,   ///< the same
};

/// Which output: row of a product, head (or part of a stationary weight), column.
struct OutputName {
    std::size_t read, head, column;
};

/// What was seen of every output in image after image. [output][image]
struct Samples {
    std::vector<OutputName> names;
    std::vector<std::vector<double>> of_output;

    Samples first(std::size_t images) const {
        Samples part{names, {}};
        for (const auto& all : of_output)
            part.of_output.emplace_back(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(images));
        return part;
    }
};

struct MomentEstimate {
    double value = 0;
    double squared_error = 0;  ///< variance of the estimate
};

/// The mean over `count` images of what each contributes, plus `offset`. Variances follow from the first
/// order of the statistic in each image's share (its influence function).
template <class Contribution>
MomentEstimate estimate_of(std::size_t count, double offset, Contribution contribution) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const double share = contribution(i);
        sum += share;
        squares += share * share;
    }
    const auto n = static_cast<double>(count);
    return {offset + sum / n, (squares / n - sum / n * (sum / n)) / n};
}

/// An output less its mean, and its moments.
struct CentredSample {
    explicit CentredSample(const std::vector<double>& sample) : deviation(sample) {
        const auto n = static_cast<double>(sample.size());
        for (const double value : sample) mean += value / n;
        for (double& d : deviation) d -= mean;
        for (const double d : deviation) {
            second += d * d / n;
            third += d * d * d / n;
            fourth += d * d * d * d / n;
        }
    }
    std::vector<double> deviation;
    double mean = 0, second = 0, third = 0, fourth = 0;
};

/// Mean to fourth central moment. Deviations from the estimated mean enter with their influence: a shift of
/// the mean by d changes the k-th moment by -k m_(k-1) d.
inline MomentEstimate moment_of(const CentredSample& sample, Statistic which) {
    const auto moment = [&](double offset, auto&& influence) {
        return estimate_of(sample.deviation.size(), offset,
                           [&](std::size_t i) { return influence(sample.deviation[i]); });
    };
    switch (which) {
        case Statistic::mean:
            return moment(sample.mean, [](double d) { return d; });
        case Statistic::variance:
            return moment(0, [](double d) { return d * d; });
        case Statistic::third_moment:
            return moment(0, [&](double d) { return d * d * d - 3 * sample.second * d; });
        default:
            return moment(0, [&](double d) { return d * d * d * d - 4 * sample.third * d; });
    }
}

/// Pearson's correlation of `a` with what `b` is `lag` images later.
inline MomentEstimate correlation_of(const CentredSample& a, const CentredSample& b, std::size_t lag = 0) {
    const double scale_a = 1 / std::sqrt(a.second), scale_b = 1 / std::sqrt(b.second);
    const std::size_t count = a.deviation.size() - lag;
    const auto product = [&](std::size_t i) {
        return scale_a * a.deviation[i] * scale_b * b.deviation[i + lag];
    };
    const double r = estimate_of(count, 0, product).value;
    return estimate_of(count, r, [&](std::size_t i) {
        const double u = scale_a * a.deviation[i], v = scale_b * b.deviation[i + lag];
        return u * v - r * (u * u + v * v) / 2;
    });
}

/// Mean over all outputs of a moment relative to `unit`, which is what that moment is of the other sample:
/// sharper than one output's where an error concerns all of them.
inline MomentEstimate pooled_moment_of(const std::vector<CentredSample>& outputs,
                                       const std::vector<CentredSample>& unit, Statistic which) {
    return estimate_of(outputs[0].deviation.size(), 0, [&](std::size_t i) {
        double sum = 0;
        for (std::size_t output = 0; output < outputs.size(); ++output) {
            const double d = outputs[output].deviation[i], square = d * d;
            sum += which == Statistic::pooled_variance
                       ? square / unit[output].second
                       : (square * square - 4 * outputs[output].third * d) / unit[output].fourth;
        }
        return sum / static_cast<double>(outputs.size());
    });
}

/// One statistic of two samples: how many standard errors they are apart.
struct Difference {
    Statistic statistic;
    std::string where;
    double z;
};

inline double standard_errors_between(const MomentEstimate& a, const MomentEstimate& b) {
    const double difference = std::abs(a.value - b.value),
                 error = std::sqrt(a.squared_error + b.squared_error);
    // Outputs that do not vary agree up to the engine's rounding.
    return difference <= 1e-6 * std::abs(b.value) ? 0 : difference / error;
}

inline std::string text_of(const OutputName& name) {
    return "read " + std::to_string(name.read) + " head " + std::to_string(name.head) + " column " +
           std::to_string(name.column);
}

inline Statistic kind_of_pair(const OutputName& a, const OutputName& b) {
    if (a.read != b.read) return Statistic::correlation_of_reads;
    return a.head != b.head ? Statistic::correlation_of_heads : Statistic::correlation_of_columns;
}

/// All statistics of `a` against those of `b`, which have the same outputs.
inline std::vector<Difference> differences(const Samples& a, const Samples& b) {
    const std::vector<CentredSample> of_a(a.of_output.begin(), a.of_output.end());
    const std::vector<CentredSample> of_b(b.of_output.begin(), b.of_output.end());
    std::vector<Difference> all;
    for (const Statistic pooled : {Statistic::pooled_variance, Statistic::pooled_fourth_moment}) {
        all.push_back({pooled, "all outputs",
                       standard_errors_between(pooled_moment_of(of_a, of_b, pooled),
                                               pooled_moment_of(of_b, of_b, pooled))});
    }
    for (std::size_t i = 0; i < a.names.size(); ++i) {
        const std::string name = text_of(a.names[i]);
        for (const Statistic moment :
             {Statistic::mean, Statistic::variance, Statistic::third_moment, Statistic::fourth_moment}) {
            all.push_back({moment, name,
                           standard_errors_between(moment_of(of_a[i], moment), moment_of(of_b[i], moment))});
        }
        all.push_back({Statistic::correlation_of_images, name,
                       standard_errors_between(correlation_of(of_a[i], of_a[i], 1),
                                               correlation_of(of_b[i], of_b[i], 1))});
        for (std::size_t j = 0; j < i; ++j) {
            all.push_back({kind_of_pair(a.names[i], a.names[j]), name + " with " + text_of(a.names[j]),
                           standard_errors_between(correlation_of(of_a[i], of_a[j]),
                                                   correlation_of(of_b[i], of_b[j]))});
        }
    }
    return all;
}

/// How far apart the worst of one kind of statistic is, in standard errors; not a number counts as infinite.
inline double worst(const std::vector<Difference>& all, Statistic statistic) {
    double z = 0;
    for (const Difference& difference : all) {
        if (difference.statistic != statistic) continue;
        z = std::isnan(difference.z) ? HUGE_VAL : std::max(z, difference.z);
    }
    return z;
}

}  // namespace crossweep::crossbar
