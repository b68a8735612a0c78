// What a benchmark times: one kind of product everywhere, on a DeiT-S with random weights and images.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "crossweep/trial/unit_runner.hpp"
#include "synthetic_deit.hpp"

namespace crossweep::app {

/// A case by name. Circuit level would take long on a whole DeiT-S: one block of it, and one image.
struct Case {
    std::string_view name, title;
    crossbar::Fidelity fidelity;
    device::ReadNoiseMode read_noise;
    std::size_t depth;
    std::uint32_t images;
};

/// digital, frozen, per_read, sliced, circuit.
std::span<const Case> cases();

/// The case whose rate tells most about `point`, by what multiplies with its largest weights.
const Case& case_of(const trial::PointParams& point);

/// A case, ready to run.
class TimedCase {
  public:
    explicit TimedCase(const Case& timed);

    /// Multiply-accumulates per second on one core: of the fastest of the units that `budget_s` seconds
    /// allow, three at least. The noise-free reference of noisy units is not counted; nor are the embedding
    /// and the head, which are digital, where only one block is timed. Units may have the same point several
    /// times: then their reference matters less to a profiler.
    double mac_per_s(double budget_s, std::size_t repeats = 1);
    /// Of the whole model.
    double macs_per_image() const;

  private:
    trial::DataParams data() const;
    double seconds_per_image(std::size_t repeats);

    const Case& case_;
    SyntheticDeit synthetic_;
    trial::Experiment experiment_;
    trial::UnitRunner runner_;
};

/// Least value of `measure()`, called for `budget_s` seconds and at least three times.
double least(double budget_s, const std::function<double()>& measure);

}  // namespace crossweep::app
