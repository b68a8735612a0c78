// How long a noisy image of a study takes on one core: measured here, or by the figures of another machine.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "crossweep/config/study.hpp"
#include "crossweep/trial/experiment.hpp"

namespace crossweep::app {

/// Seconds per noisy image, mean over the points of `study`, each kind of point measured once.
double measured_seconds_per_image(const config::Study& study, const trial::Experiment& experiment);

/// What `crossweep bench --json` printed: numbers by name.
using BenchFigures = std::map<std::string, double>;

/// Throws DataError if the file cannot be read or lacks a rate.
BenchFigures read_figures(const std::filesystem::path& path);

/// The same mean on the machine of `figures`: measured here, then scaled by how both machines run the case of
/// a DeiT-S that is most like the point.
double seconds_per_image_on(const BenchFigures& figures, const config::Study& study,
                            const trial::Experiment& experiment);

}  // namespace crossweep::app
