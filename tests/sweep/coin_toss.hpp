// A study whose trial is a coin toss for each image: what schedulers and results are tested with.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "crossweep/core/noise_stream.hpp"
#include "crossweep/sweep/census.hpp"
#include "crossweep/sweep/plan.hpp"
#include "crossweep/sweep/results.hpp"
#include "crossweep/sweep/scheduler.hpp"

namespace crossweep::sweep {

constexpr std::uint32_t images_of_a_shard = 4;

/// Five points and a reference in one group, two points and a reference in another.
inline Workload coin_workload(std::size_t trials = 2, std::size_t shards = 3,
                              std::size_t points_per_unit = 2) {
    Workload workload;
    workload.group = {0, 0, 0, 1, 1, 0, 0, 0, 1};
    for (std::uint64_t point = 0; point < workload.group.size(); ++point) {
        workload.point_keys.push_back({point + 1, 77});
        workload.is_reference.push_back(point >= 7);
    }
    workload.trials = trials;
    workload.shards = shards;
    workload.points_per_unit = points_per_unit;
    return workload;
}

/// Heads is class 1, which is right.
inline io::Record toss(PointId point, TrialId trial, ShardId shard) {
    io::Record record;
    record.key = {{}, trial.value(), shard.value()};
    record.images = images_of_a_shard;
    const auto words = philox_block({7, trial.value()}, {point.value(), shard.value(), 0}, 0);
    for (const std::uint32_t word : words) {
        record.predicted.push_back(static_cast<std::int32_t>(word & 1));
        record.margin.push_back(static_cast<float>(word >> 1) * 0x1p-31F);
        record.correct_top1 += word & 1;
    }
    record.correct_top5 = images_of_a_shard;
    record.signal = {2.0, 1.0};
    record.noise = {record.margin[0], record.margin[1]};
    record.seconds = record.margin[2];
    return record;
}

inline std::vector<io::Record> toss_unit(const WorkUnit& unit) {
    std::vector<io::Record> records;
    for (const PointId point : unit.points) records.push_back(toss(point, unit.trial, unit.shard));
    return records;
}

inline std::vector<WorkUnit> units_of(const Plan& plan) {
    std::vector<WorkUnit> units;
    for (std::size_t i = 0; i < plan.size(); ++i) units.push_back(plan.unit(i));
    return units;
}

/// The records of a plan as a scheduler must give them, made here and now.
inline std::vector<io::Record> records_of(const Workload& workload, const Plan& plan) {
    std::vector<io::Record> all;
    for (const WorkUnit& unit : units_of(plan)) {
        auto records = toss_unit(unit);
        for (std::size_t i = 0; i < records.size(); ++i) {
            records[i].key = workload.key(unit, i);
            all.push_back(std::move(records[i]));
        }
    }
    return all;
}

/// Content hash of the finished study.
inline ContentHash expected_hash(const Workload& workload) {
    return io::content_hash(records_of(workload, plan_units(workload)));
}

inline Census census_of(const Workload& workload, std::span<const io::Record> records) {
    Census census(workload);
    for (const io::Record& record : records) census.add(io::status_of(record));
    return census;
}

/// Gives `records`, as often as it is asked; they have to live as long.
inline RecordSource source_of(std::span<const io::Record> records) {
    return [records](const auto& visit) {
        for (const io::Record& record : records) visit(record);
    };
}

/// All that is in a run directory.
struct Contents {
    std::vector<io::Record> records;  ///< one of each key: a success if there is one
    std::vector<std::string> damaged;
    std::size_t segments = 0;
};

inline Contents load(const RunDirectory& directory) {
    const auto segments = directory.scan([](const auto&, const auto&) {});
    std::map<io::RecordKey, io::Record> by_key;
    read_records(segments.whole, [&](const io::Record& record) {
        const auto [place, is_new] = by_key.try_emplace(record.key, record);
        if (!is_new && place->second.failed()) place->second = record;
    });
    Contents contents{{}, segments.damaged, segments.count()};
    for (auto& [key, record] : by_key) contents.records.push_back(std::move(record));
    return contents;
}

}  // namespace crossweep::sweep
