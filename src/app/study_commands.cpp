// crossweep check and plan: what a study is, before anything runs.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "inference_time.hpp"
#include "session.hpp"

namespace crossweep::app {
namespace {

/// Bytes per (point, trial, image) of predictions and per (point, trial, layer) of attention, plus labels.
double estimated_bytes(const Session& session) {
    const auto images = static_cast<double>(session.experiment->images().size());
    const auto cells = static_cast<double>(session.experiment->points() * session.workload.trials);
    const auto layers = static_cast<double>(session.experiment->model(0).network.architecture().depth);
    return cells * (12 * images + 16 * layers + 33 * static_cast<double>(session.workload.shards)) +
           20 * images + 65536;
}

}  // namespace

ExitCode check(const StudyOptions& options) {
    const Session session = open_session(config::load_study(options.file, options.overrides));
    fmt::print("{}: fine. {} points x {} trials x {} images, {} model{}\n", options.file,
               session.experiment->points(), session.workload.trials, session.experiment->images().size(),
               session.experiment->references(), session.experiment->references() == 1 ? "" : "s");
    return ExitCode::done;
}

ExitCode plan(const StudyOptions& options, const std::string& bench, bool json) {
    const Session session = open_session(config::load_study(options.file, options.overrides));
    const auto units = sweep::plan_units(session.workload);
    const std::size_t points = session.experiment->points(), images = session.experiment->images().size();
    const double inferences = static_cast<double>(points * session.workload.trials * images);
    const double seconds =
        bench.empty() ? measured_seconds_per_image(session.study, *session.experiment)
                      : seconds_per_image_on(read_figures(bench), session.study, *session.experiment);
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
    fmt::print("  {:.2f} ms per noisy image on {}, {:.1f} s per unit\n", 1e3 * seconds,
               bench.empty() ? "this core" : "a core as in " + bench,
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
