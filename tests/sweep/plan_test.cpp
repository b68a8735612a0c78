#include "crossweep/sweep/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "sweep/coin_toss.hpp"

namespace crossweep::sweep {
namespace {

/// How often each record would be computed.
std::map<io::RecordKey, int> computed(const Workload& workload, const std::vector<WorkUnit>& units) {
    std::map<io::RecordKey, int> count;
    for (const WorkUnit& unit : units) {
        for (std::size_t i = 0; i < unit.points.size(); ++i) ++count[workload.key(unit, i)];
    }
    return count;
}

std::vector<WorkUnit> units(const Workload& workload, const DoneRecords& done = {}, Part part = {}) {
    return units_of(plan_units(workload, done, part));
}

DoneRecords done_by(const Workload& workload, const std::vector<WorkUnit>& finished) {
    DoneRecords done(workload);
    for (const WorkUnit& unit : finished) {
        for (const PointId point : unit.points) done.insert(point, unit.trial, unit.shard);
    }
    return done;
}

std::size_t noisy_points(const Workload& workload, const WorkUnit& unit) {
    return static_cast<std::size_t>(std::ranges::count_if(
        unit.points, [&](PointId point) { return !workload.is_reference[point.value()]; }));
}

TEST(Plan, covers_every_record_once) {
    const Workload workload = coin_workload();
    const auto count = computed(workload, units(workload));
    EXPECT_EQ(count.size(), workload.records());
    EXPECT_EQ(workload.records(), 3 * (7 * 2 + 2));
    for (const auto& [key, times] : count) EXPECT_EQ(times, 1);
}

TEST(Plan, computes_points_that_share_a_key_once) {
    Workload workload = coin_workload();
    workload.point_keys[1] = workload.point_keys[0];
    const auto count = computed(workload, units(workload));
    EXPECT_EQ(count.size(), workload.records() - workload.trials * workload.shards);
    for (const auto& [key, times] : count) EXPECT_EQ(times, 1);
}

TEST(Plan, computes_references_in_the_first_trial_only) {
    const Workload workload = coin_workload();
    for (const WorkUnit& unit : units(workload)) {
        const bool has_reference = noisy_points(workload, unit) < unit.points.size();
        if (has_reference) {
            EXPECT_EQ(unit.trial, TrialId(0));
        }
    }
}

TEST(Plan, never_mixes_groups_in_a_unit) {
    const Workload workload = coin_workload();
    for (const WorkUnit& unit : units(workload)) {
        for (const PointId point : unit.points) {
            EXPECT_EQ(workload.group[point.value()], workload.group[unit.points.front().value()]);
        }
    }
}

TEST(Plan, spreads_points_evenly_over_as_few_units_as_allowed) {
    Workload workload = coin_workload(1, 1, 3);
    std::vector<std::size_t> sizes;
    for (const WorkUnit& unit : units(workload)) sizes.push_back(noisy_points(workload, unit));
    // Five points of a group in units of at most three: three and two; the other group's two stay together.
    EXPECT_THAT(sizes, testing::UnorderedElementsAre(3, 2, 2));
}

TEST(Plan, begins_with_the_largest_units) {
    EXPECT_TRUE(std::ranges::is_sorted(units(coin_workload()), std::greater{},
                                       [](const auto& u) { return u.points.size(); }));
}

TEST(Plan, grouping_changes_no_record) {
    const Workload fine = coin_workload(2, 3, 1), coarse = coin_workload(2, 3, 32);
    EXPECT_GT(plan_units(fine).size(), plan_units(coarse).size());
    EXPECT_EQ(computed(fine, units(fine)), computed(coarse, units(coarse)));
}

class PlanOfTheRest : public testing::TestWithParam<std::size_t> {};

TEST_P(PlanOfTheRest, is_the_plan_minus_what_is_done) {
    const Workload before = coin_workload(2, 3, 1), after = coin_workload(2, 3, 4);
    std::vector<WorkUnit> finished = units(before);
    finished.resize(GetParam());
    const DoneRecords done = done_by(before, finished);
    const auto rest = computed(after, units(after, done)), computed_before = computed(before, finished);
    EXPECT_EQ(rest.size() + done.count(), after.records());
    for (const auto& [key, times] : rest) {
        EXPECT_EQ(times, 1);
        EXPECT_FALSE(computed_before.contains(key));
    }
}

INSTANTIATE_TEST_SUITE_P(AfterUnits, PlanOfTheRest, testing::Values(0, 1, 7, 20, 42));

TEST(Plan, has_no_units_when_all_is_done) {
    const Workload workload = coin_workload();
    EXPECT_TRUE(plan_units(workload, done_by(workload, units(workload))).empty());
}

TEST(Plan, makes_a_unit_of_a_reference_that_alone_is_missing) {
    const Workload workload = coin_workload(1, 1);
    std::vector<WorkUnit> finished = units(workload);
    for (WorkUnit& unit : finished) std::erase(unit.points, PointId(8));
    EXPECT_EQ(units(workload, done_by(workload, finished)),
              (std::vector{WorkUnit{TrialId(0), ShardId(0), {PointId(8)}}}));
}

/// What plan_units gives, made by following its description word by word.
std::vector<WorkUnit> plan_plainly(const Workload& workload, const DoneRecords& done) {
    std::vector<WorkUnit> plan;
    for (std::uint32_t trial = 0; trial < workload.trials; ++trial) {
        for (std::uint32_t shard = 0; shard < workload.shards; ++shard) {
            std::set<ContentHash> seen;
            std::map<std::size_t, std::vector<PointId>> noisy, references;
            for (std::uint32_t p = 0; p < workload.point_keys.size(); ++p) {
                const bool repeats = !seen.insert(workload.point_keys[p]).second;
                if (repeats || done.contains(PointId(p), TrialId(trial), ShardId(shard))) continue;
                if (!workload.is_reference[p]) noisy[workload.group[p]].emplace_back(p);
                if (workload.is_reference[p] && trial == 0) references[workload.group[p]].emplace_back(p);
            }
            for (std::size_t group = 0; group < 10; ++group) {
                const auto& points = noisy[group];
                const std::size_t count = points.size(), most = workload.points_per_unit;
                const std::size_t parts = count == 0 ? 1 : (count + most - 1) / most;
                for (std::size_t part = 0; part < parts; ++part) {
                    WorkUnit unit{TrialId(trial), ShardId(shard), {}};
                    for (std::size_t i = part * count / parts; i < (part + 1) * count / parts; ++i)
                        unit.points.push_back(points[i]);
                    if (part == 0) std::ranges::copy(references[group], std::back_inserter(unit.points));
                    if (!unit.points.empty()) plan.push_back(unit);
                }
            }
        }
    }
    std::ranges::stable_sort(plan, std::greater{}, [](const WorkUnit& unit) { return unit.points.size(); });
    return plan;
}

/// A share of the records, in percent.
class PlanOfSome : public testing::TestWithParam<unsigned> {};

TEST_P(PlanOfSome, is_the_one_that_its_description_gives) {
    std::mt19937 random(7);
    for (const std::size_t points_per_unit : {1U, 2U, 3U, 32U}) {
        Workload workload = coin_workload(4, 5, points_per_unit);
        workload.point_keys[3] = workload.point_keys[0];
        DoneRecords done(workload);
        for (const WorkUnit& unit : units(workload)) {
            for (const PointId point : unit.points) {
                if (random() % 100 < GetParam()) done.insert(point, unit.trial, unit.shard);
            }
        }
        EXPECT_EQ(units(workload, done), plan_plainly(workload, done));
    }
}

INSTANTIATE_TEST_SUITE_P(Percent, PlanOfSome, testing::Values(0, 10, 50, 95, 100));

TEST(Plan, parts_share_its_units_out) {
    const Workload workload = coin_workload(3, 5);
    const auto whole = units(workload);
    std::size_t count = 0;
    for (std::size_t index = 1; index <= 4; ++index) {
        for (const WorkUnit& unit : units(workload, {}, {index, 4})) {
            ++count;
            EXPECT_EQ((unit.trial.value() * 5 + unit.shard.value()) % 4, index - 1);
            EXPECT_THAT(whole, testing::Contains(unit));
        }
    }
    EXPECT_EQ(count, whole.size());
}

TEST(DoneRecords, holds_what_was_inserted_and_counts_it_once) {
    const Workload workload = coin_workload();  // nine points: two bytes a row
    DoneRecords done(workload);
    EXPECT_TRUE(done.insert(PointId(8), TrialId(1), ShardId(2)));
    EXPECT_TRUE(done.insert(PointId(0), TrialId(0), ShardId(0)));
    EXPECT_FALSE(done.insert(PointId(8), TrialId(1), ShardId(2)));
    EXPECT_EQ(done.count(), 2);
    std::size_t found = 0;
    for (std::uint32_t trial = 0; trial < 2; ++trial) {
        for (std::uint32_t shard = 0; shard < 3; ++shard) {
            for (std::uint32_t point = 0; point < 9; ++point)
                found += done.contains(PointId(point), TrialId(trial), ShardId(shard)) ? 1 : 0;
        }
    }
    EXPECT_EQ(found, 2);
    EXPECT_TRUE(done.contains(PointId(8), TrialId(1), ShardId(2)));
    EXPECT_FALSE(DoneRecords().contains(PointId(8), TrialId(1), ShardId(2)));
}

TEST(PointsByKey, finds_all_points_of_a_key_in_order) {
    Workload workload = coin_workload();
    workload.point_keys = {{5, 0}, {3, 9}, {5, 0}, {3, 8}};
    const PointsByKey points(workload);
    EXPECT_THAT(points.find({5, 0}), testing::ElementsAre(PointId(0), PointId(2)));
    EXPECT_THAT(points.find({3, 8}), testing::ElementsAre(PointId(3)));
    EXPECT_TRUE(points.find({4, 0}).empty());
    EXPECT_THAT(points.in_key_order(), testing::ElementsAre(PointId(3), PointId(1), PointId(0), PointId(2)));
}

}  // namespace
}  // namespace crossweep::sweep
