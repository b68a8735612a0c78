// crossweep merge, report and replay: what is in a run directory.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>

#include "calibration.hpp"
#include "commands.hpp"
#include "crossweep/sweep/run_directory.hpp"
#include "crossweep/trial/unit_runner.hpp"
#include "report.hpp"
#include "session.hpp"
#include "stored_records.hpp"

namespace crossweep::app {
namespace {

/// A run directory with its study, read again from the frozen file.
struct StoredRun {
    sweep::RunDirectory directory;
    Session session;
};

StoredRun read_run(const std::string& path) {
    sweep::RunDirectory directory = sweep::RunDirectory::read(path);
    const std::string toml = directory.study_toml();
    Session session = open_session(config::parse_study(toml, directory.path() / "study.toml"));
    return {std::move(directory), std::move(session)};
}

/// The record of that key in the run directory: one that succeeded if there is one, else the last that
/// failed.
std::optional<io::Record> find_record(const StoredRun& run, const io::RecordKey& key) {
    std::set<std::filesystem::path> holders;
    run.directory.scan([&](const io::RecordStatus& record, const std::filesystem::path& segment) {
        if (record.key == key) holders.insert(segment);
    });
    std::optional<io::Record> found;
    sweep::read_records(std::vector(holders.begin(), holders.end()), [&](const io::Record& record) {
        if (record.key == key && (!found || found->failed())) found = record;
    });
    return found;
}

void print_answers(const io::Record& record) {
    if (record.predictions == 1) {
        fmt::print("{} of {} images correct, {} among five, {:.3f} s\n", record.correct_top1, record.images,
                   record.correct_top5, record.seconds);
        return;
    }
    const double loss = std::accumulate(record.loss.begin(), record.loss.end(), 0.0) / record.images;
    fmt::print("{} of {} next tokens right, {} among five, perplexity {:.3f}, {:.3f} s\n",
               record.correct_top1, std::uint64_t{record.images} * record.predictions, record.correct_top5,
               std::exp(loss), record.seconds);
}

/// What the arrays of the point did for one image, as its engines counted it.
void print_counted(const crossbar::ActivityTable& counted, std::uint32_t images) {
    crossbar::Activity all;
    for (const auto& [operand, activity] : counted) all += activity;
    const auto of_image = [&](std::uint64_t count) { return static_cast<double>(count) / images; };
    fmt::print("counted for one image: {:.6g} array reads, {:.6g} conversions, {:.6g} cells written",
               of_image(all.array_reads), of_image(all.conversions), of_image(all.cell_writes));
    const double pulses = static_cast<double>(all.write_pulses);
    if (all.cell_writes > 0)
        fmt::print(" with {:.4g} pulses each", pulses / static_cast<double>(all.cell_writes));
    fmt::print("\n");
}

}  // namespace

ExitCode merge(const std::string& path, bool partial, const std::string& command_line) {
    const sweep::RunDirectory directory = sweep::RunDirectory::read(path);
    const StoredStudy study = read_stored_study(directory);
    const sweep::DirectoryLock lock = merge_lock(directory);
    const StoredRecords stored = count_records(directory, study.workload);
    warn_of_damage(stored);
    if (!stored.census.complete() && !partial) {
        fmt::print(
            stderr,
            "crossweep: {}: {} of {} records are there. Go on with crossweep run, or merge what is there "
            "with --partial.\n",
            path, stored.census.succeeded(), study.workload.records());
        return ExitCode::unfinished;
    }
    const ContentHash content = merge_records(directory.results(), directory, study, stored, command_line);
    fmt::print("results: {}\ncontent_hash: {}\n", directory.results().string(), content.hex());
    print_mixed_paths(stored.census.paths());
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
    crossbar::ActivityTable counted;
    trial::UnitRunner runner(*run.session.experiment, settings.study.seed, settings.run.batch_images,
                             &counted);
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
    print_answers(record);
    if (!workload.is_reference[options.point]) print_counted(counted, record.images);
    const std::optional<io::Record> stored = find_record(run, record.key);
    if (!stored) {
        fmt::print("the run directory has no such record yet\n");
        return ExitCode::done;
    }
    if (stored->failed()) {
        fmt::print("the stored record failed ({}); give the command of the run again to replace it\n",
                   stored->failure);
        return ExitCode::done;
    }
    if (stored->loss.empty()) record.loss.clear();  // it was not stored before record version 3
    const bool same = io::content_hash_of(*stored) == io::content_hash_of(record);
    fmt::print("{} the stored record, bit for bit\n", same ? "equal to" : "DIFFERENT from");
    return same ? ExitCode::done : ExitCode::internal;
}

}  // namespace crossweep::app
