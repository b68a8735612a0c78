// The surfaces of a results file as tables for people and JSON for programs.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "crossweep/core/statistics.hpp"
#include "crossweep/sweep/results.hpp"

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
    /// Of each reference, without noise; NaN if there is none yet, or no loss in its records.
    std::vector<double> reference_top1, reference_loss;
    double characters_per_token = 0;  ///< of a study of a language model; else 0
    std::vector<Axis> axes;
    std::map<std::string, std::vector<Estimate>> surfaces;  ///< by name, [point]
    std::map<std::string, std::vector<double>> costs;       ///< likewise; empty if the file has none
    sweep::PathCounts paths;  ///< empty if the file is of before they were stored
    std::size_t points() const;
    bool is_of_language_model() const { return characters_per_token > 0; }
};

/// Throws DataError if the file is absent or not a results file.
Report read_report(const std::filesystem::path& results);
void print_report(const Report& report);
std::string report_json(const Report& report);

/// "3 on x86-64-v4 + oneDNN avx512_core, 2 on ...".
std::string list_paths(const sweep::PathCounts& paths);
/// If records come from several paths: a line that says so and what it means.
void print_mixed_paths(const sweep::PathCounts& paths);

}  // namespace crossweep::app
