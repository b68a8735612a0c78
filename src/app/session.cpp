#include "session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "crossweep/crossbar/crossbar_engine.hpp"
#include "crossweep/crossbar/large_small.hpp"
#include "point_costs.hpp"
#include "share_study.hpp"

namespace crossweep::app {
namespace {

/// Hash of everything that decides the results of `point`, given the contents of its files.
ContentHash point_key(const config::Settings& settings, const ContentHash& weights,
                      const ContentHash& images) {
    std::string text =
        fmt::format("physics {}\nmodel {}\nimages {}\n", physics_version, weights.hex(), images.hex());
    for (const auto& [key, value] : config::identity(settings)) text += fmt::format("{} = {}\n", key, value);
    return hash_text(text);
}

/// Hash of everything that decides a noise-free reference.
ContentHash reference_key(const config::Settings& settings, const model::Architecture& network,
                          const ContentHash& weights, const ContentHash& images) {
    std::string text = fmt::format("reference {}\nmodel {} heads {}\nimages {}\n", physics_version,
                                   weights.hex(), network.heads, images.hex());
    for (const model::TokenCut& cut : network.cuts)
        text += fmt::format("{} patches from block {} on\n", cut.patches, cut.before_block);
    for (const auto& [key, value] : config::identity(settings)) {
        // A random choice of images comes from the seed.
        if (key.starts_with("data.") || key == "study.seed") text += fmt::format("{} = {}\n", key, value);
    }
    return hash_text(text);
}

/// Points of a unit that takes about a minute at most: whoever stops a run waits for the units in hand.
std::size_t points_of_a_minute(const trial::Experiment& experiment, std::size_t shard_images) {
    // assumption: noisy multiply-accumulates that a core makes in a minute; only the size of units depends on
    // it.
    constexpr double per_minute = 60 * 4e10, per_minute_of_circuit = 60 * 3e8;
    double points = std::numeric_limits<double>::max();
    for (std::uint32_t p = 0; p < experiment.points(); ++p) {
        const auto& network = experiment.model(experiment.reference_of(PointId(p))).network;
        const double of_point = static_cast<double>(network.multiply_accumulates() * shard_images);
        const trial::PointParams& params = experiment.params(PointId(p));
        bool circuit = false;
        for (std::size_t i = 0; i < params.operands.size(); ++i) {
            const auto role = static_cast<linalg::Role>(i);
            const auto simulated = crossbar::simulation_of(role, params.operands[i], params.crossbar);
            circuit = circuit || simulated.operand.fidelity == crossbar::Fidelity::circuit;
        }
        points = std::min(points, (circuit ? per_minute_of_circuit : per_minute) / of_point);
    }
    return static_cast<std::size_t>(std::max(points, 1.0));
}

sweep::Column column(const std::string& name, const std::vector<config::KeyValue>& values) {
    sweep::Column result{name, {}, {}};
    bool numeric = true;
    for (const auto& value : values) {
        result.text.push_back(value.text);
        numeric = numeric && value.number.has_value();
    }
    for (const auto& value : values) {
        if (numeric) result.number.push_back(*value.number);
    }
    return result;
}

/// The column of one key of an axis.
sweep::Column key_column(const config::Axis& axis, std::size_t key, const std::string& name) {
    std::vector<config::KeyValue> values;
    for (std::size_t i = 0; i < axis.size(); ++i)
        values.push_back({name, axis.text[i][key], axis.number[i][key]});
    return column(name, values);
}

sweep::ResultAxis result_axis(const config::Axis& axis) {
    if (axis.keys.size() == 1 && axis.name == axis.keys[0]) return {key_column(axis, 0, axis.name), {}};
    sweep::ResultAxis result{{axis.name, {}, {}}, {}};
    for (std::size_t key = 0; key < axis.keys.size(); ++key)
        result.keys.push_back(key_column(axis, key, axis.keys[key]));
    for (const auto& texts : axis.text) {
        std::string label;
        for (std::size_t key = 0; key < axis.keys.size(); ++key) {
            if (texts[key].empty()) continue;
            label += fmt::format("{}{}={}", label.empty() ? "" : "; ", axis.keys[key], texts[key]);
        }
        result.coordinate.text.push_back(label);
    }
    return result;
}

}  // namespace

std::unique_ptr<trial::Experiment> load_experiment(const config::Study& study, comm::Communicator& comm) {
    std::vector<trial::PointParams> points;
    for (const config::Point& point : study.points) points.push_back(point.settings.point());
    const auto& data = study.base.data;
    const std::uint32_t seed = study.base.study.seed;
    trial::ExperimentFiles files = read_files_together(data, seed, points, comm);
    return std::make_unique<trial::Experiment>(data, seed, std::move(points), std::move(files));
}

Session open_session(config::Study study) {
    const auto alone = comm::make_local_communicator();
    return open_session(std::move(study), *alone);
}

Session open_session(config::Study study, comm::Communicator& comm) {
    Session session{std::move(study), nullptr, {}};
    session.experiment = load_experiment(session.study, comm);
    const config::Settings& base = session.study.base;
    const trial::Experiment& experiment = *session.experiment;
    const ContentHash images = experiment.inputs().content_hash();
    std::vector<ContentHash> weights;
    for (std::size_t reference = 0; reference < experiment.references(); ++reference) {
        weights.push_back(experiment.model(reference).file.content_hash());
    }
    sweep::Workload& workload = session.workload;
    for (std::uint32_t p = 0; p < experiment.points(); ++p) {
        const std::size_t reference = experiment.reference_of(PointId(p));
        workload.point_keys.push_back(
            point_key(session.study.points[p].settings, weights[reference], images));
        workload.group.push_back(reference);
        workload.is_reference.push_back(false);
    }
    for (std::size_t reference = 0; reference < experiment.references(); ++reference) {
        const auto& network = experiment.model(reference).network.architecture();
        workload.point_keys.push_back(reference_key(base, network, weights[reference], images));
        workload.group.push_back(reference);
        workload.is_reference.push_back(true);
    }
    workload.trials = base.study.trials;
    workload.shards = experiment.shards();
    workload.points_per_unit = std::min<std::size_t>(base.run.points_per_unit,
                                                     points_of_a_minute(experiment, base.data.shard_images));
    return session;
}

sweep::StudyDescription describe(const Session& session) {
    const trial::Experiment& experiment = *session.experiment;
    sweep::StudyDescription description;
    description.confidence = session.study.base.study.confidence;
    for (const config::Axis& axis : session.study.axes) description.axes.push_back(result_axis(axis));

    std::vector<std::vector<config::KeyValue>> values;
    values.reserve(session.study.points.size());
    for (const config::Point& point : session.study.points)
        values.push_back(config::key_values(point.settings));
    for (std::size_t key = 0; key < values.front().size(); ++key) {
        std::vector<config::KeyValue> of_points;
        for (const auto& point : values) of_points.push_back(point[key]);
        description.parameters.push_back(column(values.front()[key].key, of_points));
    }
    description.images.assign(experiment.images().begin(), experiment.images().end());
    for (const std::uint32_t image : experiment.images())
        description.labels.push_back(experiment.label(image));
    const io::TextSet* texts = experiment.inputs().texts();
    if (texts != nullptr && texts->is_language_model())
        description.characters_per_token = texts->characters_per_token;
    description.shard_images = session.study.base.data.shard_images;
    description.points = experiment.points();
    description.references = experiment.references();
    for (std::uint32_t p = 0; p < experiment.points(); ++p) {
        description.reference_of_point.push_back(experiment.reference_of(PointId(p)));
        const trial::PointParams& params = experiment.params(PointId(p));
        description.chip_noise.push_back(crossbar::draws_per_chip(params.operands, params.crossbar)
                                             ? ChipNoise::present
                                             : ChipNoise::none);
    }
    describe_costs(session, description);
    return description;
}

}  // namespace crossweep::app
