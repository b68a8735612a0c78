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

/// Turn `record` into a failed one.
void fail(io::Record& record, std::string why) {
    io::Record failed;
    failed.key = record.key;
    failed.path = record.path;
    failed.failure = std::move(why);
    record = std::move(failed);
}

/// Signal and noise of `noisy` against `reference`, over the tokens that both have: a predictor may keep
/// others under noise.
linalg::SquareSums compare(const linalg::Matrix& reference, std::span<const std::uint32_t> reference_tokens,
                           const model::AttentionOutput& noisy) {
    if (std::ranges::equal(reference_tokens, noisy.tokens))
        return linalg::square_sums(linalg::const_view(reference), noisy.values);
    linalg::SquareSums sums;
    auto other = noisy.tokens.begin();
    for (std::size_t i = 0; i < reference_tokens.size(); ++i) {
        other = std::lower_bound(other, noisy.tokens.end(), reference_tokens[i]);
        if (other == noisy.tokens.end() || *other != reference_tokens[i]) continue;
        const auto of_row = linalg::square_sums(
            linalg::rows_of(reference, static_cast<Eigen::Index>(i), 1),
            linalg::rows_of(noisy.values, static_cast<Eigen::Index>(other - noisy.tokens.begin()), 1));
        sums.signal += of_row.signal;
        sums.noise += of_row.noise;
    }
    return sums;
}

}  // namespace

UnitRunner::UnitRunner(const Experiment& experiment, std::uint32_t seed, std::size_t batch_images,
                       crossbar::ActivityTable* activity)
    : experiment_(experiment),
      seed_(seed),
      batch_images_(batch_images),
      path_(linalg::arithmetic_path()),
      activity_(activity) {}

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

void UnitRunner::prepare(std::span<const std::uint32_t> batch, const LoadedModel& model) {
    prepared_.resize(std::max(prepared_.size(), batch.size()));
    inputs_.clear();
    for (std::size_t i = 0; i < batch.size(); ++i) {
        experiment_.inputs().prepare(batch[i], model.normalisation, prepared_[i]);
        inputs_.push_back(prepared_[i].input);
    }
}

void UnitRunner::forward(const LoadedModel& model, linalg::MatmulEngine& engine,
                         const model::AttentionObserver& observe) {
    answers_.resize(inputs_.size());
    model.network.forward(inputs_, engine, activations_, observe,
                          [&](std::size_t i, const linalg::MatrixView& logits) {
                              answers_[i] = judge(logits, prepared_[i].targets);
                          });
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
    prepare(batch, model);
    reference_attention_.resize(std::max(reference_attention_.size(), batch.size()));
    for (auto& attention : reference_attention_) attention.resize(model.network.architecture().depth);
    forward(model, engine, [&](const model::AttentionOutput& attention) {
        Attention& kept = reference_attention_[attention.image][attention.layer.value()];
        kept.values = attention.values;
        kept.tokens.assign(attention.tokens.begin(), attention.tokens.end());
    });
    for (std::size_t i = 0; i < batch.size(); ++i) {
        if (!answers_[i].finite) {
            throw DataError(
                fmt::format("{}: image {} gives logits that are not finite without any noise. "
                            "Check the weights and the normalisation.",
                            model.params.weights.string(), batch[i]));
        }
        if (record != nullptr) count(answers_[i], prepared_[i].targets.size(), *record);
    }
    if (record != nullptr) record->seconds += seconds_since(start);
}

void UnitRunner::run_point(std::span<const std::uint32_t> batch, PointId point, TrialId trial,
                           io::Record& record) {
    const auto start = Clock::now();
    const PointParams& params = experiment_.params(point);
    const LoadedModel& model = experiment_.model(experiment_.reference_of(point));
    crossbar::CrossbarEngine engine(model.network.stationary_weights(), chip(point, trial),
                                    {params.crossbar, params.transform, params.operands,
                                     experiment_.adc_ranges(point), nullptr, activity_},
                                    {seed_, trial.value()});
    const std::size_t depth = model.network.architecture().depth;
    record.signal.resize(depth);
    record.noise.resize(depth);
    sums_.assign(batch.size() * depth, {});
    forward(model, engine, [&](const model::AttentionOutput& attention) {
        const Attention& reference = reference_attention_[attention.image][attention.layer.value()];
        sums_[attention.image * depth + attention.layer.value()] =
            compare(reference.values, reference.tokens, attention);
    });
    for (std::size_t i = 0; i < batch.size(); ++i) {
        if (!answers_[i].finite) {
            fail(record, fmt::format("image {} gives logits that are not finite", batch[i]));
            return;
        }
        count(answers_[i], prepared_[i].targets.size(), record);
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
