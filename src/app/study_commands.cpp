// crossweep check and plan: what a study is, before anything runs.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>
#include <vector>

#include "commands.hpp"
#include "crossweep/device/noise.hpp"
#include "crossweep/trial/unit_runner.hpp"
#include "session.hpp"

namespace crossweep::app {
namespace {

/// What the time of a point depends on.
struct PointKind {
    std::size_t reference;
    crossbar::CrossbarParams crossbar;
    std::vector<std::tuple<crossbar::Fidelity, bool, std::uint32_t>> operands;
    bool operator==(const PointKind&) const = default;
};

PointKind kind_of(const trial::Experiment& experiment, PointId point) {
    const trial::PointParams& params = experiment.params(point);
    PointKind kind{experiment.reference_of(point), params.crossbar, {}};
    // Where the ranges of ADCs end changes no time.
    const crossbar::CrossbarParams defaults;
    kind.crossbar.adc_bits = std::min(kind.crossbar.adc_bits, 1U);
    kind.crossbar.adc_range = defaults.adc_range;
    kind.crossbar.adc_range_top = defaults.adc_range_top;
    kind.crossbar.adc_percentile = defaults.adc_percentile;
    for (const auto& operand : params.operands) {
        kind.operands.emplace_back(operand.fidelity, device::draws_at_every_read(operand.device),
                                   operand.device.bits_per_cell);
    }
    return kind;
}

/// Seconds per image of one point, measured here: on eight images, or, where one takes long, on one.
double measured_seconds(const config::Study& study, trial::PointParams params) {
    params.crossbar.adc_range = crossbar::AdcRange::full;  // needs no calibration and takes as long
    double seconds = 0;
    for (const std::uint32_t images : {1U, 8U}) {
        trial::DataParams data = study.base.data;
        if (data.count != 0 && images > data.count) break;
        data.count = data.shard_images = images;
        const trial::Experiment sample(data, study.base.study.seed, {params});
        trial::UnitRunner runner(sample, study.base.study.seed, study.base.run.batch_images);
        const WorkUnit unit{TrialId(0), ShardId(0), {PointId(0)}};
        runner.run(unit);  // the first makes the chip and warms the caches
        seconds = runner.run(unit).front().seconds / images;
        if (seconds > 0.1) break;
    }
    return seconds;
}

/// Seconds per noisy image, mean over the points of `study`, each kind of point measured once.
double measured_seconds_per_image(const config::Study& study, const trial::Experiment& experiment) {
    std::vector<std::pair<PointKind, double>> measured;
    double sum = 0;
    for (std::uint32_t p = 0; p < experiment.points(); ++p) {
        const PointKind kind = kind_of(experiment, PointId(p));
        auto found =
            std::find_if(measured.begin(), measured.end(), [&](const auto& m) { return m.first == kind; });
        if (found == measured.end()) {
            measured.emplace_back(kind, measured_seconds(study, experiment.params(PointId(p))));
            found = std::prev(measured.end());
        }
        sum += found->second;
    }
    return sum / static_cast<double>(experiment.points());
}

/// Bytes per (point, trial, image) of predictions and per (point, trial, layer) of attention, plus labels.
double estimated_bytes(const Session& session) {
    const auto images = static_cast<double>(session.experiment->images().size());
    const auto cells = static_cast<double>(session.experiment->points() * session.workload.trials);
    const auto layers = static_cast<double>(session.experiment->model(0).network.architecture().depth);
    return cells * (8 * images + 16 * layers + 29 * static_cast<double>(session.workload.shards)) +
           16 * images + 65536;
}

}  // namespace

ExitCode check(const StudyOptions& options) {
    const Session session = open_session(config::load_study(options.file, options.overrides));
    fmt::print("{}: fine. {} points x {} trials x {} images, {} model{}\n", options.file,
               session.experiment->points(), session.workload.trials, session.experiment->images().size(),
               session.experiment->references(), session.experiment->references() == 1 ? "" : "s");
    return ExitCode::done;
}

ExitCode plan(const StudyOptions& options, bool json) {
    const Session session = open_session(config::load_study(options.file, options.overrides));
    const auto units = sweep::plan_units(session.workload);
    const std::size_t points = session.experiment->points(), images = session.experiment->images().size();
    const double inferences = static_cast<double>(points * session.workload.trials * images);
    const double seconds = measured_seconds_per_image(session.study, *session.experiment);
    // A reference costs about as much as a point and is computed once for each unit's images.
    const double references = static_cast<double>(units.size()) * static_cast<double>(images) /
                              static_cast<double>(session.workload.shards);
    const double core_hours = (inferences + references) * seconds / 3600;
    const double bytes = estimated_bytes(session);
    if (json) {
        nlohmann::json axes = nlohmann::json::array();
        for (const auto& axis : session.study.axes)
            axes.push_back({{"name", axis.name}, {"size", axis.size()}});
        fmt::print("{}\n", nlohmann::json{{"study", session.study.base.study.name},
                                          {"axes", axes},
                                          {"points", points},
                                          {"trials", session.workload.trials},
                                          {"shards", session.workload.shards},
                                          {"images", images},
                                          {"units", units.size()},
                                          {"records", session.workload.records()},
                                          {"inference_s", seconds},
                                          {"unit_s", core_hours * 3600 / static_cast<double>(units.size())},
                                          {"core_hours", core_hours},
                                          {"results_bytes", bytes}}
                               .dump(2));
        return ExitCode::done;
    }
    fmt::print("{}\n", session.study.base.study.name);
    for (const auto& axis : session.study.axes)
        fmt::print("  axis {} with {} values\n", axis.name, axis.size());
    fmt::print("  {} points x {} trials x {} shards ({} images) = {} records in {} units\n", points,
               session.workload.trials, session.workload.shards, images, session.workload.records(),
               units.size());
    fmt::print("  {:.2f} ms per noisy image on this core, {:.1f} s per unit\n", 1e3 * seconds,
               core_hours * 3600 / static_cast<double>(units.size()));
    if (const double unit_s = core_hours * 3600 / static_cast<double>(units.size()); unit_s > 90)
        fmt::print("  a unit takes long to stop for: lower data.shard_images, now {}\n",
                   session.study.base.data.shard_images);
    fmt::print("  {:.3g} core hours", core_hours);
    for (const int ranks : {2, 16, 128}) fmt::print(", {:.3g} h on {} ranks", core_hours / ranks, ranks);
    fmt::print("\n  results.h5 of about {:.2f} MB\n", bytes / 1e6);
    return ExitCode::done;
}

}  // namespace crossweep::app
