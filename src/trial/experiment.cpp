#include "crossweep/trial/experiment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "crossweep/core/error.hpp"
#include "crossweep/core/noise_stream.hpp"
#include "crossweep/io/mapped_file.hpp"
#include "crossweep/trial/calibration.hpp"

namespace crossweep::trial {
namespace {

/// A decoder computes, and writes K and V, token by token: what depends on later tokens is not known then.
void expect_causal(const PointParams& point) {
    const auto refuse = [&](const char* what, const char* remedy) {
        throw DataError(fmt::format("{}: a decoder computes token by token, before {} is known. Set {}.",
                                    point.model.weights.string(), what, remedy));
    };
    const auto is_on_crossbars = [](const crossbar::OperandParams& operand) {
        return operand.fidelity != crossbar::Fidelity::digital;
    };
    const auto on_crossbars = [&](linalg::Role role) {
        return is_on_crossbars(point.operands[static_cast<std::size_t>(role)]);
    };
    if (point.crossbar.input_scale != crossbar::InputScale::token &&
        std::ranges::any_of(point.operands, is_on_crossbars))
        refuse("the largest input of all tokens", "crossbar.input_scale = \"token\"");
    if (!on_crossbars(linalg::Role::written_keys) && !on_crossbars(linalg::Role::written_values)) return;
    if (point.crossbar.written_scale != crossbar::ScaleBlock::token)
        refuse("the largest value of all tokens", "crossbar.written_scale = \"token\"");
    if (point.transform.centre_keys == transform::CentreKeys::yes)
        refuse("the mean of all keys", "transforms.NAME.centre_keys = \"no\"");
    if (point.transform.clip_block != transform::ClipBlock::tensor)
        refuse("the largest value of a block of tokens", "transforms.NAME.clip_block = \"tensor\"");
    if (point.crossbar.wire_resistance_ohm > 0)
        refuse("the current of all tokens in a line", "crossbar.wire_resistance_ohm = 0");
    if (point.transform.percentile < 100)
        refuse("a percentile of all values", "transforms.NAME.percentile = 100");
}

}  // namespace

LoadedModel::LoadedModel(const ModelParams& model, SharedBytes weights, const InputSet& inputs,
                         const DataParams& data)
    : params(model),
      file(model.weights, std::move(weights)),
      network(file, {model.num_heads, model.keep_ratio}) {
    expect_fit(network.architecture(), inputs, data, model.weights);
    normalisation = choose_normalisation(data, inputs, network, model.weights);
}

ExperimentFiles read_files(const DataParams& data, std::span<const PointParams> points) {
    ExperimentFiles files{read_inputs(data), {}};
    for (const PointParams& point : points) {
        if (!files.weights.contains(point.model.weights))
            files.weights[point.model.weights] = io::map_file(point.model.weights);
    }
    return files;
}

std::vector<std::uint32_t> images_to_hold(const DataParams& data, std::uint32_t seed,
                                          std::span<const PointParams> points, std::size_t available) {
    const std::vector<std::uint32_t> chosen = choose_images(data, seed, available);
    std::set<std::uint32_t> calibration_sizes;
    for (const PointParams& point : points) {
        if (needs_calibration(point)) calibration_sizes.insert(point.crossbar.adc_calibration_images);
    }
    std::set<std::uint32_t> held(chosen.begin(), chosen.end());
    for (const std::uint32_t size : calibration_sizes) {
        const auto calibrating = calibration_images(chosen, available, size);
        held.insert(calibrating.begin(), calibrating.end());
    }
    return {held.begin(), held.end()};
}

Experiment::Experiment(const DataParams& data, std::uint32_t seed, std::vector<PointParams> points,
                       ExperimentFiles files)
    : data_(data),
      points_(std::move(points)),
      inputs_(std::move(files.inputs)),
      chosen_(choose_images(data, seed, inputs_.count())),
      adc_ranges_(points_.size()) {
    for (const PointParams& point : points_) {
        const auto same = [&](const auto& loaded) { return loaded->params == point.model; };
        auto found = std::find_if(models_.begin(), models_.end(), same);
        if (found == models_.end()) {
            models_.push_back(std::make_unique<LoadedModel>(
                point.model, files.weights.at(point.model.weights), inputs_, data));
            found = std::prev(models_.end());
        }
        if ((*found)->network.architecture().causal) expect_causal(point);
        model_of_point_.push_back(static_cast<std::size_t>(found - models_.begin()));
    }
}

std::size_t Experiment::shards() const {
    return (chosen_.size() + data_.shard_images - 1) / data_.shard_images;
}

std::span<const std::uint32_t> Experiment::images_of(ShardId shard) const {
    const std::size_t first = std::size_t{shard.value()} * data_.shard_images;
    CROSSWEEP_EXPECT(first < chosen_.size());
    return std::span(chosen_).subspan(first,
                                      std::min<std::size_t>(data_.shard_images, chosen_.size() - first));
}

std::size_t Experiment::reference_of(PointId point) const {
    return is_reference(point) ? point.value() - points_.size() : model_of_point_[point.value()];
}

PointId Experiment::reference_point(std::size_t reference) const {
    return PointId(static_cast<std::uint32_t>(points_.size() + reference));
}

std::vector<std::uint32_t> choose_images(const DataParams& params, std::uint32_t seed,
                                         std::size_t available) {
    const std::size_t count = params.count == 0 ? available : params.count;
    if (count == 0 || count > available) {
        throw DataError(
            fmt::format("{}: the data set has {} {}, fewer than data.count = {}. Lower data.count.",
                        (params.texts.empty() ? params.images : params.texts).string(), available,
                        params.texts.empty() ? "images" : "texts", count));
    }
    std::vector<std::uint32_t> chosen(available);
    std::iota(chosen.begin(), chosen.end(), 0U);
    switch (params.choice) {
        case ImageChoice::first:
            break;
        case ImageChoice::spread:
            for (std::size_t i = 0; i < count; ++i)
                chosen[i] = static_cast<std::uint32_t>(i * available / count);
            break;
        case ImageChoice::random: {
            // Order by a random word of each image's own, so that the choice does not depend on how it is
            // made. Site 0 is no noise site.
            const auto word = [&](std::uint32_t image) { return philox_block({seed, 0}, {0, image, 0}, 0); };
            std::sort(chosen.begin(), chosen.end(), [&](auto a, auto b) { return word(a) < word(b); });
            std::sort(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(count));
            break;
        }
    }
    chosen.resize(count);
    return chosen;
}

}  // namespace crossweep::trial
