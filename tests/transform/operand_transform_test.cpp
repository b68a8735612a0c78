// Clipping and rescaling of K and V: against the numbers of ClipFormer (arXiv 2402.02586, Algorithm
// 1) at an on/off ratio of 100, against hand-computed cases, and against the formulas of the header written
// down a second time, element by element.
#include "crossweep/transform/operand_transform.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "linalg/normal_matrix.hpp"

namespace crossweep::transform {
namespace {

using Eigen::Index;
using linalg::Matrix;
using linalg::Role;

constexpr ConductanceWindow window{1e-7F, 1e-5F};
constexpr TransformParams clipformer_1_1{.alpha = 1}, clipformer_2_1{.alpha = 2},
    clipformer_2_quarter{.alpha = 2, .beta = 0.25};

struct Operand {
    Matrix conductance_S, scale;
};

Operand clipped(const TransformParams& params, Role role, Index head_width, Operand operand) {
    clip(params, window, role, head_width, linalg::view(operand.conductance_S), linalg::view(operand.scale));
    return operand;
}

/// A matrix of weights as mapped with one largest magnitude for all.
Operand mapped(const Matrix& weight) {
    const float largest = weight.cwiseAbs().maxCoeff();
    Operand operand{weight, Matrix::Constant(weight.rows(), weight.cols(), largest)};
    operand.conductance_S = (window.min_S + window.span_S() * weight.array().abs() / largest).matrix();
    return operand;
}

/// Magnitudes that the conductances stand for.
Matrix decoded(const Operand& operand) {
    return ((operand.conductance_S.array() - window.min_S) / window.span_S() * operand.scale.array())
        .matrix();
}

/// What becomes of a weight of `magnitude` (relative to W_max).
double clipped_magnitude(double magnitude, const TransformParams& params) {
    Operand cell{Matrix::Constant(1, 1, window.min_S + window.span_S() * static_cast<float>(magnitude)),
                 Matrix::Ones(1, 1)};
    return static_cast<double>(decoded(clipped(params, Role::written_keys, 1, cell))(0, 0));
}

// ---- ClipFormer as published

TEST(ClipFormer, by_default_changes_nothing) {
    Operand cells{Matrix(1, 7), Matrix::Ones(1, 7)};
    cells.conductance_S << -1e-6F, 0.0F, 5e-8F, 1e-7F, 3e-6F, 1e-5F, 2e-5F;
    const Matrix after = clipped(TransformParams{}, Role::written_keys, 7, cells).conductance_S;
    EXPECT_TRUE(after == cells.conductance_S);
    EXPECT_FALSE(clips(TransformParams{}));
}

// beta G_max - G_min = (0.25 - 0.01) G_max of a span of 0.99 G_max.
TEST(ClipFormer, beta_of_a_quarter_clips_magnitudes_at_24_24_percent) {
    const TransformParams quarter{.beta = 0.25};
    EXPECT_NEAR(clipped_magnitude(1.0, quarter), 0.2424242, 1e-6);
    EXPECT_NEAR(clipped_magnitude(0.25, quarter), 0.2424242, 1e-6);
    EXPECT_NEAR(clipped_magnitude(0.2424, quarter), 0.2424, 1e-6);
    EXPECT_NEAR(clipped_magnitude(0.1, quarter), 0.1, 1e-6);
}

// alpha G_min = alpha 0.01 G_max of a span of 0.99 G_max: 1.01 % and 2.02 %.
TEST(ClipFormer, alpha_is_a_soft_threshold_of_1_01_percent_each) {
    for (const TransformParams& params : {clipformer_1_1, clipformer_2_1}) {
        const double threshold = params.alpha / 99;
        EXPECT_NEAR(clipped_magnitude(1.0, params), 1 - threshold, 1e-6);
        EXPECT_NEAR(clipped_magnitude(0.5, params), 0.5 - threshold, 1e-6);
        EXPECT_NEAR(clipped_magnitude(threshold + 1e-4, params), 1e-4, 1e-6);
        EXPECT_EQ(clipped_magnitude(threshold - 1e-4, params), 0.0);
        EXPECT_EQ(clipped_magnitude(0.0, params), 0.0);
    }
    EXPECT_NEAR(clipped_magnitude(1.0, clipformer_1_1), 0.9898990, 1e-6);
    EXPECT_NEAR(clipped_magnitude(1.0, clipformer_2_1), 0.9797980, 1e-6);
}

TEST(ClipFormer, one_one_is_not_the_identity) {
    EXPECT_TRUE(clips(clipformer_1_1));
    EXPECT_LT(clipped_magnitude(0.5, clipformer_1_1), 0.495);
    EXPECT_EQ(clipped_magnitude(0.01, clipformer_1_1), 0.0);
}

TEST(ClipFormer, thresholds_first_and_saturates_then) {
    for (const double magnitude : {0.0, 0.01, 0.1, 0.25, 0.26, 0.27, 1.0}) {
        const double lowered = std::max(magnitude - 2.0 / 99, 0.0);
        EXPECT_NEAR(clipped_magnitude(magnitude, clipformer_2_quarter), std::min(lowered, 24.0 / 99), 1e-6)
            << magnitude;
    }
}

TEST(ClipFormer, rescales_nothing_afterwards) {
    EXPECT_LT(clipped_magnitude(1.0, clipformer_2_quarter), 0.2425);
    const Operand before = mapped(linalg::normal_matrix(5, 6, 1));
    EXPECT_TRUE(clipped(clipformer_2_quarter, Role::written_values, 3, before).scale == before.scale);
}

// 256 magnitude levels, of which 6 bits are left: 3 cells of 2 bits instead of 4 (PHYSICS, section 3).
TEST(ClipFormer, beta_of_a_quarter_leaves_six_bits) {
    std::set<long> levels;
    for (int level = 0; level < 256; ++level)
        levels.insert(std::lround(255 * clipped_magnitude(level / 255.0, {.beta = 0.25})));
    EXPECT_EQ(*levels.rbegin(), 62);
    EXPECT_EQ(levels.size(), 63U);
}

TEST(ClipFormer, keeps_every_cell_within_the_window_for_any_length) {
    for (const Index count : {0, 1, 7, 16, 1001}) {
        Operand cells{Matrix(1, count), Matrix::Ones(1, count)};
        for (Index i = 0; i < count; ++i) cells.conductance_S(0, i) = 1.5e-8F * static_cast<float>(i);
        const Matrix after = clipped(clipformer_2_quarter, Role::written_keys, 64, cells).conductance_S;
        for (Index i = 0; i < count; ++i) {
            EXPECT_GE(after(0, i), window.min_S);
            EXPECT_LE(after(0, i), 0.25F * window.max_S);
        }
    }
}

TEST(Clip, keeps_what_is_not_a_number_and_all_else_finite) {
    for (const ClipBlock block : {ClipBlock::tensor, ClipBlock::head, ClipBlock::column}) {
        for (const Rescale rescale : {Rescale::none, Rescale::window}) {
            Operand operand = mapped(linalg::normal_matrix(6, 8, 2));
            operand.conductance_S(3, 5) = std::numeric_limits<float>::quiet_NaN();
            const TransformParams params{
                .alpha = 1, .beta = 0.5, .percentile = 90, .clip_block = block, .rescale = rescale};
            const Matrix after = clipped(params, Role::written_values, 4, operand).conductance_S;
            EXPECT_TRUE(std::isnan(after(3, 5)));
            EXPECT_TRUE(std::isfinite(after(0, 0)));
        }
    }
}

// ---- Percentiles, blocks and rescaling by hand

/// Conductances in units of 1e-7 S, that is of G_min; G_max is 100.
Operand by_hand(std::initializer_list<std::initializer_list<int>> rows) {
    Operand operand;
    operand.conductance_S.resize(static_cast<Index>(rows.size()), static_cast<Index>(rows.begin()->size()));
    Index row = 0;
    for (const auto& values : rows) {
        Index column = 0;
        for (const int value : values)
            operand.conductance_S(row, column++) = 1e-7F * static_cast<float>(value);
        ++row;
    }
    operand.scale = Matrix::Ones(operand.conductance_S.rows(), operand.conductance_S.cols());
    return operand;
}

void expect_conductances(const Operand& operand, std::initializer_list<std::initializer_list<int>> rows) {
    const Matrix expected = by_hand(rows).conductance_S;
    ASSERT_EQ(expected.size(), operand.conductance_S.size());
    EXPECT_LT(linalg::largest_difference(operand.conductance_S, expected), 1e-11) << operand.conductance_S;
}

TEST(Percentile, is_the_nearest_rank) {
    const Operand operand = by_hand({{50, 10, 40, 20, 30}});
    const auto at = [&](double percentile) {
        return clipped({.percentile = percentile}, Role::written_keys, 5, operand);
    };
    expect_conductances(at(81), {{50, 10, 40, 20, 30}});
    expect_conductances(at(80), {{40, 10, 40, 20, 30}});
    expect_conductances(at(61), {{40, 10, 40, 20, 30}});
    expect_conductances(at(60), {{30, 10, 30, 20, 30}});
    expect_conductances(at(1), {{10, 10, 10, 10, 10}});
}

TEST(Percentile, that_is_a_whole_rank_in_decimals_is_not_rounded_up) {
    Operand operand{Matrix(1, 1000), Matrix::Ones(1, 1000)};
    for (Index i = 0; i < 1000; ++i)
        operand.conductance_S(0, (7 * i) % 1000) = 1e-7F + 9e-9F * static_cast<float>(i);
    for (const double percentile : {0.3, 16.1, 32.7, 64.4, 99.1, 99.9}) {
        const Matrix after =
            clipped({.percentile = percentile}, Role::written_keys, 1000, operand).conductance_S;
        const auto rank = std::lround(10 * percentile);
        EXPECT_FLOAT_EQ(after.maxCoeff(), 1e-7F + 9e-9F * static_cast<float>(rank - 1)) << percentile;
    }
}

TEST(Percentile, of_one_hundred_leaves_every_bit) {
    const Operand before = mapped(linalg::normal_matrix(9, 12, 3));
    for (const ClipBlock block : {ClipBlock::tensor, ClipBlock::head, ClipBlock::column}) {
        for (const Role role : {Role::written_keys, Role::written_values}) {
            const TransformParams params{.percentile = 100, .clip_block = block};
            EXPECT_FALSE(clips(params));
            EXPECT_TRUE(clipped(params, role, 4, before).conductance_S == before.conductance_S);
        }
    }
}

TEST(Percentile, is_taken_before_the_threshold) {
    // P = 30 at 60 %; lowered by 10 first, then clipped at 30.
    const TransformParams params{.alpha = 10, .percentile = 60};
    expect_conductances(clipped(params, Role::written_keys, 5, by_hand({{50, 10, 40, 20, 30}})),
                        {{30, 1, 30, 10, 20}});
}

TEST(Block, tensor_is_clipped_relative_to_the_window_as_in_the_paper) {
    expect_conductances(clipped({.beta = 0.5}, Role::written_keys, 2, by_hand({{40, 60}, {80, 20}})),
                        {{40, 50}, {50, 20}});
}

TEST(Block, head_is_clipped_relative_to_its_largest) {
    const Operand operand = by_hand({{40, 60, 10, 20}, {80, 20, 4, 18}});
    const TransformParams params{.beta = 0.5, .clip_block = ClipBlock::head};
    for (const Role role : {Role::written_keys, Role::written_values})
        expect_conductances(clipped(params, role, 2, operand), {{40, 40, 10, 10}, {40, 20, 4, 10}});
}

TEST(Block, column_is_a_token_of_k_in_a_head_and_a_channel_of_v) {
    const Operand operand = by_hand({{40, 60, 10, 20}, {80, 20, 4, 18}});
    const TransformParams params{.beta = 0.5, .clip_block = ClipBlock::column};
    expect_conductances(clipped(params, Role::written_keys, 2, operand), {{30, 30, 10, 10}, {40, 20, 4, 9}});
    expect_conductances(clipped(params, Role::written_values, 2, operand),
                        {{40, 30, 5, 10}, {40, 20, 4, 10}});
}

TEST(Ceiling, never_lies_below_g_min) {
    const TransformParams params{.beta = 0.5, .clip_block = ClipBlock::column};
    expect_conductances(clipped(params, Role::written_values, 2, by_hand({{1, 8}, {1, 6}})),
                        {{1, 4}, {1, 4}});
}

TEST(Rescale, stretches_what_clipping_leaves_to_the_window_and_shrinks_the_scale) {
    const TransformParams params{.beta = 0.25, .rescale = Rescale::window};
    const Operand after = clipped(params, Role::written_keys, 2, by_hand({{25, 80}, {13, 1}}));
    EXPECT_NEAR(after.conductance_S(0, 0), 1e-5F, 1e-11F);
    EXPECT_NEAR(after.conductance_S(0, 1), 1e-5F, 1e-11F);
    EXPECT_NEAR(after.conductance_S(1, 0), 5.05e-6F, 1e-11F);  // half of the way from 1 to 25
    EXPECT_EQ(after.conductance_S(1, 1), window.min_S);
    EXPECT_LT(linalg::largest_difference(after.scale, Matrix::Constant(2, 2, 24.0F / 99)), 1e-6);
}

TEST(Rescale, of_a_threshold_stretches_from_what_it_leaves_of_the_largest) {
    const TransformParams params{.alpha = 19, .clip_block = ClipBlock::head, .rescale = Rescale::window};
    const Operand after = clipped(params, Role::written_keys, 2, by_hand({{20, 39}, {70, 30}}));
    // B - 19 G_min = 51.
    EXPECT_NEAR(after.conductance_S(1, 0), 1e-5F, 1e-11F);
    EXPECT_NEAR(after.conductance_S(0, 1), 1e-7F + 9.9e-6F * 19 / 50, 1e-11F);
    EXPECT_EQ(after.conductance_S(0, 0), window.min_S);
    EXPECT_LT(linalg::largest_difference(after.scale, Matrix::Constant(2, 2, 50.0F / 99)), 1e-6);
}

TEST(Rescale, leaves_a_block_of_which_nothing_is_left_as_it_is) {
    const TransformParams params{.alpha = 30, .clip_block = ClipBlock::head, .rescale = Rescale::window};
    const Operand after = clipped(params, Role::written_keys, 2, by_hand({{20, 31, 61, 50}}));
    EXPECT_EQ(after.conductance_S(0, 0), window.min_S);
    EXPECT_EQ(after.conductance_S(0, 1), window.min_S);
    EXPECT_EQ(after.scale(0, 0), 1.0F);
    EXPECT_NEAR(after.conductance_S(0, 2), 1e-5F, 1e-11F);
    EXPECT_LT(after.scale(0, 2), 1.0F);
}

TEST(Rescale, alone_fills_the_window_block_by_block_as_a_finer_scale_would) {
    const Matrix weight = linalg::normal_matrix(11, 12, 4);
    const Operand before = mapped(weight);
    const TransformParams params{.clip_block = ClipBlock::head, .rescale = Rescale::window};
    EXPECT_TRUE(clips(params));
    const Operand after = clipped(params, Role::written_values, 4, before);
    for (Index head = 0; head < 3; ++head) {
        const Operand finer = mapped(weight.middleCols(4 * head, 4));
        EXPECT_LT(
            linalg::largest_difference(after.conductance_S.middleCols(4 * head, 4), finer.conductance_S),
            1e-11);
        EXPECT_LT(linalg::largest_difference(after.scale.middleCols(4 * head, 4), finer.scale), 1e-5);
    }
}

TEST(Rescale, alone_leaves_every_bit_of_the_block_tensor) {
    const Operand before = mapped(linalg::normal_matrix(11, 12, 5));
    const TransformParams params{.rescale = Rescale::window};
    EXPECT_FALSE(clips(params));
    const Operand after = clipped(params, Role::written_values, 4, before);
    EXPECT_TRUE(after.conductance_S == before.conductance_S);
    EXPECT_TRUE(after.scale == before.scale);
}

// A conductance carries an error of half a unit in its last place, at most 2^-24 G_max, and (G - G_min) /
// span turns it into 6e-8 of the scale; a few such roundings add up.
TEST(Rescale, keeps_the_decoded_weights) {
    const Operand before = mapped(linalg::normal_matrix(31, 24, 6));
    for (const ClipBlock block : {ClipBlock::tensor, ClipBlock::head, ClipBlock::column}) {
        for (const Role role : {Role::written_keys, Role::written_values}) {
            TransformParams params{.alpha = 2, .beta = 0.6, .percentile = 95, .clip_block = block};
            const Operand plain = clipped(params, role, 8, before);
            params.rescale = Rescale::window;
            const Operand stretched = clipped(params, role, 8, before);
            EXPECT_GT(linalg::largest_difference(stretched.conductance_S, plain.conductance_S), 1e-7);
            EXPECT_LE(stretched.conductance_S.maxCoeff(), window.max_S);
            const double bound = 4e-7 * static_cast<double>(before.scale(0, 0));
            EXPECT_LT(linalg::largest_difference(decoded(stretched), decoded(plain)), bound);
        }
    }
}

TEST(Rescale, keeps_the_weights_that_no_clip_touches) {
    const Operand before = mapped(linalg::normal_matrix(31, 24, 7));
    const TransformParams params{.beta = 0.25, .rescale = Rescale::window};
    const Operand after = clipped(params, Role::written_keys, 8, before);
    const Matrix was = decoded(before), is = decoded(after);
    const float limit = 0.2424F * before.scale(0, 0);
    for (Index i = 0; i < was.size(); ++i) {
        if (was.data()[i] < limit) {
            EXPECT_NEAR(is.data()[i], was.data()[i], 4e-7F * before.scale(0, 0));
        }
    }
}

// ---- Every formula of the header once more, element by element

/// The indices of the block that holds (token, channel).
std::vector<std::pair<Index, Index>> block_around(ClipBlock block, Role role, Index head_width, Index tokens,
                                                  Index width, Index token, Index channel) {
    std::vector<std::pair<Index, Index>> members;
    for (Index t = 0; t < tokens; ++t) {
        for (Index c = 0; c < width; ++c) {
            const bool same_head = c / head_width == channel / head_width;
            const bool in_column = role == Role::written_keys ? t == token && same_head : c == channel;
            if (block == ClipBlock::tensor || (block == ClipBlock::head && same_head) ||
                (block == ClipBlock::column && in_column))
                members.emplace_back(t, c);
        }
    }
    return members;
}

/// Conductance and scale of one element after `clip`, in double.
std::pair<double, double> expected_element(const TransformParams& params, Role role, Index head_width,
                                           const Operand& before, Index token, Index channel) {
    const auto min_S = static_cast<double>(window.min_S), max_S = static_cast<double>(window.max_S);
    std::vector<double> sorted;
    for (const auto& [t, c] : block_around(params.clip_block, role, head_width, before.conductance_S.rows(),
                                           before.conductance_S.cols(), token, channel))
        sorted.push_back(static_cast<double>(before.conductance_S(t, c)));
    std::sort(sorted.begin(), sorted.end());
    std::size_t rank = 0;  // the first at which at least `percentile` % do not exceed the element
    while (100.0 * static_cast<double>(rank + 1) < params.percentile * static_cast<double>(sorted.size()))
        ++rank;
    const double largest = params.clip_block == ClipBlock::tensor ? max_S : sorted.back();
    const double percentile = params.percentile < 100 ? sorted[rank] : largest;
    const double ceiling = std::max(std::min(params.beta * largest, percentile), min_S);
    double g = static_cast<double>(before.conductance_S(token, channel));
    if (params.alpha > 0) g = std::max(g - params.alpha * min_S, min_S);
    g = std::min(g, ceiling);
    double scale = static_cast<double>(before.scale(token, channel));
    const double top = std::min(ceiling, largest - params.alpha * min_S);
    if (params.rescale == Rescale::window && top > min_S * (1 + 1e-6)) {
        g = min_S + (g - min_S) * (max_S - min_S) / (top - min_S);
        scale *= (top - min_S) / (max_S - min_S);
    }
    return {g, scale};
}

void expect_every_element_as_in_the_header(const TransformParams& params, Role role) {
    constexpr Index tokens = 9, width = 15, head_width = 5;
    const Operand before = mapped(linalg::normal_matrix(tokens, width, 8));
    const Operand after = clipped(params, role, head_width, before);
    for (Index token = 0; token < tokens; ++token) {
        for (Index channel = 0; channel < width; ++channel) {
            const auto [g, scale] = expected_element(params, role, head_width, before, token, channel);
            // A stretch multiplies the rounding of G by span / (top - G_min), at most about 20 here.
            ASSERT_NEAR(static_cast<double>(after.conductance_S(token, channel)), g, 2e-11)
                << "alpha " << params.alpha << ", beta " << params.beta << ", percentile "
                << params.percentile << ", block " << static_cast<int>(params.clip_block) << ", rescale "
                << static_cast<int>(params.rescale) << ", element " << token << ", " << channel;
            ASSERT_NEAR(static_cast<double>(after.scale(token, channel)), scale, 1e-5 * scale);
        }
    }
}

TEST(Clip, follows_the_formulas_of_its_header_in_every_combination) {
    for (const ClipBlock block : {ClipBlock::tensor, ClipBlock::head, ClipBlock::column})
        for (const Rescale rescale : {Rescale::none, Rescale::window})
            for (const double alpha : {0.0, 1.0, 2.0})
                for (const double beta : {1.0, 0.7, 0.25})
                    for (const double percentile : {100.0, 99.0, 60.0})
                        for (const Role role : {Role::written_keys, Role::written_values})
                            expect_every_element_as_in_the_header({.alpha = alpha,
                                                                   .beta = beta,
                                                                   .percentile = percentile,
                                                                   .clip_block = block,
                                                                   .rescale = rescale},
                                                                  role);
}

TEST(Clip, reads_and_writes_only_its_view) {
    const Operand whole = mapped(linalg::normal_matrix(8, 20, 9));
    for (const ClipBlock block : {ClipBlock::tensor, ClipBlock::column}) {
        const TransformParams params{
            .alpha = 1, .beta = 0.5, .percentile = 90, .clip_block = block, .rescale = Rescale::window};
        Operand part{whole.conductance_S.middleCols(4, 12), whole.scale.middleCols(4, 12)};
        part = clipped(params, Role::written_values, 4, part);
        Operand viewed = whole;
        clip(params, window, Role::written_values, 4, linalg::columns_of(viewed.conductance_S, 4, 12),
             linalg::columns_of(viewed.scale, 4, 12));
        EXPECT_TRUE(viewed.conductance_S.middleCols(4, 12) == part.conductance_S);
        EXPECT_TRUE(viewed.scale.middleCols(4, 12) == part.scale);
        EXPECT_TRUE(viewed.conductance_S.leftCols(4) == whole.conductance_S.leftCols(4));
        EXPECT_TRUE(viewed.scale.rightCols(4) == whole.scale.rightCols(4));
    }
}

}  // namespace
}  // namespace crossweep::transform
