// crossweep simulate: the real scheduler with imitated ranks.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "crossweep/sweep/run_directory.hpp"
#include "crossweep/sweep/simulation.hpp"

namespace crossweep::app {
namespace {

std::vector<double> measured_times(const std::string& directory) {
    std::vector<double> times;
    if (directory.empty()) return times;
    sweep::RunDirectory::read(directory).scan([&](const io::RecordStatus& record, const auto&) {
        if (!record.failed() && record.seconds > 0) times.push_back(record.seconds);
    });
    if (times.empty()) {
        throw DataError(fmt::format(
            "{}: there are no finished records to take times from. Give a directory of a run.", directory));
    }
    return times;
}

nlohmann::ordered_json figures_of(int ranks, const sweep::SimulationResult& result) {
    return {{"ranks", ranks},
            {"makespan_s", result.makespan_s},
            {"efficiency", result.efficiency},
            {"wasted_fraction", result.wasted},
            {"tail_s", result.tail_s},
            {"coordinator_busy_fraction", result.coordinator_busy},
            {"busiest_leader_fraction", result.busiest_leader},
            {"messages", result.messages},
            {"message_bytes", result.message_bytes},
            {"segments", result.segments},
            {"segment_bytes", result.segment_bytes},
            {"records", result.records}};
}

}  // namespace

ExitCode simulate(const SimulateOptions& options) {
    sweep::SimulationParams params;
    params.units = options.units;
    params.points_per_unit = options.points_per_unit;
    params.unit_s = options.unit_s;
    params.relative_times = measured_times(options.times);
    params.slow_rank_fraction = options.slow_ranks;
    if (options.most_direct_ranks > 0) params.scheduler.most_direct_ranks = options.most_direct_ranks;
    auto all = nlohmann::ordered_json::array();
    if (!options.json) {
        fmt::print("{:>7}{:>12}{:>12}{:>9}{:>8}{:>13}{:>9}{:>12}{:>10}{:>12}\n", "ranks", "makespan",
                   "efficiency", "wasted", "tail", "coordinator", "leader", "messages", "segments",
                   "MB each");
    }
    for (const int ranks : options.ranks) {
        params.ranks = ranks;
        const sweep::SimulationResult result = sweep::simulate(params);
        all.push_back(figures_of(ranks, result));
        if (options.json) continue;
        fmt::print(
            "{:7}{:10.0f} s{:10.2f} %{:7.2f} %{:6.1f} s{:11.2f} %{:7.2f} %{:12}{:10}{:12.1f}\n", ranks,
            result.makespan_s, 100 * result.efficiency, 100 * result.wasted, result.tail_s,
            100 * result.coordinator_busy, 100 * result.busiest_leader, result.messages, result.segments,
            result.segments == 0
                ? 0.0
                : static_cast<double>(result.segment_bytes) / 1e6 / static_cast<double>(result.segments));
        std::fflush(stdout);
    }
    if (options.json) fmt::print("{}\n", all.dump(2));
    return ExitCode::done;
}

}  // namespace crossweep::app
