// ClipFormer against the numbers of its paper (arXiv 2402.02586, Algorithm 1) at an on/off ratio of 100.
#include "crossweep/transform/clip_former.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

namespace crossweep::transform {
namespace {

constexpr ConductanceWindow window{1e-7F, 1e-5F};

/// What becomes of a weight of `magnitude` (relative to W_max).
double clipped(double magnitude, TransformParams params) {
    std::vector<float> cell{window.min_S + window.span_S() * static_cast<float>(magnitude)};
    ClipFormer(params, window)(cell);
    return static_cast<double>(cell[0] - window.min_S) / static_cast<double>(window.span_S());
}

TEST(ClipFormer, by_default_changes_nothing) {
    std::vector<float> cells{-1e-6F, 0.0F, 5e-8F, 1e-7F, 3e-6F, 1e-5F, 2e-5F};
    const auto before = cells;
    ClipFormer(TransformParams{}, window)(cells);
    EXPECT_EQ(cells, before);
}

// beta G_max - G_min = (0.25 - 0.01) G_max of a span of 0.99 G_max.
TEST(ClipFormer, beta_of_a_quarter_clips_magnitudes_at_24_24_percent) {
    EXPECT_NEAR(clipped(1.0, {0, 0.25}), 0.2424242, 1e-6);
    EXPECT_NEAR(clipped(0.25, {0, 0.25}), 0.2424242, 1e-6);
    EXPECT_NEAR(clipped(0.2424, {0, 0.25}), 0.2424, 1e-6);
    EXPECT_NEAR(clipped(0.1, {0, 0.25}), 0.1, 1e-6);
}

// alpha G_min = alpha 0.01 G_max of a span of 0.99 G_max.
TEST(ClipFormer, alpha_is_a_soft_threshold_of_1_01_percent_each) {
    for (const double alpha : {1.0, 2.0}) {
        const double threshold = alpha / 99;
        EXPECT_NEAR(clipped(1.0, {alpha, 1}), 1 - threshold, 1e-6);
        EXPECT_NEAR(clipped(0.5, {alpha, 1}), 0.5 - threshold, 1e-6);
        EXPECT_NEAR(clipped(threshold + 1e-4, {alpha, 1}), 1e-4, 1e-6);
        EXPECT_EQ(clipped(threshold - 1e-4, {alpha, 1}), 0.0);
        EXPECT_EQ(clipped(0.0, {alpha, 1}), 0.0);
    }
    EXPECT_NEAR(clipped(1.0, {1, 1}), 0.9898990, 1e-6);
    EXPECT_NEAR(clipped(1.0, {2, 1}), 0.9797980, 1e-6);
}

TEST(ClipFormer, one_one_is_not_the_identity) {
    EXPECT_LT(clipped(0.5, {1, 1}), 0.495);
    EXPECT_EQ(clipped(0.01, {1, 1}), 0.0);
}

TEST(ClipFormer, thresholds_first_and_saturates_then) {
    for (const double magnitude : {0.0, 0.01, 0.1, 0.25, 0.26, 0.27, 1.0}) {
        const double lowered = std::max(magnitude - 2.0 / 99, 0.0);
        EXPECT_NEAR(clipped(magnitude, {2, 0.25}), std::min(lowered, 24.0 / 99), 1e-6) << magnitude;
    }
}

TEST(ClipFormer, nothing_is_rescaled_afterwards) {
    EXPECT_LT(clipped(1.0, {2, 0.25}), 0.2425);
}

// 256 magnitude levels, of which 6 bits are left: 3 cells of 2 bits instead of 4 (PHYSICS, section 3).
TEST(ClipFormer, beta_of_a_quarter_leaves_six_bits) {
    std::set<long> levels;
    for (int level = 0; level < 256; ++level)
        levels.insert(std::lround(255 * clipped(level / 255.0, {0, 0.25})));
    EXPECT_EQ(*levels.rbegin(), 62);
    EXPECT_EQ(levels.size(), 63U);
}

TEST(ClipFormer, keeps_every_cell_within_the_window_for_any_length) {
    for (const std::size_t count : {0U, 1U, 7U, 16U, 1001U}) {
        std::vector<float> cells(count);
        for (std::size_t i = 0; i < count; ++i) cells[i] = 1.5e-8F * static_cast<float>(i);
        ClipFormer(TransformParams{2, 0.25}, window)(cells);
        for (const float cell : cells) {
            EXPECT_GE(cell, window.min_S);
            EXPECT_LE(cell, 0.25F * window.max_S);
        }
    }
}

TEST(ClipFormer, keeps_what_is_not_a_number) {
    std::vector<float> cells{std::numeric_limits<float>::quiet_NaN()};
    ClipFormer(TransformParams{2, 0.25}, window)(cells);
    EXPECT_TRUE(std::isnan(cells[0]));
}

}  // namespace
}  // namespace crossweep::transform
