#include "crossweep/sweep/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

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

DoneRecords keys_of(const std::map<io::RecordKey, int>& count) {
    DoneRecords keys;
    for (const auto& [key, times] : count) keys.insert(key);
    return keys;
}

std::size_t noisy_points(const Workload& workload, const WorkUnit& unit) {
    return static_cast<std::size_t>(std::ranges::count_if(
        unit.points, [&](PointId point) { return !workload.is_reference[point.value()]; }));
}

TEST(Plan, covers_every_record_once) {
    const Workload workload = coin_workload();
    const auto count = computed(workload, plan_units(workload));
    EXPECT_EQ(count.size(), workload.records());
    EXPECT_EQ(workload.records(), 3 * (7 * 2 + 2));
    for (const auto& [key, times] : count) EXPECT_EQ(times, 1);
}

TEST(Plan, computes_points_that_share_a_key_once) {
    Workload workload = coin_workload();
    workload.point_keys[1] = workload.point_keys[0];
    const auto count = computed(workload, plan_units(workload));
    EXPECT_EQ(count.size(), workload.records() - workload.trials * workload.shards);
    for (const auto& [key, times] : count) EXPECT_EQ(times, 1);
}

TEST(Plan, computes_references_in_the_first_trial_only) {
    const Workload workload = coin_workload();
    for (const WorkUnit& unit : plan_units(workload)) {
        const bool has_reference = noisy_points(workload, unit) < unit.points.size();
        if (has_reference) {
            EXPECT_EQ(unit.trial, TrialId(0));
        }
    }
}

TEST(Plan, never_mixes_groups_in_a_unit) {
    const Workload workload = coin_workload();
    for (const WorkUnit& unit : plan_units(workload)) {
        for (const PointId point : unit.points) {
            EXPECT_EQ(workload.group[point.value()], workload.group[unit.points.front().value()]);
        }
    }
}

TEST(Plan, spreads_points_evenly_over_as_few_units_as_allowed) {
    Workload workload = coin_workload(1, 1, 3);
    std::vector<std::size_t> sizes;
    for (const WorkUnit& unit : plan_units(workload)) sizes.push_back(noisy_points(workload, unit));
    // Five points of a group in units of at most three: three and two; the other group's two stay together.
    EXPECT_THAT(sizes, testing::UnorderedElementsAre(3, 2, 2));
}

TEST(Plan, begins_with_the_largest_units) {
    const auto units = plan_units(coin_workload());
    EXPECT_TRUE(std::ranges::is_sorted(units, std::greater{}, [](const auto& u) { return u.points.size(); }));
}

TEST(Plan, grouping_changes_no_record) {
    const Workload fine = coin_workload(2, 3, 1), coarse = coin_workload(2, 3, 32);
    EXPECT_GT(plan_units(fine).size(), plan_units(coarse).size());
    EXPECT_EQ(computed(fine, plan_units(fine)), computed(coarse, plan_units(coarse)));
}

class PlanOfTheRest : public testing::TestWithParam<std::size_t> {};

TEST_P(PlanOfTheRest, is_the_plan_minus_what_is_done) {
    const Workload before = coin_workload(2, 3, 1), after = coin_workload(2, 3, 4);
    std::vector<WorkUnit> finished = plan_units(before);
    finished.resize(GetParam());
    const DoneRecords done = keys_of(computed(before, finished));
    const auto rest = computed(after, plan_units(after, done));
    EXPECT_EQ(rest.size() + done.size(), after.records());
    for (const auto& [key, times] : rest) {
        EXPECT_EQ(times, 1);
        EXPECT_FALSE(done.contains(key));
    }
}

INSTANTIATE_TEST_SUITE_P(AfterUnits, PlanOfTheRest, testing::Values(0, 1, 7, 20, 42));

TEST(Plan, has_no_units_when_all_is_done) {
    const Workload workload = coin_workload();
    EXPECT_TRUE(plan_units(workload, keys_of(computed(workload, plan_units(workload)))).empty());
}

TEST(Plan, makes_a_unit_of_a_reference_that_alone_is_missing) {
    const Workload workload = coin_workload(1, 1);
    DoneRecords done = keys_of(computed(workload, plan_units(workload)));
    done.erase({workload.point_keys[8], 0, 0});
    EXPECT_EQ(plan_units(workload, done), (std::vector{WorkUnit{TrialId(0), ShardId(0), {PointId(8)}}}));
}

}  // namespace
}  // namespace crossweep::sweep
