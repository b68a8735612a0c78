// The command line: what can be asked, and how errors become exit codes. Everything else is elsewhere.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>

#include "commands.hpp"
#include "crossweep/comm/communicator.hpp"
#include "crossweep/sweep/stop_condition.hpp"

namespace {

using namespace crossweep;

/// Run `command`; an error becomes a sentence and an exit code. A rank of several that fails ends them all:
/// `run` has already seen to failures that ranks can agree on.
int conclude(comm::Communicator& comm, const std::function<ExitCode()>& command) {
    ExitCode code = ExitCode::done;
    std::string message;
    try {
        return static_cast<int>(command());
    } catch (const Error& error) {
        code = error.exit_code();
        message = error.what();
    } catch (const std::exception& error) {
        code = ExitCode::internal;
        message = fmt::format("unexpected: {}", error.what());
    }
    const std::string who = comm.size() > 1 ? fmt::format("rank {}: ", comm.rank()) : "";
    fmt::print(stderr, "crossweep: {}{}\n", who, message);
    std::fflush(stderr);
    if (comm.size() > 1) comm.abort(static_cast<int>(code));
    return static_cast<int>(code);
}

std::string join(int argc, char** argv) {
    std::string line = "crossweep";
    for (int i = 1; i < argc; ++i) line += fmt::format(" {}", argv[i]);
    return line;
}

void add_study(CLI::App* command, app::StudyOptions& options) {
    command->add_option("study", options.file, "study file (TOML)")->required();
    command->add_option("--set", options.overrides, "override a key of the study: key=value (repeatable)");
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App program{"crossweep: Monte Carlo studies of transformers on noisy memristor crossbars"};
    program.require_subcommand(1);
    program.footer(
        "Exit codes: 0 done, 2 usage, 3 configuration, 4 data, 5 internal or failed units, 75 unfinished: "
        "give the same command again.");
    app::StudyOptions study;
    app::RunOptions run;
    app::ReplayOptions replay;
    app::BenchOptions bench;
    app::SimulateOptions simulate;
    app::StatusOptions status;
    app::CostOptions cost;
    std::string directory, weights, plan_bench;
    std::uint32_t heads = 0;
    bool json = false, partial = false;
    run.command_line = join(argc, argv);
    std::function<ExitCode(comm::Communicator&)> command;

    auto* check_command = program.add_subcommand("check", "check a study and everything it names");
    check_command->footer("Example: crossweep check configs/quickstart.toml");
    add_study(check_command, study);
    check_command->callback([&] { command = [&](auto&) { return app::check(study); }; });

    auto* plan_command = program.add_subcommand("plan", "size of a study: points, units, hours, file size");
    plan_command->footer(
        "Times a few images on this machine, or plans for another one by what crossweep bench --json "
        "printed\n"
        "there. Example: crossweep plan configs/deit_tiny.toml --bench node.json");
    add_study(plan_command, study);
    plan_command->add_option("--bench", plan_bench, "figures of the machine that will run the study");
    plan_command->add_flag("--json", json, "print JSON");
    plan_command->callback([&] { command = [&](auto&) { return app::plan(study, plan_bench, json); }; });

    auto* run_command = program.add_subcommand("run", "run a study, or go on with it where it stopped");
    run_command->footer(
        "The same command again goes on: finished units are never computed twice.\n"
        "Example: mpirun -n 2 crossweep run configs/quickstart.toml --out runs/quickstart");
    add_study(run_command, run.study);
    run_command->add_option("--out", run.directory, "run directory")->required();
    run_command->add_option("--part", run.part,
                            "i/n: this job does the i-th of n parts of the same directory");
    run_command->add_flag("--json", run.json, "print JSON at the end instead of tables");
    run_command->callback([&] { command = [&](auto& comm) { return app::run(run, comm); }; });

    auto* status_command = program.add_subcommand(
        "status", "how far a run is, and the surface so far; from any machine, at any time");
    status_command->footer("Example: crossweep status runs/quickstart --watch 30");
    status_command->add_option("directory", status.directory, "run directory")->required();
    status_command
        ->add_option("--watch", status.watch_s, "look again every so many seconds until it is complete")
        ->check(CLI::Range(0.1, 86400.0));
    status_command->add_flag("--brief", status.brief, "without the surface, for which all records are read");
    status_command->add_flag("--json", status.json, "print JSON");
    status_command->callback([&] { command = [&](auto&) { return app::status(status); }; });

    auto* merge_command = program.add_subcommand("merge", "make results.h5 from the segments of a run");
    merge_command->footer("Idempotent. Example: crossweep merge runs/quickstart");
    merge_command->add_option("directory", directory, "run directory")->required();
    merge_command->add_flag("--partial", partial, "also if the study is unfinished");
    merge_command->callback(
        [&] { command = [&](auto&) { return app::merge(directory, partial, run.command_line); }; });

    auto* report_command = program.add_subcommand("report", "print the surfaces with their intervals");
    report_command->footer("Example: crossweep report runs/quickstart --json");
    report_command->add_option("directory", directory, "run directory")->required();
    report_command->add_flag("--json", json, "print JSON");
    report_command->callback([&] { command = [&](auto&) { return app::report(directory, json); }; });

    auto* replay_command =
        program.add_subcommand("replay", "compute one record again and compare it with the stored");
    replay_command->footer("Example: crossweep replay runs/quickstart --point 3 --trial 0 --shard 2");
    replay_command->add_option("directory", replay.directory, "run directory")->required();
    replay_command->add_option("--point", replay.point, "point of the study")->required();
    replay_command->add_option("--trial", replay.trial, "trial")->required();
    replay_command->add_option("--shard", replay.shard, "shard of the images")->required();
    replay_command->callback([&] { command = [&](auto&) { return app::replay(replay); }; });

    auto* inspect_command = program.add_subcommand(
        "inspect", "what a weights file is: family, shapes, products, crossbars, what is wrong with it");
    inspect_command->footer(
        "Exits with 4 after what it recognises if tensors are missing, unknown or of a wrong shape.\n"
        "Example: crossweep inspect data/fashion_vit.safetensors");
    inspect_command->add_option("weights", weights, "safetensors file")->required();
    inspect_command->add_option("--heads", heads, "attention heads, where the file does not say");
    inspect_command->add_flag("--json", json, "print JSON");
    inspect_command->callback([&] { command = [&](auto&) { return app::inspect(weights, heads, json); }; });

    auto* cost_command =
        program.add_subcommand("cost", "what a model computes and moves by length, and what that costs");
    cost_command->footer(
        "Counts come from the shape alone (docs/cost.md): multiplications and additions both count, an "
        "element\n"
        "is a byte. Names: bert-base, bert-large, gpt2, deit-tiny, deit-small, deit-base, lv-vit-s.\n"
        "Example: crossweep cost --model bert-base --lengths 128:512 --hardware configs/hardware\n"
        "With a study: energy, area and latency of its points on crossbars, by component; nothing is "
        "simulated.\n"
        "Example: crossweep cost --study configs/architectures.toml --model bert-large");
    cost_command->add_option("--model", cost.model,
                             "name of a published model, or a safetensors file; default: the study's");
    cost_command->add_option("--study", cost.study.file,
                             "study file (TOML): cost of its points on crossbars");
    cost_command->add_option("--set", cost.study.overrides,
                             "override a key of the study: key=value (repeatable)");
    cost_command->add_option("--first", cost.first, "only so many points of the study");
    cost_command
        ->add_option("--lengths", cost.lengths,
                     "numbers of tokens; 128:4096 is 128 and its doubles; default: the most the model takes")
        ->delimiter(',');
    cost_command->add_option("--hardware", cost.hardware, "hardware file or folder of them (repeatable)");
    cost_command->add_flag("--beyond", cost.beyond, "also lengths that the model has no positions for");
    cost_command->add_flag("--json", cost.json, "print JSON");
    cost_command->callback([&] { command = [&](auto&) { return app::cost(cost); }; });

    auto* simulate_command =
        program.add_subcommand("simulate", "how a study would run on many ranks, in simulated time");
    simulate_command->footer(
        "The scheduler is the real one; ranks, network and file system are imitated.\n"
        "Example: crossweep simulate --ranks 1024,16384 --units 1000000 --unit-s 10 --times runs/quickstart");
    simulate_command->add_option("--ranks", simulate.ranks, "numbers of ranks")
        ->delimiter(',')
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    simulate_command->add_option("--units", simulate.units, "units of work")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 31))
        ->capture_default_str();
    simulate_command->add_option("--points-per-unit", simulate.points_per_unit, "points of a unit")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    simulate_command->add_option("--unit-s", simulate.unit_s, "mean time of a unit in seconds")
        ->check(CLI::Range(1e-3, 1e6))
        ->capture_default_str();
    simulate_command->add_option(
        "--times", simulate.times,
        "run directory whose measured times give their spread; without it, all are equal");
    simulate_command
        ->add_option("--slow-ranks", simulate.slow_ranks, "fraction of ranks that take 5 times as long")
        ->check(CLI::Range(0.0, 1.0));
    simulate_command->add_option(
        "--most-direct-ranks", simulate.most_direct_ranks,
        "with more ranks, leaders of groups stand between; default as in crossweep run");
    simulate_command->add_flag("--json", simulate.json, "print JSON");
    simulate_command->callback([&] { command = [&](auto&) { return app::simulate(simulate); }; });

    auto* bench_command = program.add_subcommand("bench", "speed of this machine on a DeiT-S, as ratios");
    bench_command->footer("Example: crossweep bench --seconds 5");
    bench_command->add_option("--seconds", bench.seconds, "per measurement")->check(CLI::Range(0.01, 3600.0));
    bench_command->add_option("--only", bench.only,
                              "run one case over and over, for profilers: digital, frozen, per_read, ...");
    bench_command->add_flag("--json", bench.json, "print JSON; crossweep plan --bench reads it");
    bench_command->callback([&] { command = [&](auto&) { return app::bench(bench); }; });

    auto* schema_command = program.add_subcommand("schema", "reference of all study keys, as Markdown");
    schema_command->footer("Example: crossweep schema > docs/configuration.md");
    schema_command->callback([&] { command = [](auto&) { return app::schema(); }; });

    auto* version_command = program.add_subcommand("version", "version, build and instruction set");
    version_command->footer("Example: crossweep version --json");
    version_command->add_flag("--json", json, "print JSON");
    version_command->callback([&] { command = [&](auto&) { return app::version(json); }; });

    try {
        program.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int shown = program.exit(error);
        return shown == 0 ? 0 : static_cast<int>(ExitCode::usage);
    }
    if (!run_command->parsed()) {
        const auto alone = comm::make_local_communicator();
        return conclude(*alone, [&] { return command(*alone); });
    }
    std::signal(SIGXFSZ, SIG_IGN);  // a file above `ulimit -f` is then an error with a sentence
    sweep::catch_stop_signals();
    const auto comm = comm::make_communicator(&argc, &argv);
    return conclude(*comm, [&] { return command(*comm); });
}
