// Summaries, against numbers worked out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "crossweep/sweep/results.hpp"
#include "sweep/small_results.hpp"

namespace crossweep::sweep {
namespace {

PointSummary summary_of(const SmallResults& results) {
    std::array<PointRecords, 2> of_point{PointRecords(results.workload.trials, results.workload.shards),
                                         PointRecords(results.workload.trials, results.workload.shards)};
    for (const io::Record& record : results.records) {
        const bool is_reference = record.key.point == results.workload.point_keys[1];
        if (record.key.trial < results.workload.trials) of_point[is_reference ? 1 : 0].put(record);
    }
    return summarise(results.study, 0, of_point[0], of_point[1]);
}

void expect_near(const Estimate& estimate, double low, double best, double high) {
    EXPECT_NEAR(estimate.low, low, 1e-6);
    EXPECT_NEAR(estimate.best, best, 1e-6);
    EXPECT_NEAR(estimate.high, high, 1e-6);
}

void expect_no_interval(const Estimate& estimate, double best) {
    EXPECT_TRUE(std::isnan(estimate.low));
    EXPECT_TRUE(std::isnan(estimate.high));
    EXPECT_NEAR(estimate.best, best, 1e-6);
}

TEST(PointRecords, holds_records_by_trial_and_shard) {
    SmallResults results;
    PointRecords records(2, 2);
    for (std::size_t i = 0; i < 3; ++i) records.put(results.records[i]);
    EXPECT_EQ(records.find(0, 1), &results.records[1]);
    EXPECT_EQ(records.find(1, 0), &results.records[2]);
    EXPECT_EQ(records.find(1, 1), nullptr);
}

TEST(PointRecords, success_counts_whenever_it_came) {
    SmallResults good, bad;
    bad.fail(0);
    PointRecords records(2, 2);
    records.put(bad.records[0]);
    records.put(good.records[0]);
    records.put(bad.records[0]);
    EXPECT_EQ(records.find(0, 0), &good.records[0]);
}

// The trials have 3 and 1 of 4 images right; the images 2, 1, 1 and 0 of 2 trials. Variances of the mean:
// images 1/24; residuals (all of 1/4) 1/48 with 3 degrees of freedom; trials 1/16, so chips 1/16 - 1/48 =
// 1/24 with 1.
TEST(Summary, of_a_complete_study_is_as_worked_out_by_hand) {
    const PointSummary summary = summary_of(SmallResults());
    EXPECT_EQ(summary.images, 4);
    EXPECT_EQ(summary.trials, 2);
    // Trials are the unit: sqrt(1/16) = 1/4, one degree of freedom: t = 1.
    expect_near(summary.top1_accuracy.this_data_set, 0.25, 0.5, 0.75);
    // sqrt(1/24 + 1/24), 3 degrees of freedom: t = 0.764892.
    expect_near(summary.top1_accuracy.images_like_these, 0.5 - 0.2208054, 0.5, 0.5 + 0.2208054);
    // The reference has all right: the drop is what is missing to 1.
    expect_near(summary.accuracy_drop.images_like_these, 0.5 - 0.2208054, 0.5, 0.5 + 0.2208054);
    // 4 and 2 of 4 among five; 1 degree of freedom: t = 1.
    expect_near(summary.top5_accuracy, 0.5, 0.75, 1.0);
}

// The trials have 6 and 3 of 12 tokens right, and losses of 2 and 3 on average.
TEST(Summary, of_texts_counts_tokens_and_takes_the_text_as_the_unit) {
    const PointSummary summary = summary_of(SmallResults::of_texts());
    EXPECT_EQ(summary.images, 4);
    // Residuals scatter more than the trials' means: sqrt(83 / 72 / 3 / 8), one degree of freedom: t = 1.
    expect_near(summary.top1_accuracy.this_data_set, 0.375 - 0.2191630, 0.375, 0.375 + 0.2191630);
    expect_near(summary.top5_accuracy, 5.0 / 12, 6.5 / 12, 8.0 / 12);
    EXPECT_NEAR(summary.accuracy_drop.images_like_these.best, 10.0 / 12 - 0.375, 1e-6);
    expect_near(summary.loss.this_data_set, 2, 2.5, 3);
    // Images: 1.5, 2.5, 3.5, 2.5, variance of their mean 1/6; residuals 0: chips 1/4 of 1 degree of freedom,
    // so (5/12)^2 / ((1/6)^2 / 3 + (1/4)^2) = 2.41935, t = 0.789120.
    EXPECT_EQ(summary.loss.images_like_these.best, 2.5);
    EXPECT_NEAR(summary.loss.images_like_these.high - 2.5, 0.789120 * std::sqrt(5.0 / 12), 1e-5);
}

TEST(Summary, without_loss_in_every_record_has_none) {
    EXPECT_TRUE(std::isnan(summary_of(SmallResults()).loss.this_data_set.best));
    SmallResults results = SmallResults::of_texts();
    results.records[2].loss.clear();
    const PointSummary summary = summary_of(results);
    EXPECT_TRUE(std::isnan(summary.loss.this_data_set.best));
    EXPECT_TRUE(std::isnan(summary.loss.images_like_these.high));
    EXPECT_EQ(summary.trials, 2);
}

TEST(Summary, a_loss_that_all_trials_repeat_is_exact_for_these_images) {
    SmallResults results = SmallResults::of_texts();
    results.records[2].loss = results.records[0].loss;
    results.records[3].loss = results.records[1].loss;
    const PointSummary summary = summary_of(results);
    expect_near(summary.loss.this_data_set, 2, 2, 2);
    EXPECT_GT(summary.loss.images_like_these.high, 2.1);
}

TEST(Summary, a_loss_is_not_below_zero) {
    SmallResults results = SmallResults::of_texts();
    results.study.confidence = 0.99;
    EXPECT_EQ(summary_of(results).loss.this_data_set.low, 0);
}

TEST(Loss, gives_perplexity_and_bits_per_character_with_its_bounds) {
    const Estimate loss{std::log(2.0), std::log(4.0), std::log(8.0)};
    expect_near(perplexity(loss), 2, 4, 8);
    expect_near(bits_per_character(loss, 2), 0.5, 1, 1.5);
    expect_no_interval(perplexity({NAN, 0, NAN}), 1);
}

TEST(Summary, snr_is_the_mean_over_layers_of_decibels_of_summed_squares) {
    const PointSummary summary = summary_of(SmallResults());
    // Trials have 100/1, 10/1 and 10/1, 1/1: 15 dB and 5 dB on average.
    expect_near(summary.snr_dB, 5, 10, 15);
    ASSERT_EQ(summary.snr_layer_dB.size(), 2);
    EXPECT_NEAR(summary.snr_layer_dB[0], 10 * std::log10(110.0 / 2), 1e-9);
    EXPECT_NEAR(summary.snr_layer_dB[1], 10 * std::log10(11.0 / 2), 1e-9);
}

TEST(Summary, bounds_stay_within_what_a_fraction_can_be) {
    SmallResults results;
    results.study.confidence = 0.99;
    const PointSummary summary = summary_of(results);
    expect_near(summary.top1_accuracy.images_like_these, 0, 0.5, 1);
    expect_near(summary.top5_accuracy, 0, 0.75, 1);
}

TEST(Summary, of_one_trial_has_no_interval_over_trials) {
    SmallResults results;
    results.workload.trials = 1;
    const PointSummary summary = summary_of(results);
    EXPECT_EQ(summary.trials, 1);
    expect_no_interval(summary.top1_accuracy.this_data_set, 0.75);
    expect_no_interval(summary.snr_dB, 15);
    // One image of four is wrong: sqrt(0.75 / (4 * 3)) = 1/4, 3 degrees of freedom.
    expect_near(summary.top1_accuracy.images_like_these, 0.75 - 0.25 * 0.764892, 0.75,
                0.75 + 0.25 * 0.764892);
}

TEST(Summary, of_an_unfinished_study_rests_on_the_trials_with_most_shards) {
    SmallResults results;
    results.records.erase(results.records.begin() + 3);  // trial 1, shard 1
    const PointSummary summary = summary_of(results);
    EXPECT_EQ(summary.trials, 1);
    EXPECT_EQ(summary.images, 4);
    EXPECT_EQ(summary.top1_accuracy.this_data_set.best, 0.75);
}

TEST(Summary, rests_on_the_shards_that_all_its_trials_have) {
    SmallResults results;
    results.fail(1);  // trial 0, shard 1
    results.fail(3);  // trial 1, shard 1
    const PointSummary summary = summary_of(results);
    EXPECT_EQ(summary.trials, 2);
    EXPECT_EQ(summary.images, 2);
    EXPECT_EQ(summary.top1_accuracy.this_data_set.best, 0.75);
}

TEST(Summary, of_trials_without_a_common_shard_rests_on_the_first) {
    SmallResults results;
    results.fail(1);  // trial 0, shard 1
    results.fail(2);  // trial 1, shard 0
    const PointSummary summary = summary_of(results);
    EXPECT_EQ(summary.trials, 1);
    EXPECT_EQ(summary.images, 2);
    EXPECT_EQ(summary.top1_accuracy.this_data_set.best, 1.0);
}

TEST(Summary, without_reference_has_no_drop) {
    SmallResults results;
    results.fail(4);
    const PointSummary summary = summary_of(results);
    EXPECT_EQ(summary.top1_accuracy.this_data_set.best, 0.5);
    EXPECT_TRUE(std::isnan(summary.accuracy_drop.images_like_these.best));
}

TEST(Summary, of_a_point_without_records_is_nan) {
    SmallResults results;
    for (std::size_t record = 0; record < 4; ++record) results.fail(record);
    const PointSummary summary = summary_of(results);
    EXPECT_EQ(summary.images, 0);
    EXPECT_EQ(summary.trials, 0);
    EXPECT_TRUE(std::isnan(summary.top1_accuracy.this_data_set.best));
    EXPECT_TRUE(std::isnan(summary.snr_dB.best));
}

}  // namespace
}  // namespace crossweep::sweep
