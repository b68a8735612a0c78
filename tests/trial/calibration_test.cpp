// The calibration of the ADCs: which images it looks at, what it sees of a point, and what it finds.
#include "crossweep/trial/calibration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "crossweep/core/error.hpp"
#include "trial/tiny_model.hpp"

namespace crossweep::trial {
namespace {

PointParams circuit_point(const TinyStudy& study) {
    PointParams point = study.point();
    for (auto& operand : point.operands) operand.fidelity = crossbar::Fidelity::circuit;
    point.crossbar.adc_calibration_images = 3;
    return point;
}

crossbar::AdcRanges ranges_of(const TinyStudy& study, const PointParams& point) {
    const Experiment experiment(study.data, 1, {point});
    Calibrator calibrator(experiment, PointId(0));
    for (const std::uint32_t image : calibration_images(experiment, point.crossbar.adc_calibration_images))
        calibrator.add(image);
    return trial::ranges_of(calibrator.histograms(), point.crossbar.adc_percentile);
}

TEST(Calibration, is_needed_by_circuits_with_a_calibrated_range_alone) {
    const TinyStudy study;
    PointParams point = circuit_point(study);
    EXPECT_TRUE(needs_calibration(point));
    point.crossbar.adc_range = crossbar::AdcRange::full;
    EXPECT_FALSE(needs_calibration(point));
    point = circuit_point(study);
    point.crossbar.adc_bits = 0;
    EXPECT_FALSE(needs_calibration(point));
    point = circuit_point(study);
    for (auto& operand : point.operands) operand.fidelity = crossbar::Fidelity::sliced;
    EXPECT_FALSE(needs_calibration(point));
    point.operands[5].fidelity = crossbar::Fidelity::circuit;
    EXPECT_TRUE(needs_calibration(point));
}

TEST(Calibration, takes_images_that_the_study_does_not_use_first) {
    TinyStudy study(20);
    study.data.count = 12;
    const Experiment experiment(study.data, 1, {study.point()});
    EXPECT_THAT(calibration_images(experiment, 4), testing::ElementsAre(12, 14, 16, 18));
    EXPECT_THAT(calibration_images(experiment, 8), testing::ElementsAre(12, 13, 14, 15, 16, 17, 18, 19));
    // Too few others: all of them, and some that the study uses.
    EXPECT_THAT(calibration_images(experiment, 10),
                testing::ElementsAre(12, 13, 14, 15, 16, 17, 18, 19, 0, 6));
    EXPECT_EQ(calibration_images(experiment, 20).size(), 20U);
    EXPECT_THROW(calibration_images(experiment, 21), DataError);
}

TEST(Calibration, counts_of_several_calibrators_add_up) {
    const TinyStudy study;
    const Experiment experiment(study.data, 1, {circuit_point(study)});
    Calibrator whole(experiment, PointId(0)), first(experiment, PointId(0)), second(experiment, PointId(0));
    for (const std::uint32_t image : {3U, 5U, 8U}) {
        whole.add(image);
        (image == 5 ? second : first).add(image);
    }
    crossbar::SumHistograms sum;
    merge(second.histograms(), sum);
    merge(first.histograms(), sum);
    ASSERT_EQ(sum.size(), whole.histograms().size());
    for (const auto& [key, histogram] : whole.histograms())
        EXPECT_EQ(sum.at(key).counts(), histogram.counts());
}

TEST(Calibration, complains_of_ranges_that_do_not_fit_the_point) {
    const TinyStudy study;
    const PointParams point = circuit_point(study);
    const Experiment experiment(study.data, 1, {point});
    const crossbar::AdcRanges good = ranges_of(study, point);
    EXPECT_EQ(complaint(experiment, PointId(0), good), "");
    EXPECT_NE(complaint(experiment, PointId(0), {}), "");
    for (const std::vector<double>& bad :
         {std::vector<double>{}, {1, 1, 1}, {1, 1, 1, 193}, {1, 1, 1, -1}, {1, 1, 1, std::nan("")}}) {
        crossbar::AdcRanges broken = good;
        broken.set(LayerId(1), linalg::Role::written_values, bad);
        EXPECT_NE(complaint(experiment, PointId(0), broken), "");
    }
}

TEST(Calibration, gives_every_operand_of_every_layer_one_range_per_slice) {
    const TinyStudy study;
    const auto ranges = ranges_of(study, circuit_point(study));
    // Eight operands in each of two blocks, embedding and head once.
    EXPECT_EQ(ranges.all().size(), 2U * 8 + 2);
    for (const auto& [key, tops] : ranges.all()) {
        EXPECT_EQ(tops.size(), 4U);  // 256 levels on 2-bit cells
        for (const double top : tops) {
            EXPECT_GT(top, 0);
            EXPECT_LE(top, 64 * 3);
        }
    }
}

TEST(Calibration, does_not_depend_on_noise_and_converters) {
    const TinyStudy study;
    PointParams noisy = circuit_point(study);
    noisy.crossbar.adc_bits = 3;
    noisy.crossbar.adc_gain_sigma = 0.1;
    noisy.crossbar.wire_resistance_ohm = 5;
    for (auto& operand : noisy.operands) {
        operand.device.read_noise_sigma = 0.5;
        operand.device.stuck_at_g_max = 0.3;
        operand.device.programming_noise_sigma = 0.3;
    }
    EXPECT_EQ(ranges_of(study, noisy).all(), ranges_of(study, circuit_point(study)).all());
}

TEST(Calibration, range_grows_with_the_percentile_and_the_rows) {
    const TinyStudy study;
    const auto total = [&](double percentile, std::uint32_t rows) {
        PointParams point = circuit_point(study);
        point.crossbar.adc_percentile = percentile;
        point.crossbar.array_rows = rows;
        double sum = 0;
        const auto ranges = ranges_of(study, point);
        for (const auto& [key, tops] : ranges.all()) sum += tops[0];
        return sum;
    };
    EXPECT_LT(total(90, 64), total(99, 64));
    EXPECT_LE(total(99, 64), total(100, 64));
    EXPECT_LT(total(99, 4), total(99, 64));
}

TEST(Calibration, clipping_takes_the_slices_that_nothing_fills) {
    const TinyStudy study;
    PointParams point = circuit_point(study);
    point.transform.beta = 0.25;
    const auto ranges = ranges_of(study, point);
    EXPECT_EQ(ranges.of(LayerId(1), linalg::Role::written_keys).size(), 3U);
    EXPECT_EQ(ranges.of(LayerId(1), linalg::Role::query).size(), 4U);
}

}  // namespace
}  // namespace crossweep::trial
