// Estimates with intervals for counts of correct images over trials (chips) and images.
#pragma once

#include <cstdint>
#include <span>

namespace crossweep {

/// An estimate with its interval; `low` and `high` are NaN where the data cannot give one.
struct Estimate {
    double low = 0, best = 0, high = 0;
};

/// z with P(N(0, 1) < z) = probability; -inf and inf at 0 and 1.
double normal_quantile(double probability);

/// Wilson score interval of a proportion. `count` may be fractional (an effective sample size).
/// Wilson (1927), J. Am. Stat. Assoc. 22, 209.
Estimate wilson_interval(double successes, double count, double confidence);

/// Student's t interval of the mean of `values`; one value gives no interval (NaN bounds).
Estimate mean_interval(std::span<const double> values, double confidence);

/// Whether draws are shared by all images of a trial (frozen noise of a chip), or every image has its own.
enum class ChipNoise { none, present };

/// How sure a figure is about two different questions.
struct TwoWayEstimate {
    Estimate this_data_set;      ///< the same images, other chips and noise
    Estimate images_like_these;  ///< other images, other chips and noise
};

/// Mean of `values[trial * images + image]` (fractions correct, paired differences of two such, losses) with
/// both intervals, as crossed random effects of trial and image (Cameron, Gelbach & Miller 2011, J. Bus.
/// Econ. Stat. 29, 238).
///
/// this_data_set: without chip noise the images are the unit, and the scatter of one image between trials
/// gives the variance; with it the trials are, with Student's t on trials - 1 (and no less than the former).
/// NaN bounds for one trial. images_like_these: scatter between images, plus what trials scatter beyond the
/// noise of single images; Satterthwaite's degrees of freedom. No scatter at all is no certainty: then the
/// bound is Wilson's for no success among the images, which suits values in [-1, 1].
TwoWayEstimate two_way_interval(std::span<const float> values, std::size_t trials, std::size_t images,
                                ChipNoise chip_noise, double confidence);

}  // namespace crossweep
