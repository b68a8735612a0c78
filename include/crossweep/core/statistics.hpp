// Estimates with intervals for counts of correct images over trials (chips) and images.
#pragma once

#include <cstdint>
#include <span>

namespace crossweep {

/// An estimate with its interval; `low` and `high` are NaN where the data cannot give one.
struct Estimate {
    double low = 0, best = 0, high = 0;
};

/// Wilson score interval of a proportion. `count` may be fractional (an effective sample size).
/// Wilson (1927), J. Am. Stat. Assoc. 22, 209.
Estimate wilson_interval(double successes, double count, double confidence);

/// Student's t interval of the mean of `values`; one value gives no interval (NaN bounds).
Estimate mean_interval(std::span<const double> values, double confidence);

/// How sure a figure is about two different questions.
struct TwoWayEstimate {
    Estimate this_data_set;      ///< the same images, other chips and noise
    Estimate images_like_these;  ///< other images, other chips and noise
};

/// Mean of `values[trial * images + image]` (0/1 correctness, or a paired difference of two such) with both
/// intervals.
///
/// Crossed random effects of trial (chip) and image, each variance from its own scatter (Cameron, Gelbach &
/// Miller 2011, J. Bus. Econ. Stat. 29, 238): per-input noise is the residual, with images as the unit; chips
/// are what trials scatter beyond it, with trials as the unit. Student's t with Satterthwaite's degrees of
/// freedom. this_data_set: residual and chips, NaN bounds for one trial. images_like_these: images (with
/// their noise) and chips.
TwoWayEstimate two_way_interval(std::span<const float> values, std::size_t trials, std::size_t images,
                                double confidence);

}  // namespace crossweep
