#include "crossweep/trial/unit_runner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "crossweep/core/error.hpp"
#include "crossweep/crossbar/crossbar_engine.hpp"
#include "crossweep/linalg/gemm.hpp"

namespace crossweep::trial {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Add one image's logits to `record`. Ties go to the lower class.
void count_prediction(std::span<const float> logits, std::int32_t label, io::Record& record) {
    const auto best = std::max_element(logits.begin(), logits.end());
    const auto predicted = static_cast<std::int32_t>(best - logits.begin());
    const auto correct = static_cast<std::size_t>(label);
    const float of_label = logits[correct];
    std::size_t ahead = 0;
    float largest_other = -std::numeric_limits<float>::infinity();
    for (std::size_t i = 0; i < logits.size(); ++i) {
        if (i == correct) continue;
        if (logits[i] > of_label || (logits[i] == of_label && i < correct)) ++ahead;
        largest_other = std::max(largest_other, logits[i]);
    }
    ++record.images;
    record.correct_top1 += predicted == label ? 1 : 0;
    record.correct_top5 += ahead < 5 ? 1 : 0;
    record.predicted.push_back(predicted);
    record.margin.push_back(of_label - largest_other);
}

/// Turn `record` into a failed one.
void fail(io::Record& record, std::string why) {
    io::Record failed;
    failed.key = record.key;
    failed.path = record.path;
    failed.failure = std::move(why);
    record = std::move(failed);
}

bool finite(std::span<const float> values) {
    return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

}  // namespace

UnitRunner::UnitRunner(const Experiment& experiment, std::uint32_t seed, std::size_t batch_images)
    : experiment_(experiment), seed_(seed), batch_images_(batch_images), path_(linalg::arithmetic_path()) {}

std::vector<io::Record> UnitRunner::run(const WorkUnit& unit, const std::function<bool()>& cancelled) {
    std::vector<io::Record> records(unit.points.size());
    for (io::Record& record : records) {
        record.key = {{}, unit.trial.value(), unit.shard.value()};
        record.path = path_;
    }
    if (unit.points.empty()) return records;
    const std::size_t model = experiment_.reference_of(unit.points.front());

    const std::vector<std::size_t> order = order_by_chip(unit.points);
    const auto reference = std::find_if(order.begin(), order.end(),
                                        [&](auto i) { return experiment_.is_reference(unit.points[i]); });

    const auto images = experiment_.images_of(unit.shard);
    for (std::size_t first = 0; first < images.size(); first += batch_images_) {
        const auto batch = images.subspan(first, std::min(batch_images_, images.size() - first));
        run_reference(batch, model, reference == order.end() ? nullptr : &records[*reference]);
        for (const std::size_t i : order) {
            if (cancelled && cancelled()) return records;
            const bool done = experiment_.is_reference(unit.points[i]) || records[i].failed();
            if (!done) run_point(batch, unit.points[i], unit.trial, records[i]);
        }
    }
    return records;
}

std::vector<std::size_t> UnitRunner::order_by_chip(std::span<const PointId> points) const {
    std::vector<std::size_t> first_alike(points.size());
    for (std::size_t i = 0; i < points.size(); ++i) {
        const auto alike = [&](PointId other) {
            if (experiment_.is_reference(other) || experiment_.is_reference(points[i]))
                return other == points[i];
            const PointParams &a = experiment_.params(other), &b = experiment_.params(points[i]);
            return crossbar::stationary_inputs(a.operands, a.crossbar) ==
                   crossbar::stationary_inputs(b.operands, b.crossbar);
        };
        first_alike[i] =
            static_cast<std::size_t>(std::find_if(points.begin(), points.end(), alike) - points.begin());
    }
    std::vector<std::size_t> order(points.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto b) { return first_alike[a] < first_alike[b]; });
    return order;
}

void UnitRunner::normalise(std::span<const std::uint32_t> batch, const LoadedModel& model) {
    pixels_.resize(std::max(pixels_.size(), batch.size()));
    images_.clear();
    for (std::size_t i = 0; i < batch.size(); ++i) {
        experiment_.normalise(batch[i], model, pixels_[i]);
        images_.push_back({ImageId(batch[i]), pixels_[i]});
    }
}

