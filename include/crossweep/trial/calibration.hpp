// The pass over a few images that finds the ranges of the ADCs (AdcRange::calibrated).
#pragma once

#include <string>
#include <vector>

#include "crossweep/crossbar/crossbar_engine.hpp"
#include "crossweep/trial/experiment.hpp"

namespace crossweep::trial {

/// Whether any operand of `point` needs calibrated ranges.
bool needs_calibration(const PointParams& point);

/// `device` without anything that is not the same for all cells: what a calibration sees.
device::DeviceParams ideal_device(const device::DeviceParams& device);

/// `crossbar` with exact converters and perfect lines: what a calibration sees. Points that agree in this, in
/// their ideal devices, transform and fidelities share one calibration.
crossbar::CrossbarParams ideal_crossbar(const crossbar::CrossbarParams& crossbar);

/// Images for a calibration, `count` of them: those that the study does not use, as far as there are, evenly
/// spread, then those that it uses. Throws DataError if the data set has fewer.
std::vector<std::uint32_t> calibration_images(const Experiment& experiment, std::size_t count);
/// The same for a study that uses the images `used`, ascending, of `available`.
std::vector<std::uint32_t> calibration_images(std::span<const std::uint32_t> used, std::size_t available,
                                              std::size_t count);

/// Counts the column sums of `point`, with ideal devices and converters, image by image. The counts of
/// several calibrators, on different ranks, add up.
class Calibrator {
  public:
    /// `experiment` must outlive the calibrator.
    Calibrator(const Experiment& experiment, PointId point);

    /// Count the sums of one image of the data set. Throws DataError if its logits are not finite.
    void add(std::uint32_t image);
    const crossbar::SumHistograms& histograms() const { return histograms_; }

  private:
    const Experiment& experiment_;
    const LoadedModel& model_;
    crossbar::SumHistograms histograms_;
    crossbar::EngineParams params_;
    std::vector<crossbar::ProgrammedWeight> chip_;
    crossbar::CrossbarEngine engine_;
    model::Activations activations_;
    PreparedInput prepared_;
};

/// `percentile` of the sums of every layer, operand and slice.
crossbar::AdcRanges ranges_of(const crossbar::SumHistograms& histograms, double percentile);

/// Add the counts of `other` to `sum`.
void merge(const crossbar::SumHistograms& other, crossbar::SumHistograms& sum);

/// What is wrong with `ranges` for `point`, as the end of a sentence about them; empty if nothing is.
std::string complaint(const Experiment& experiment, PointId point, const crossbar::AdcRanges& ranges);

}  // namespace crossweep::trial
