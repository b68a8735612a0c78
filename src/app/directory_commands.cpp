// crossweep status, merge, report and replay: what is in a run directory.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "calibration.hpp"
#include "commands.hpp"
#include "crossweep/sweep/run_directory.hpp"
#include "crossweep/trial/unit_runner.hpp"
#include "report.hpp"
#include "session.hpp"

namespace crossweep::app {
namespace {

/// A run directory with its study, read again from the frozen file, and its records.
struct StoredRun {
    sweep::RunDirectory directory;
    Session session;
    sweep::RunDirectory::Contents contents;
};

StoredRun read_run(const std::string& path) {
    sweep::RunDirectory directory = sweep::RunDirectory::read(path);
    const std::string toml = directory.study_toml();
    Session session = open_session(config::parse_study(toml, directory.path() / "study.toml"));
    auto contents = directory.load();
    for (const std::string& sentence : contents.damaged)
        fmt::print(stderr, "crossweep: warning: {}\n", sentence);
    return {std::move(directory), std::move(session), std::move(contents)};
}

/// A line for every failed record, with the command that computes it again.
void print_failed(const sweep::RecordTable& table, const std::string& path) {
    const sweep::Workload& workload = table.workload();
    for (std::size_t point = 0; point < workload.point_keys.size(); ++point) {
        for (std::size_t trial = 0; trial < workload.trials; ++trial) {
            for (std::size_t shard = 0; shard < workload.shards; ++shard) {
                const io::Record* record = table.find(point, trial, shard);
                if (record == nullptr || !record->failed()) continue;
                fmt::print("  failed: {}\n    crossweep replay {} --point {} --trial {} --shard {}\n",
                           record->failure, path, point, trial, shard);
            }
        }
    }
}

}  // namespace

ExitCode status(const std::string& path, bool json) {
    const StoredRun run = read_run(path);
    const sweep::RecordTable table(run.session.workload, run.contents.records);
    const std::size_t planned = run.session.workload.records(), done = table.succeeded();
    double seconds = 0;
    for (const io::Record& record : run.contents.records) seconds += record.seconds;
    const double left_h =
        done > 0 ? seconds / static_cast<double>(done) * static_cast<double>(planned - done) / 3600 : 0;
    if (json) {
        fmt::print("{}\n", nlohmann::json{{"study", run.session.study.base.study.name},
                                          {"records", done},
                                          {"records_planned", planned},
                                          {"records_failed", table.failed()},
                                          {"segments", run.contents.segments},
                                          {"segments_damaged", run.contents.damaged.size()},
                                          {"compute_s", seconds},
                                          {"left_core_hours", left_h},
                                          {"complete", done == planned},
                                          {"paths", table.paths()}}
                               .dump(2));
        return ExitCode::done;
    }
    fmt::print("{}: {} of {} records ({:.1f} %), {} failed, {} segments ({} damaged)\n",
               run.session.study.base.study.name, done, planned,
               100 * static_cast<double>(done) / static_cast<double>(planned), table.failed(),
               run.contents.segments, run.contents.damaged.size());
    fmt::print("{:.3g} core hours computed, about {:.3g} left\n", seconds / 3600, left_h);
    print_mixed_paths(table.paths());
    print_failed(table, path);
    return ExitCode::done;
}

ExitCode merge(const std::string& path, bool partial, const std::string& command_line) {
    const StoredRun run = read_run(path);
    const sweep::RecordTable table(run.session.workload, run.contents.records);
    if (const std::size_t planned = run.session.workload.records(); table.succeeded() < planned && !partial) {
        fmt::print(
            stderr,
            "crossweep: {}: {} of {} records are there. Go on with crossweep run, or merge what is there "
            "with --partial.\n",
            path, table.succeeded(), planned);
        return ExitCode::unfinished;
    }
    const sweep::StudyDescription description = describe(run.session, command_line);
    run.directory.exclusively([&] { sweep::write_results(run.directory.results(), description, table); });
    fmt::print("results: {}\ncontent_hash: {}\n", run.directory.results().string(),
               table.content_hash().hex());
    print_mixed_paths(table.paths());
    return ExitCode::done;
}

ExitCode report(const std::string& path, bool json) {
    const std::filesystem::path results = sweep::RunDirectory::read(path).results();
    const Report surfaces = read_report(results);
    if (json) {
        fmt::print("{}\n", report_json(surfaces));
    } else {
        print_report(surfaces);
    }
    return ExitCode::done;
}

ExitCode replay(const ReplayOptions& options) {
    StoredRun run = read_run(options.directory);
    const sweep::Workload& workload = run.session.workload;
    if (options.point >= workload.point_keys.size() || options.trial >= workload.trials ||
        options.shard >= workload.shards) {
        throw UsageError(
            fmt::format("point {}, trial {}, shard {} is not in the study of {} points, {} trials and {} "
                        "shards, counted from 0.",
                        options.point, options.trial, options.shard, run.session.experiment->points(),
                        workload.trials, workload.shards));
    }
    if (!workload.is_reference[options.point])
        calibrate_point(run.session, run.directory, PointId(options.point));
    const config::Settings& settings = run.session.study.base;
    trial::UnitRunner runner(*run.session.experiment, settings.study.seed, settings.run.batch_images);
    const WorkUnit unit{TrialId(options.trial), ShardId(options.shard), {PointId(options.point)}};
    std::vector<io::Record> records = runner.run(unit);
    io::Record& record = records.front();
    record.key = workload.key(unit, 0);
    if (workload.is_reference[options.point]) {
        fmt::print("noise-free reference\n");
    } else {
        for (const auto& value : config::key_values(run.session.study.points[options.point].settings)) {
            fmt::print("{} = {}\n", value.key, value.text);
        }
    }
    if (record.failed()) {
        fmt::print("failed: {}\n", record.failure);
        return ExitCode::internal;
    }
    fmt::print("{} of {} images correct, {} among five, {:.3f} s\n", record.correct_top1, record.images,
               record.correct_top5, record.seconds);
    const sweep::RecordTable table(workload, run.contents.records);
    const io::Record* stored = table.find(options.point, options.trial, options.shard);
    if (stored == nullptr) {
        fmt::print("the run directory has no such record yet\n");
        return ExitCode::done;
    }
    const bool same = io::content_hash(std::span(stored, 1)) == io::content_hash(records);
    fmt::print("{} the stored record, bit for bit\n", same ? "equal to" : "DIFFERENT from");
    return same ? ExitCode::done : ExitCode::internal;
}

}  // namespace crossweep::app