linalg::MatrixView UnitRunner::forward(const LoadedModel& model, linalg::MatmulEngine& engine,
                                       const model::AttentionObserver& observe) {
    const auto logits = logits_.shaped(static_cast<Eigen::Index>(images_.size()),
                                       static_cast<Eigen::Index>(model.network.architecture().classes));
    model.network.forward(images_, engine, activations_, observe, logits);
    return logits;
}

linalg::DigitalEngine& UnitRunner::digital(std::size_t model) {
    if (!digital_ || digital_->model != model) {
        digital_.reset();  // before the next is made: two packed models need not fit in memory
        digital_.emplace(
            Digital{model, linalg::DigitalEngine(experiment_.model(model).network.stationary_weights())});
    }
    return digital_->engine;
}

void UnitRunner::run_reference(std::span<const std::uint32_t> batch, std::size_t number, io::Record* record) {
    linalg::DigitalEngine& engine = digital(number);
    const LoadedModel& model = experiment_.model(number);
    const auto start = Clock::now();
    normalise(batch, model);
    reference_attention_.resize(std::max(reference_attention_.size(), batch.size()));
    for (auto& attention : reference_attention_) attention.resize(model.network.architecture().depth);
    linalg::MatrixView logits =
        forward(model, engine, [&](std::size_t image, LayerId layer, const auto& attention) {
            reference_attention_[image][layer.value()] = attention;
        });
    for (std::size_t i = 0; i < batch.size(); ++i) {
        const auto of_image = linalg::row_of(logits, static_cast<Eigen::Index>(i));
        if (!finite(of_image)) {
            throw DataError(
                fmt::format("{}: image {} gives logits that are not finite without any noise. "
                            "Check the weights and the normalisation.",
                            model.params.weights.string(), batch[i]));
        }
        if (record != nullptr) count_prediction(of_image, experiment_.label(batch[i]), *record);
    }
    if (record != nullptr) record->seconds += seconds_since(start);
}

void UnitRunner::run_point(std::span<const std::uint32_t> batch, PointId point, TrialId trial,
                           io::Record& record) {
    const auto start = Clock::now();
    const PointParams& params = experiment_.params(point);
    const LoadedModel& model = experiment_.model(experiment_.reference_of(point));
    crossbar::CrossbarEngine engine(
        model.network.stationary_weights(), chip(point, trial),
        {params.crossbar, params.transform, params.operands, experiment_.adc_ranges(point), nullptr},
        {seed_, trial.value()});
    const std::size_t depth = model.network.architecture().depth;
    record.signal.resize(depth);
    record.noise.resize(depth);
    sums_.assign(batch.size() * depth, {});
    linalg::MatrixView logits =
        forward(model, engine, [&](std::size_t image, LayerId layer, const auto& attention) {
            const auto& reference = reference_attention_[image][layer.value()];
            sums_[image * depth + layer.value()] =
                linalg::square_sums(linalg::const_view(reference), attention);
        });
    for (std::size_t i = 0; i < batch.size(); ++i) {
        const auto of_image = linalg::row_of(logits, static_cast<Eigen::Index>(i));
        if (!finite(of_image)) {
            fail(record, fmt::format("image {} gives logits that are not finite", batch[i]));
            return;
        }
        count_prediction(of_image, experiment_.label(batch[i]), record);
        for (std::size_t layer = 0; layer < depth; ++layer) {
            record.signal[layer] += sums_[i * depth + layer].signal;
            record.noise[layer] += sums_[i * depth + layer].noise;
        }
    }
    record.seconds += seconds_since(start);
}

const std::vector<crossbar::ProgrammedWeight>& UnitRunner::chip(PointId point, TrialId trial) {
    const PointParams& params = experiment_.params(point);
    const std::size_t model = experiment_.reference_of(point);
    const auto inputs = crossbar::stationary_inputs(params.operands, params.crossbar);
    if (!chip_ || chip_->model != model || chip_->trial != trial || !(chip_->inputs == inputs)) {
        chip_.reset();  // before the next is made: two chips need not fit in memory
        chip_ = Chip{model, trial, inputs,
                     crossbar::program_weights(experiment_.model(model).network.stationary_weights(),
                                               params.operands, params.crossbar, {seed_, trial.value()})};
    }
    return chip_->weights;
}

}  // namespace crossweep::trial
