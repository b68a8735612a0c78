// Estimates from records. The trial is the unit for what belongs to a chip, the image for what belongs to an
// input.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <span>

#include "crossweep/sweep/results.hpp"

namespace crossweep::sweep {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// The trials and shards of one point that are all there: estimates need every image in every trial.
struct Rectangle {
    std::vector<std::size_t> trials, shards;
};

bool is_there(const io::Record* record) {
    return record != nullptr && !record->failed();
}

/// Of a study under way, the trials that have most shards, and the shards that all of these have.
Rectangle complete_rectangle(const PointRecords& records) {
    std::vector<std::size_t> count(records.trials());
    for (std::size_t t = 0; t < records.trials(); ++t) {
        for (std::size_t s = 0; s < records.shards(); ++s) count[t] += is_there(records.find(t, s)) ? 1 : 0;
    }
    const std::size_t most = count.empty() ? 0 : *std::max_element(count.begin(), count.end());
    Rectangle rectangle;
    if (most == 0) return rectangle;
    for (std::size_t t = 0; t < records.trials(); ++t) {
        if (count[t] == most) rectangle.trials.push_back(t);
    }
    const auto have = [&](const std::vector<std::size_t>& trials) {
        std::vector<std::size_t> shards;
        for (std::size_t s = 0; s < records.shards(); ++s) {
            if (std::all_of(trials.begin(), trials.end(),
                            [&](auto t) { return is_there(records.find(t, s)); })) {
                shards.push_back(s);
            }
        }
        return shards;
    };
    while ((rectangle.shards = have(rectangle.trials)).empty()) rectangle.trials.pop_back();
    return rectangle;
}

double decibel(double signal, double noise) {
    return 10 * std::log10(signal / noise);
}

/// `e` without what bounds of a t interval put outside `lowest` to `highest`. NaN stays NaN.
Estimate clamp(Estimate e, double lowest, double highest) {
    if (e.low < lowest) e.low = lowest;
    if (e.high > highest) e.high = highest;
    return e;
}

TwoWayEstimate clamp(const TwoWayEstimate& e, double lowest, double highest) {
    return {clamp(e.this_data_set, lowest, highest), clamp(e.images_like_these, lowest, highest)};
}

/// Of the predictions that image `i` of `record` asks for.
float fraction_correct(const io::Record& record, std::size_t i, std::int32_t label) {
    if (record.hits.empty()) return record.predicted[i] == label ? 1.0F : 0.0F;
    return static_cast<float>(record.hits[i]) / static_cast<float>(record.predictions);
}

/// What records say, [trial, image]; `drop` and `loss` are empty unless every record has what they need.
struct Values {
    std::vector<float> correct, drop, loss;
    std::vector<double> top5;  ///< [trial]
};

class Summariser {
  public:
    Summariser(const StudyDescription& study, const PointRecords& records, const PointRecords& reference)
        : study_(study), records_(records), reference_(reference), rectangle_(complete_rectangle(records)) {}

    PointSummary summarise(std::size_t point) const {
        const Values values = collect();
        PointSummary summary;
        summary.trials = rectangle_.trials.size();
        summary.images = summary.trials > 0 ? values.correct.size() / summary.trials : 0;
        const auto interval = [&](const std::vector<float>& of_images) {
            return two_way_interval(of_images, of_images.empty() ? 0 : summary.trials, summary.images,
                                    study_.chip_noise[point], study_.confidence);
        };
        constexpr double unlimited = std::numeric_limits<double>::infinity();
        summary.top1_accuracy = clamp(interval(values.correct), 0, 1);
        summary.top5_accuracy = clamp(mean_interval(values.top5, study_.confidence), 0, 1);
        summary.accuracy_drop = interval(values.drop);
        summary.loss = clamp(interval(values.loss), 0, unlimited);
        if (summary.trials > 1 && repeats(values.loss, summary.images)) {
            // Right answers can be the same in all trials by chance; a loss that noise had reached could not.
            const double exactly = summary.loss.this_data_set.best;
            summary.loss.this_data_set = {exactly, exactly, exactly};
        }
        add_snr(summary);
        return summary;
    }

  private:
    Values collect() const {
        Values values;
        bool has_reference = true, has_loss = true;
        for (const std::size_t trial : rectangle_.trials) {
            double correct_top5 = 0, predictions = 0;
            for (const std::size_t shard : rectangle_.shards) {
                const io::Record& record = *records_.find(trial, shard);
                const io::Record* clean = reference_.find(0, shard);
                has_reference = has_reference && is_there(clean);
                has_loss = has_loss && record.loss.size() == record.images;
                for (std::size_t i = 0; i < record.images; ++i) {
                    const std::int32_t label = study_.labels[shard * study_.shard_images + i];
                    values.correct.push_back(fraction_correct(record, i, label));
                    if (has_reference)
                        values.drop.push_back(fraction_correct(*clean, i, label) - values.correct.back());
                }
                values.loss.insert(values.loss.end(), record.loss.begin(), record.loss.end());
                correct_top5 += record.correct_top5;
                predictions += static_cast<double>(record.images) * record.predictions;
            }
            values.top5.push_back(correct_top5 / predictions);
        }
        if (!has_reference) values.drop.clear();
        if (!has_loss) values.loss.clear();
        return values;
    }

    /// Whether all trials have the same values.
    static bool repeats(std::span<const float> values, std::size_t images) {
        return !values.empty() &&
               std::ranges::equal(values.subspan(images), values.first(values.size() - images));
    }

    void add_snr(PointSummary& summary) const {
        if (rectangle_.trials.empty()) {
            summary.snr_dB = {nan, nan, nan};
            return;
        }
        const std::size_t layers = records_.find(rectangle_.trials[0], rectangle_.shards[0])->signal.size();
        std::vector<double> all_signal(layers), all_noise(layers), mean_of_trial;
        for (const std::size_t trial : rectangle_.trials) {
            double sum_dB = 0;
            for (std::size_t layer = 0; layer < layers; ++layer) {
                double signal = 0, noise = 0;
                for (const std::size_t shard : rectangle_.shards) {
                    signal += records_.find(trial, shard)->signal[layer];
                    noise += records_.find(trial, shard)->noise[layer];
                }
                sum_dB += decibel(signal, noise);
                all_signal[layer] += signal;
                all_noise[layer] += noise;
            }
            mean_of_trial.push_back(sum_dB / static_cast<double>(layers));
        }
        summary.snr_dB = mean_interval(mean_of_trial, study_.confidence);
        for (std::size_t layer = 0; layer < layers; ++layer) {
            summary.snr_layer_dB.push_back(decibel(all_signal[layer], all_noise[layer]));
        }
    }

    const StudyDescription& study_;
    const PointRecords &records_, &reference_;
    const Rectangle rectangle_;
};

}  // namespace

void PointRecords::put(const io::Record& record) {
    const io::Record*& held = table_[record.key.trial * shards_ + record.key.shard];
    if (held == nullptr || held->failed()) held = &record;
}

Estimate perplexity(const Estimate& loss) {
    return {std::exp(loss.low), std::exp(loss.best), std::exp(loss.high)};
}

Estimate bits_per_character(const Estimate& loss, double characters_per_token) {
    const double nats_of_a_bit = std::numbers::ln2 * characters_per_token;
    return {loss.low / nats_of_a_bit, loss.best / nats_of_a_bit, loss.high / nats_of_a_bit};
}

PointSummary summarise(const StudyDescription& study, std::size_t point, const PointRecords& records,
                       const PointRecords& reference) {
    return Summariser(study, records, reference).summarise(point);
}

}  // namespace crossweep::sweep
