#include "crossweep/sweep/census.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sweep/coin_toss.hpp"
#include "sweep/small_results.hpp"

namespace crossweep::sweep {
namespace {

TEST(Census, counts_the_records_of_a_study) {
    const Workload workload = coin_workload();
    const Census census = census_of(workload, records_of(workload, plan_units(workload)));
    EXPECT_EQ(census.succeeded(), workload.records());
    EXPECT_TRUE(census.complete());
    EXPECT_EQ(census.failed(), 0);
    EXPECT_EQ(census.layers(), 2);
    EXPECT_FALSE(census.done().contains(PointId(8), TrialId(1), ShardId(2)));  // a reference has one trial
}

TEST(Census, leaves_out_what_is_not_of_the_study) {
    const Workload workload = coin_workload(2, 3), larger = coin_workload(3, 4);
    auto records = records_of(larger, plan_units(larger));
    EXPECT_EQ(census_of(workload, records).foreign(), 0);
    records.push_back(records[0]);
    records.back().key.point = {99, 99};
    const Census census = census_of(workload, records);
    EXPECT_EQ(census.succeeded(), workload.records());
    EXPECT_EQ(census.foreign(), 1);
}

TEST(Census, counts_a_record_for_every_point_that_shares_it) {
    SmallResults results;
    results.workload.point_keys = {{1, 1}, {1, 1}, {2, 1}};
    results.workload.group = {0, 0, 0};
    results.workload.is_reference = {false, false, true};
    const Census census = census_of(results.workload, results.records);
    EXPECT_EQ(census.succeeded(), results.workload.records());
    EXPECT_EQ(census.seconds(), 6 * 0.25);  // computed once
}

TEST(Census, counts_by_path_what_succeeded) {
    SmallResults results;
    for (io::Record& record : results.records) record.path = "wide";
    results.records[0].path = results.records[4].path = "narrow";  // the latter is a reference
    results.fail(1);
    const Census census = census_of(results.workload, results.records);
    EXPECT_EQ(census.paths(), (PathCounts{{"narrow", 2}, {"wide", 3}}));
}

TEST(Census, counts_failures_apart_until_a_success_comes) {
    SmallResults good, bad;
    bad.fail(2);
    Census census = census_of(bad.workload, bad.records);
    EXPECT_EQ(census.succeeded(), 5);
    EXPECT_THAT(census.failures(),
                testing::ElementsAre(testing::Pair(std::array{0U, 1U, 0U}, "the coin is lost")));
    census.add(io::status_of(good.records[2]));
    census.add(io::status_of(bad.records[2]));
    EXPECT_EQ(census.succeeded(), 6);
    EXPECT_EQ(census.failed(), 0);
    census.add(io::status_of(good.records[2]));
    EXPECT_EQ(census.succeeded(), 6);
    EXPECT_EQ(census.seconds(), 6 * 0.25);
}

}  // namespace
}  // namespace crossweep::sweep
