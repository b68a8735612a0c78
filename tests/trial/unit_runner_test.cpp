#include "crossweep/trial/unit_runner.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "crossweep/linalg/gemm.hpp"
#include "trial/tiny_model.hpp"

namespace crossweep::trial {
namespace {

constexpr std::uint32_t seed = 11;

class UnitRunnerTest : public testing::Test {
  protected:
    /// Records of a unit, computed by a runner that has computed nothing before.
    std::vector<io::Record> run(const WorkUnit& unit, std::size_t batch_images = 16) const {
        return without_seconds(UnitRunner(*experiment_, seed, batch_images).run(unit));
    }

    static std::vector<io::Record> without_seconds(std::vector<io::Record> records) {
        for (io::Record& record : records) record.seconds = 0;
        return records;
    }

    /// Points 0 to 6, and the reference as point 7.
    static WorkUnit unit(std::initializer_list<std::uint32_t> points, std::uint32_t trial = 0,
                         std::uint32_t shard = 0) {
        WorkUnit result{TrialId(trial), ShardId(shard), {}};
        for (const std::uint32_t point : points) result.points.emplace_back(point);
        return result;
    }

    TinyStudy study_;
    std::optional<Experiment> experiment_{std::in_place, study_.data, seed, study_.points()};
};

void expect_equal(const std::vector<io::Record>& found, const std::vector<io::Record>& expected) {
    EXPECT_EQ(io::pack(found), io::pack(expected));
}

TEST_F(UnitRunnerTest, batch_size_changes_no_bit) {
    const auto expected = run(unit({0, 1, 2, 3, 4, 5, 6, 7}), 50);
    expect_equal(run(unit({0, 1, 2, 3, 4, 5, 6, 7}), 1), expected);
    expect_equal(run(unit({0, 1, 2, 3, 4, 5, 6, 7}), 7), expected);
}

TEST_F(UnitRunnerTest, order_of_points_changes_no_bit) {
    const auto expected = run(unit({0, 1, 2, 3, 4, 5, 6, 7}));
    const auto reversed = run(unit({7, 6, 5, 4, 3, 2, 1, 0}));
    expect_equal({reversed.rbegin(), reversed.rend()}, expected);
}

TEST_F(UnitRunnerTest, splitting_a_unit_changes_no_bit) {
    const auto expected = run(unit({0, 1, 2, 3, 4, 5, 6, 7}, 1));
    for (const std::uint32_t point : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U})
        expect_equal(run(unit({point}, 1)), {expected[point]});
}

TEST_F(UnitRunnerTest, units_before_change_no_bit) {
    UnitRunner runner(*experiment_, seed, 16);
    const auto expected = run(unit({3, 0}, 1, 2));
    for (const WorkUnit& before : {unit({0, 7}), unit({3}, 1), unit({2}, 1, 1)}) runner.run(before);
    expect_equal(without_seconds(runner.run(unit({3, 0}, 1, 2))), expected);
}

TEST_F(UnitRunnerTest, trial_shard_and_seed_decide_the_noise) {
    const auto base = run(unit({0}))[0].margin;
    EXPECT_NE(run(unit({0}, 1))[0].margin, base);
    EXPECT_NE(run(unit({0}, 0, 1))[0].margin, base);
    EXPECT_NE(UnitRunner(*experiment_, seed + 1, 16).run(unit({0}))[0].margin, base);
}

TEST_F(UnitRunnerTest, records_name_trial_and_shard_and_count_what_they_list) {
    for (const io::Record& record : run(unit({0, 1, 2, 3, 4, 5, 6, 7}, 1, 2))) {
        EXPECT_EQ(record.key, (io::RecordKey{{}, 1, 2}));
        EXPECT_EQ(record.images, 10);  // the last shard of 60 images
        ASSERT_EQ(record.predicted.size(), record.images);
        ASSERT_EQ(record.margin.size(), record.images);
        std::uint32_t correct = 0, ahead = 0;
        for (std::uint32_t i = 0; i < record.images; ++i) {
            correct += record.predicted[i] == static_cast<std::int32_t>((50 + i) % tiny_classes) ? 1 : 0;
            ahead += record.margin[i] > 0 ? 1 : 0;
        }
        EXPECT_EQ(record.correct_top1, correct);
        EXPECT_EQ(record.correct_top1, ahead);
        EXPECT_GE(record.correct_top5, record.correct_top1);
        EXPECT_LE(record.correct_top5, record.images);
    }
}

TEST_F(UnitRunnerTest, records_name_the_path_that_computed_them_also_where_they_failed) {
    auto points = study_.points();
    for_every_device(points[1], [](auto& device) { device.write_noise_factor = 1e30; });
    experiment_.emplace(study_.data, seed, points);
    const auto records = run(unit({0, 1, 7}));
    EXPECT_TRUE(records[1].failed());
    for (const io::Record& record : records) EXPECT_EQ(record.path, linalg::arithmetic_path());
}

TEST_F(UnitRunnerTest, points_have_an_attention_snr_per_layer_and_the_reference_none) {
    const auto records = run(unit({0, 7}));
    EXPECT_THAT(records[0].signal, testing::SizeIs(2));
    EXPECT_THAT(records[0].noise, testing::Each(testing::Gt(0.0)));
    EXPECT_TRUE(records[1].signal.empty());
}

TEST_F(UnitRunnerTest, reference_is_the_same_in_every_trial) {
    const auto first = run(unit({7}, 0)), second = run(unit({7}, 1));
    EXPECT_EQ(first[0].margin, second[0].margin);
}

TEST_F(UnitRunnerTest, ideal_point_equals_the_reference) {
    auto ideal = study_.point();
    for_every_device(ideal, [](auto& device) {
        device.read_noise_sigma = device.write_noise_sigma = 0;
        device.on_off_ratio = 1e6;
    });
    ideal.crossbar.weight_levels = ideal.crossbar.input_bits = 0;
    experiment_.emplace(study_.data, seed, std::vector{ideal});
    const auto records = run(unit({0, 1}));
    EXPECT_EQ(records[0].predicted, records[1].predicted);
    for (std::size_t i = 0; i < records[0].images; ++i)
        EXPECT_NEAR(records[0].margin[i], records[1].margin[i], 1e-3);
}

TEST_F(UnitRunnerTest, point_without_finite_logits_fails_alone) {
    auto points = study_.points();
    for_every_device(points[1], [](auto& device) { device.write_noise_factor = 1e30; });
    const auto expected = run(unit({0, 2, 3, 4, 5, 6, 7}));
    experiment_.emplace(study_.data, seed, points);
    const auto records = run(unit({0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(records[1].failure, "image 0 gives logits that are not finite");
    EXPECT_EQ(records[1].images, 0);
    EXPECT_TRUE(records[1].predicted.empty());
    EXPECT_TRUE(records[1].signal.empty());
    expect_equal({records[0], records[2], records[3], records[4], records[5], records[6], records[7]},
                 expected);
}

TEST_F(UnitRunnerTest, reference_without_finite_logits_is_a_data_error) {
    study_.data.std = {1e-39};  // pixels beyond what a float holds
    experiment_.emplace(study_.data, seed, study_.points());
    EXPECT_EQ(io::data_error_of([&] { run(unit({0}, 0, 1)); }),
              study_.model.weights.string() +
                  ": image 25 gives logits that are not finite without any noise. Check the weights and the "
                  "normalisation.");
}

TEST_F(UnitRunnerTest, unit_without_points_has_no_records) {
    EXPECT_TRUE(run(unit({})).empty());
}

}  // namespace
}  // namespace crossweep::trial
