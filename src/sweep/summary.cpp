// Estimates from records. The trial is the unit for what belongs to a chip, the image for what belongs to an
// input.
#include <algorithm>
#include <cmath>
#include <limits>

#include "crossweep/sweep/results.hpp"

namespace crossweep::sweep {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// The trials and shards of one point that are all there: estimates need every image in every trial.
struct Rectangle {
    std::vector<std::size_t> trials, shards;
};

bool is_there(const PointRecords& records, std::size_t trial, std::size_t shard) {
    const io::Record* record = records.find(trial, shard);
    return record != nullptr && !record->failed();
}

/// Of a study under way, the trials that have most shards, and the shards that all of these have.
Rectangle complete_rectangle(const PointRecords& records) {
    std::vector<std::size_t> count(records.trials());
    for (std::size_t t = 0; t < records.trials(); ++t) {
        for (std::size_t s = 0; s < records.shards(); ++s) count[t] += is_there(records, t, s) ? 1 : 0;
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
            if (std::all_of(trials.begin(), trials.end(), [&](auto t) { return is_there(records, t, s); })) {
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

Estimate clamp_to_fraction(Estimate e) {
    // Bounds that a t interval puts beyond what a fraction can be. NaN stays NaN.
    if (e.low < 0) e.low = 0;
    if (e.high > 1) e.high = 1;
    return e;
}

class Summariser {
  public:
    Summariser(const StudyDescription& study, const PointRecords& records, const PointRecords& reference)
        : study_(study), records_(records), reference_(reference) {}

    PointSummary summarise(std::size_t point) const {
        const Rectangle rectangle = complete_rectangle(records_);
        PointSummary summary;
        summary.trials = rectangle.trials.size();
        if (rectangle.trials.empty()) {
            const Estimate none{nan, nan, nan};
            return {0, 0, {none, none}, none, {none, none}, none, {}};
        }
        std::vector<float> correct, drop;
        std::vector<double> top5;
        bool has_reference = true;
        for (const std::size_t trial : rectangle.trials) {
            double correct_top5 = 0, images = 0;
            for (const std::size_t shard : rectangle.shards) {
                const io::Record& record = *records_.find(trial, shard);
                const io::Record* clean = reference_.find(0, shard);
                has_reference = has_reference && clean != nullptr && !clean->failed();
                const std::size_t first = shard * study_.shard_images;
                for (std::size_t i = 0; i < record.images; ++i) {
                    const std::int32_t label = study_.labels[first + i];
                    correct.push_back(record.predicted[i] == label ? 1.0F : 0.0F);
                    if (has_reference)
                        drop.push_back((clean->predicted[i] == label ? 1.0F : 0.0F) - correct.back());
                }
                correct_top5 += record.correct_top5;
                images += record.images;
            }
            top5.push_back(correct_top5 / images);
            summary.images = static_cast<std::size_t>(images);
        }
        summary.top1_accuracy = two_way_interval(correct, summary.trials, summary.images,
                                                 study_.chip_noise[point], study_.confidence);
        summary.top1_accuracy.this_data_set = clamp_to_fraction(summary.top1_accuracy.this_data_set);
        summary.top1_accuracy.images_like_these = clamp_to_fraction(summary.top1_accuracy.images_like_these);
        summary.top5_accuracy = clamp_to_fraction(mean_interval(top5, study_.confidence));
        summary.accuracy_drop = has_reference
                                    ? two_way_interval(drop, summary.trials, summary.images,
                                                       study_.chip_noise[point], study_.confidence)
                                    : two_way_interval({}, 0, 0, study_.chip_noise[point], study_.confidence);
        add_snr(rectangle, summary);
        return summary;
    }

  private:
    void add_snr(const Rectangle& rectangle, PointSummary& summary) const {
        const std::size_t layers = records_.find(rectangle.trials[0], rectangle.shards[0])->signal.size();
        std::vector<double> all_signal(layers), all_noise(layers), mean_of_trial;
        for (const std::size_t trial : rectangle.trials) {
            double sum_dB = 0;
            for (std::size_t layer = 0; layer < layers; ++layer) {
                double signal = 0, noise = 0;
                for (const std::size_t shard : rectangle.shards) {
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
};

}  // namespace

void PointRecords::put(const io::Record& record) {
    const io::Record*& held = table_[record.key.trial * shards_ + record.key.shard];
    if (held == nullptr || held->failed()) held = &record;
}

PointSummary summarise(const StudyDescription& study, std::size_t point, const PointRecords& records,
                       const PointRecords& reference) {
    return Summariser(study, records, reference).summarise(point);
}

}  // namespace crossweep::sweep
