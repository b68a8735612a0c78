// The surfaces of a results file as tables for people and JSON for programs.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "crossweep/core/statistics.hpp"

namespace crossweep::app {

/// The surfaces of results.h5, points row-major over the axes.
struct Report {
    struct Axis {
        std::string name;
        std::vector<std::string> labels;
    };
    std::string study, content_hash;
    bool complete = false;
    double confidence = 0.95;
    std::size_t images = 0, trials = 0;
    std::vector<double>
        reference_top1;  ///< fraction correct without noise, of each reference; NaN if there is none yet
    std::vector<Axis> axes;
    std::map<std::string, std::vector<Estimate>> surfaces;  ///< by name, [point]
    std::size_t points() const;
};

/// Throws DataError if the file is absent or not a results file.
Report read_report(const std::filesystem::path& results);
void print_report(const Report& report);
std::string report_json(const Report& report);

}  // namespace crossweep::app
