// crossweep cost: which model, lengths and machines are asked for. What is printed of them: cost_report.hpp.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "commands.hpp"
#include "cost_report.hpp"
#include "crossweep/config/hardware.hpp"
#include "model_to_cost.hpp"
#include "study_cost.hpp"

namespace crossweep::app {
namespace {

using cost::Hardware;
using cost::TransformerShape;

/// Every file, those of folders in the order of their names.
std::vector<Hardware> read_hardware(const std::vector<std::string>& paths) {
    std::vector<std::filesystem::path> files;
    for (const std::filesystem::path path : paths) {
        if (!std::filesystem::is_directory(path)) {
            files.push_back(path);
            continue;
        }
        const auto folder_begins = static_cast<std::ptrdiff_t>(files.size());
        for (const auto& entry : std::filesystem::directory_iterator(path))
            if (entry.path().extension() == ".toml") files.push_back(entry.path());
        if (files.size() == static_cast<std::size_t>(folder_begins))
            throw DataError(
                fmt::format("--hardware {}: there is no TOML file in that folder. Give hardware files "
                            "as those in configs/hardware.",
                            path.string()));
        std::sort(files.begin() + folder_begins, files.end());
    }
    std::vector<Hardware> all;
    for (const auto& file : files) {
        all.push_back(config::load_hardware(file));
        const auto same = std::ranges::count(all, all.back().name, &Hardware::name);
        if (same > 1)
            throw UsageError(
                fmt::format("--hardware {}: another file is called {} too. Give it once, or rename "
                            "one.",
                            file.string(), all.back().name));
    }
    return all;
}

/// The points of the study, or as many of them as are asked for; `model` stands in for their weights.
ExitCode cost_of_study(const CostOptions& options) {
    const std::vector<Hardware> machines = read_hardware(options.hardware);
    std::vector<std::string> overrides = options.study.overrides;
    if (!options.model.empty()) overrides.push_back("model.weights=" + options.model);
    const config::Study study = config::load_study(options.study.file, overrides);
    const std::vector<CostedPoint> points = cost_of_points(study, options);
    const std::string& name = study.base.study.name;
    fmt::print("{}", options.json ? study_cost_json(name, points, machines)
                                  : study_cost_text(name, points, machines));
    return ExitCode::done;
}

}  // namespace

ExitCode cost(const CostOptions& options) {
    if (!options.study.file.empty()) return cost_of_study(options);
    if (options.model.empty())
        throw UsageError("There is nothing to count. Give --model, or a study with --study.");
    if (!options.study.overrides.empty() || options.first > 0)
        throw UsageError("--set and --first go with a study. Give one with --study, or leave them out.");
    const TransformerShape shape = ModelToCost::find(options.model, {}).shape();
    const std::vector<std::size_t> lengths = lengths_of(options, shape);
    const std::vector<Hardware> machines = read_hardware(options.hardware);
    fmt::print("{}",
               options.json ? cost_json(shape, lengths, machines) : cost_text(shape, lengths, machines));
    return ExitCode::done;
}

}  // namespace crossweep::app
