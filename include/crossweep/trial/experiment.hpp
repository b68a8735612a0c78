// What all trials of a study share on one rank: models, inputs, and the parameters of every point.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "crossweep/core/content_hash.hpp"
#include "crossweep/core/shared_bytes.hpp"
#include "crossweep/core/strong_id.hpp"
#include "crossweep/crossbar/adc.hpp"
#include "crossweep/model/transformer.hpp"
#include "crossweep/trial/input_set.hpp"
#include "crossweep/trial/trial_params.hpp"

namespace crossweep::trial {

/// A model with the file that it views.
struct LoadedModel {
    ModelParams params;
    io::Safetensors file;
    model::Transformer network;
    model::Normalisation normalisation;  ///< of images

    LoadedModel(const ModelParams& model, SharedBytes weights, const InputSet& inputs,
                const DataParams& data);
};

/// The files of an experiment, whoever has read them.
struct ExperimentFiles {
    InputSet inputs;
    std::map<std::filesystem::path, SharedBytes> weights;
};

/// Read the inputs and every model that a point names. Throws DataError: files missing or broken.
ExperimentFiles read_files(const DataParams& data, std::span<const PointParams> points);

/// Indices, ascending, of all images of `available` whose pixels an experiment reads: those of the study, and
/// those that calibrate ADCs. Throws DataError if there are too few.
std::vector<std::uint32_t> images_to_hold(const DataParams& data, std::uint32_t seed,
                                          std::span<const PointParams> points, std::size_t available);

/// Points 0 … points-1 are the study's; behind them comes one noise-free reference per model.
class Experiment {
  public:
    /// `files` has the inputs and every model that a point names. `seed` decides a random choice of images.
    /// Throws DataError: files broken, inputs that do not fit a model, labels beyond its classes, crossbars
    /// that would need tokens of a decoder before they are known.
    Experiment(const DataParams& data, std::uint32_t seed, std::vector<PointParams> points,
               ExperimentFiles files);
    /// With the files read here.
    Experiment(const DataParams& data, std::uint32_t seed, std::vector<PointParams> points)
        : Experiment(data, seed, points, read_files(data, points)) {}

    std::size_t points() const { return points_.size(); }
    std::size_t references() const { return models_.size(); }
    std::size_t shards() const;
    /// Indices, within the data set file, of the images of the study, ascending.
    std::span<const std::uint32_t> images() const { return chosen_; }
    std::span<const std::uint32_t> images_of(ShardId shard) const;
    std::int32_t label(std::uint32_t image) const { return inputs_.label(image); }

    bool is_reference(PointId point) const { return point.value() >= points_.size(); }
    /// Number of the reference (and model) that `point` is compared with, or is.
    std::size_t reference_of(PointId point) const;
    PointId reference_point(std::size_t reference) const;
    const PointParams& params(PointId point) const { return points_[point.value()]; }
    const LoadedModel& model(std::size_t reference) const { return *models_[reference]; }
    const InputSet& inputs() const { return inputs_; }

    /// Ranges of the ADCs of a point that needs_calibration; null until they are set.
    const crossbar::AdcRanges* adc_ranges(PointId point) const { return adc_ranges_[point.value()].get(); }
    void set_adc_ranges(PointId point, std::shared_ptr<const crossbar::AdcRanges> ranges) {
        adc_ranges_[point.value()] = std::move(ranges);
    }

  private:
    DataParams data_;
    std::vector<PointParams> points_;
    InputSet inputs_;
    std::vector<std::uint32_t> chosen_;
    std::vector<std::unique_ptr<LoadedModel>> models_;
    std::vector<std::size_t> model_of_point_;
    std::vector<std::shared_ptr<const crossbar::AdcRanges>> adc_ranges_;  ///< [point]
};

/// Indices of `params.count` of `available` images. Throws DataError if there are fewer.
std::vector<std::uint32_t> choose_images(const DataParams& params, std::uint32_t seed, std::size_t available);

}  // namespace crossweep::trial
