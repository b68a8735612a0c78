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

/// The normalisation in force: the study's, else the data set's, else the model's.
model::Normalisation choose_normalisation(const DataParams& data, const io::ImageSet& images,
                                          const std::optional<model::Normalisation>& of_model,
                                          const std::filesystem::path& weights) {
    if (!data.mean.empty()) return {data.mean, data.std};
    if (!images.mean.empty()) return {images.mean, images.std};
    if (of_model) return *of_model;
    throw DataError(
        fmt::format("{}: neither the data set nor {} says how to normalise the images. "
                    "Set data.mean and data.std, one number per channel.",
                    data.images.string(), weights.string()));
}

void expect_fit(const model::Architecture& network, const io::ImageSet& images, const DataParams& data,
                const ModelParams& model) {
    if (images.height != network.image_size || images.width != network.image_size) {
        throw DataError(
            fmt::format("{}: images of {}x{} pixels do not fit {}, which takes {}x{}. "
                        "Prepare them with analysis/prepare_images.py.",
                        data.images.string(), images.height, images.width, model.weights.string(),
                        network.image_size, network.image_size));
    }
    if (images.channels != network.channels) {
        throw DataError(
            fmt::format("{}: images of {} channels do not fit {}, which takes {}. "
                        "Choose another data set or model.",
                        data.images.string(), images.channels, model.weights.string(), network.channels));
    }
    const auto largest = std::max_element(images.labels.begin(), images.labels.end());
    if (largest != images.labels.end() && static_cast<std::size_t>(*largest) >= network.classes) {
        throw DataError(
            fmt::format("{}: label {} of image {} is beyond the {} classes of {}. "
                        "Choose a model trained on these classes.",
                        data.images.string(), *largest, largest - images.labels.begin(), network.classes,
                        model.weights.string()));
    }
}

}  // namespace

LoadedModel::LoadedModel(const ModelParams& model, SharedBytes weights, const io::ImageSet& images,
                         const DataParams& data)
    : params(model),
      file(model.weights, std::move(weights)),
      network(file, model.num_heads),
      normalisation(choose_normalisation(data, images, network.normalisation(), model.weights)) {
    expect_fit(network.architecture(), images, data, model);
    if (normalisation.mean.size() != images.channels || normalisation.std.size() != images.channels) {
        throw DataError(fmt::format(
            "{}: a normalisation of {} means and {} standard deviations does not fit images "
            "of {} channels. Set data.mean and data.std.",
            data.images.string(), normalisation.mean.size(), normalisation.std.size(), images.channels));
    }
}

ExperimentFiles read_files(const DataParams& data, std::span<const PointParams> points) {
    ExperimentFiles files{io::read_images(data.images, data.labels), {}};
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
      images_(std::move(files.images)),
      chosen_(choose_images(data, seed, images_.count)),
      adc_ranges_(points_.size()) {
    for (const PointParams& point : points_) {
        const auto same = [&](const auto& loaded) { return loaded->params == point.model; };
        auto found = std::find_if(models_.begin(), models_.end(), same);
        if (found == models_.end()) {
            models_.push_back(std::make_unique<LoadedModel>(
                point.model, files.weights.at(point.model.weights), images_, data));
            found = std::prev(models_.end());
        }
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

void Experiment::normalise(std::uint32_t image, const LoadedModel& model, std::vector<float>& pixels) const {
    const auto bytes = images_.image(image);
    const std::size_t area = images_.height * images_.width, channels = images_.channels;
    pixels.resize(bytes.size());
    for (std::size_t channel = 0; channel < channels; ++channel) {
        const double scale = 1 / (255 * model.normalisation.std[channel]);
        const double shift = model.normalisation.mean[channel] / model.normalisation.std[channel];
        for (std::size_t i = 0; i < area; ++i) {
            pixels[channel * area + i] = static_cast<float>(bytes[i * channels + channel] * scale - shift);
        }
    }
}

std::vector<std::uint32_t> choose_images(const DataParams& params, std::uint32_t seed,
                                         std::size_t available) {
    const std::size_t count = params.count == 0 ? available : params.count;
    if (count == 0 || count > available) {
        throw DataError(
            fmt::format("{}: the data set has {} images, fewer than data.count = {}. Lower data.count.",
                        params.images.string(), available, count));
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
