// crossweep run: every rank loads the study, rank 0 coordinates and writes, and closes with merge and report.
#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "calibration.hpp"
#include "commands.hpp"
#include "crossweep/core/build_info.hpp"
#include "crossweep/linalg/gemm.hpp"
#include "crossweep/sweep/run_directory.hpp"
#include "crossweep/sweep/scheduler.hpp"
#include "crossweep/trial/unit_runner.hpp"
#include "progress_display.hpp"
#include "report.hpp"
#include "session.hpp"
#include "share_study.hpp"
#include "stored_records.hpp"

namespace crossweep::app {
namespace {

sweep::Part parse_part(const std::string& text) {
    sweep::Part part;
    const char* end = text.data() + text.size();
    const auto [slash, first_error] = std::from_chars(text.data(), end, part.index);
    if (first_error == std::errc{} && slash != end && *slash == '/') {
        const auto [last, second_error] = std::from_chars(slash + 1, end, part.count);
        if (second_error == std::errc{} && last == end && part.index >= 1 && part.index <= part.count)
            return part;
    }
    throw UsageError(
        fmt::format("--part {} is not i/n with 1 <= i <= n. Write, for example, --part 3/16.", text));
}

/// What rank 0 has when it is ready; other ranks have the session's study and experiment alone.
struct Ready {
    Session session;
    std::optional<sweep::RunDirectory> directory;
    sweep::Plan units;
    std::size_t records_before = 0;
    sweep::PathCounts paths_before;
};

/// Settings may be the same while a file behind them is another: then records carry keys that this study has
/// not.
void expect_same_contents(const sweep::Census& census, const std::string& directory) {
    // A single segment that strayed in costs only its own records; warn_of_damage names it.
    if (census.foreign() == 0 || census.succeeded() + census.failed() > 0) return;
    throw DataError(
        fmt::format("{}: the run directory holds records of the same settings with other contents of the "
                    "weights or image files, or "
                    "of another version of the physics. Choose another --out, or bring the old files back.",
                    directory));
}

Ready prepare(const RunOptions& options, comm::Communicator& comm) {
    const sweep::Part part = parse_part(options.part);
    config::Study study = load_study_together(options.study, comm);
    if (comm.rank() != 0) {
        auto experiment = load_experiment(study, comm);
        return {{std::move(study), std::move(experiment), {}}, std::nullopt, {}, 0, {}};
    }
    Ready ready{open_session(std::move(study), comm), std::nullopt, {}, 0, {}};
    const std::string& resolved = ready.session.study.resolved_toml;
    ready.directory = sweep::RunDirectory::open(
        options.directory, resolved,
        [&](const std::string& stored) { return config::differences(stored, resolved); }, part);
    const StoredRecords before = count_records(*ready.directory, ready.session.workload);
    expect_same_contents(before.census, options.directory);
    warn_of_damage(before);
    ready.directory->follow(resolved);
    store(stored_form(ready.session), *ready.directory);
    ready.records_before = before.census.succeeded();
    ready.paths_before = before.census.paths();
    ready.units = sweep::plan_units(ready.session.workload, before.census.done(), part);
    return ready;
}

/// Prepare on all ranks. If any fails, all leave with the gravest exit code, and the lowest rank that failed
/// speaks.
std::optional<Ready> prepare_together(const RunOptions& options, comm::Communicator& comm, ExitCode& code) {
    std::optional<Ready> ready;
    std::string message;
    code = ExitCode::done;
    try {
        ready = prepare(options, comm);
    } catch (const Error& error) {
        code = error.exit_code();
        message = error.what();
    }
    const bool failed = code != ExitCode::done;
    const int lowest = -comm.max_over_ranks(failed ? -comm.rank() : -comm.size());
    code = static_cast<ExitCode>(comm.max_over_ranks(static_cast<int>(code)));
    if (lowest == comm.size()) return ready;
    if (lowest == comm.rank()) {
        fmt::print(stderr, "crossweep: {}{}\n", lowest > 0 ? fmt::format("rank {}: ", lowest) : "", message);
    }
    return std::nullopt;
}

void print_header(const Ready& ready, const RunOptions& options, int ranks) {
    const auto& workload = ready.session.workload;
    const std::string here = linalg::arithmetic_path();
    fmt::print(stderr, "crossweep {}: {} ({} points x {} trials x {} images in {} shards) on {} rank{}, {}\n",
               build_info().front().second, ready.session.study.base.study.name,
               ready.session.experiment->points(), workload.trials, ready.session.experiment->images().size(),
               workload.shards, ranks, ranks == 1 ? "" : "s", here);
    if (ready.records_before > 0) {
        fmt::print(stderr, "resuming {}: {} of {} records are there\n", options.directory,
                   ready.records_before, workload.records());
    }
    sweep::PathCounts others = ready.paths_before;
    others.erase(here);
    if (!others.empty()) {
        fmt::print(
            stderr,
            "records of other instruction-set paths than this processor's: {}; each is reproducible bit for "
            "bit on its own path only\n",
            list_paths(others));
    }
}

void print_failures(const sweep::RunSummary& summary, const std::string& directory) {
    for (const sweep::FailedUnit& failed : summary.failed) {
        fmt::print(
            stderr,
            "crossweep: failed unit: {}. Replay: crossweep replay {} --point {} --trial {} --shard {}\n",
            failed.why, directory, failed.point.value(), failed.unit.trial.value(),
            failed.unit.shard.value());
    }
}

/// Merge and show what is there, and say how it ended.
ExitCode conclude(const Ready& ready, const RunOptions& options, const sweep::RunSummary& summary) {
    print_failures(summary, options.directory);
    if (summary.outcome == sweep::Outcome::too_many_failures) {
        const auto most = ready.session.study.base.run.max_failed_units;
        fmt::print(
            stderr,
            "stopped: more than {} unit{} failed (run.max_failed_units); mend the cause and give the same "
            "command again\n",
            most, most == 1 ? " has" : "s have");
    }
    std::optional<sweep::DirectoryLock> lock = merge_lock(*ready.directory);
    const StoredRecords stored = count_records(*ready.directory, ready.session.workload);
    const bool complete = stored.census.complete(), writes = complete || options.part == "1/1";
    std::optional<ContentHash> content;
    if (writes)
        content = merge_records(ready.directory->results(), *ready.directory, stored_form(ready.session),
                                stored, options.command_line);
    lock.reset();

    ExitCode code = ExitCode::done;
    if (!summary.failed.empty()) code = ExitCode::internal;
    // What is left to do comes first: the next run may even mend what failed.
    if (summary.outcome == sweep::Outcome::interrupted) code = ExitCode::unfinished;
    if (options.json) {
        fmt::print("{}\n",
                   nlohmann::json{{"complete", complete},
                                  {"records", stored.census.succeeded()},
                                  {"records_planned", ready.session.workload.records()},
                                  {"units_failed", summary.progress.units_failed},
                                  {"elapsed_s", summary.progress.elapsed_s},
                                  {"compute_s", summary.progress.compute_s},
                                  {"content_hash", content ? nlohmann::json(content->hex()) : nullptr},
                                  {"results", ready.directory->results().string()}}
                       .dump(2));
        return code;
    }
    if (writes) print_report(read_report(ready.directory->results()));
    if (code == ExitCode::unfinished) {
        fmt::print(stderr, "stopped with {} of {} records; give the same command again to go on\n",
                   stored.census.succeeded(), ready.session.workload.records());
    } else if (complete) {
        fmt::print(stderr, "results: {}\nplots:   analysis/plot_results.py {}\n",
                   ready.directory->results().string(), ready.directory->results().string());
    } else if (code == ExitCode::done) {
        fmt::print(stderr, "part {} is done; {} of {} records are there\n", options.part,
                   stored.census.succeeded(), ready.session.workload.records());
    }
    return code;
}

}  // namespace

ExitCode run(const RunOptions& options, comm::Communicator& comm) {
    ExitCode code{};
    std::optional<Ready> ready = prepare_together(options, comm, code);
    if (!ready) return code;
    const config::Settings& settings = ready->session.study.base;
    const auto stop = sweep::StopCondition::from_environment(settings.run.time_budget_s);
    if (comm.rank() == 0) print_header(*ready, options, comm.size());
    if (!calibrate_together(ready->session, ready->directory ? &*ready->directory : nullptr, stop, comm)) {
        sweep::RunSummary nothing_done;
        nothing_done.outcome = sweep::Outcome::interrupted;
        return comm.rank() == 0 ? conclude(*ready, options, nothing_done) : ExitCode::done;
    }
    comm.max_over_ranks(0);  // tasks come from leaders, calibrations from rank 0: none may overtake the other
    trial::UnitRunner runner(*ready->session.experiment, settings.study.seed, settings.run.batch_images);
    const sweep::RunUnit run_unit = [&](const WorkUnit& unit, const sweep::Cancelled& cancelled) {
        return runner.run(unit, cancelled);
    };
    sweep::SchedulerOptions scheduler;
    scheduler.segment_s = settings.run.segment_s;
    scheduler.max_failed_units = settings.run.max_failed_units;
    if (comm.rank() != 0) {
        sweep::work(comm, run_unit, scheduler);
        return ExitCode::done;
    }
    ProgressDisplay display(options.json);
    const auto summary =
        sweep::coordinate(comm, ready->session.workload, std::move(ready->units), run_unit, *ready->directory,
                          stop, scheduler, [&](const auto& progress) { display(progress); });
    display.finish();
    const ExitCode ended = conclude(*ready, options, summary);
    // A rank may be in the middle of a long point whose result nobody wants any more.
    const auto silent = sweep::await_leaving(comm, summary.silent_ranks, scheduler.long_unit_s);
    if (silent.empty()) return ended;
    fmt::print(
        stderr,
        "crossweep: rank{} {} no longer answer{}; nothing of them is missing, and they are ended now\n",
        silent.size() == 1 ? "" : "s", fmt::join(silent, ", "), silent.size() == 1 ? "s" : "");
    std::fflush(stdout);
    comm.abort(static_cast<int>(ended));
    return ended;
}

}  // namespace crossweep::app
