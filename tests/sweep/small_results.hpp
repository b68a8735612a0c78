// Two trials of four images in two shards at one point, small enough to work out by hand.
#pragma once

#include <vector>

#include "crossweep/sweep/results.hpp"

namespace crossweep::sweep {

/// The records of a study of one point and its reference. The labels are 0, 1, 2, 3.
struct SmallResults {
    Workload workload{{{1, 1}, {2, 1}}, {0, 0}, {false, true}, 2, 2, 32};
    StudyDescription study;
    /// [trial * 2 + shard], then the reference's two shards
    std::vector<io::Record> records;

    SmallResults() {
        study.confidence = 0.5;  // Student's t is 1 for one degree of freedom
        study.images = {0, 1, 2, 3};
        study.labels = {0, 1, 2, 3};
        study.shard_images = 2;
        study.points = study.references = 1;
        study.reference_of_point = {0};
        study.chip_noise = {ChipNoise::present};
        add(0, 0, 0, {0, 1}, 2, {60, 6}, {0.6, 0.6});
        add(0, 0, 1, {2, 0}, 2, {40, 4}, {0.4, 0.4});
        add(0, 1, 0, {0, 0}, 1, {5, 0.5}, {0.5, 0.5});
        add(0, 1, 1, {0, 0}, 1, {5, 0.5}, {0.5, 0.5});
        add(1, 0, 0, {0, 1}, 2, {}, {});
        add(1, 0, 1, {2, 3}, 2, {}, {});
    }

    /// The same of texts of four tokens, three of which are to be told from those before.
    static SmallResults of_texts() {
        SmallResults results;
        results.study.characters_per_token = 2;
        const std::vector<std::vector<std::uint32_t>> hits{{3, 2}, {1, 0}, {0, 0}, {0, 3}, {3, 3}, {3, 1}};
        const std::vector<std::vector<float>> loss{{1, 2}, {3, 2}, {2, 3}, {4, 3}, {0.5F, 1}, {1, 0.5F}};
        for (std::size_t i = 0; i < results.records.size(); ++i) {
            io::Record& record = results.records[i];
            record.predictions = 3;
            record.hits = hits[i];
            record.loss = loss[i];
            record.correct_top1 = hits[i][0] + hits[i][1];
            record.correct_top5 = record.correct_top1 + 1;
        }
        return results;
    }

    void fail(std::size_t record) {
        const io::RecordKey key = records[record].key;
        records[record] = {};
        records[record].key = key;
        records[record].failure = "the coin is lost";
    }

  private:
    void add(std::size_t point, std::uint32_t trial, std::uint32_t shard, std::vector<std::int32_t> predicted,
             std::uint32_t top5, std::vector<double> signal, std::vector<double> noise) {
        io::Record record;
        record.key = {workload.point_keys[point], trial, shard};
        record.images = 2;
        for (std::size_t i = 0; i < 2; ++i) {
            record.correct_top1 += predicted[i] == study.labels[2 * shard + i] ? 1 : 0;
            record.margin.push_back(static_cast<float>(predicted[i]) + 0.5F);
        }
        record.correct_top5 = top5;
        record.predicted = std::move(predicted);
        record.signal = std::move(signal);
        record.noise = std::move(noise);
        record.seconds = 0.25;
        records.push_back(record);
    }
};

}  // namespace crossweep::sweep
