// Weights to codes and back, by way of conductances too, and the blocks that share a largest magnitude.
#include "crossweep/crossbar/mapping.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "linalg/normal_matrix.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::const_view;
using linalg::Matrix;
using linalg::Role;

constexpr ConductanceWindow window{1e-7F, 1e-5F};

std::vector<float> inverses(const std::vector<float>& weight, float largest) {
    return std::vector<float>(weight.size(), largest > 0 ? 1.0F / largest : 0.0F);
}

std::vector<float> conductances(const std::vector<float>& weight, float largest) {
    std::vector<float> conductance(weight.size());
    to_conductance(weight, inverses(weight, largest), window, conductance);
    return conductance;
}

std::vector<float> codes(const std::vector<float>& weight, float largest, std::uint32_t levels) {
    std::vector<float> code(weight.size());
    to_code(weight, inverses(weight, largest), Codebook(levels), code);
    return code;
}

/// Codes by way of conductances, as operands take that are clipped.
std::vector<float> codes_of_conductances(const std::vector<float>& weight, float largest,
                                         std::uint32_t levels) {
    std::vector<float> code = conductances(weight, largest);
    to_code(code, window, Codebook(levels), code);
    return code;
}

/// What the codes stand for, with the signs of `weight`.
std::vector<float> mapped_and_back(const std::vector<float>& weight, float largest, std::uint32_t levels) {
    std::vector<float> back = codes(weight, largest, levels);
    for (std::size_t i = 0; i < back.size(); ++i)
        back[i] = std::copysign(back[i] * largest / Codebook(levels).largest, weight[i]);
    return back;
}

/// `count` weights with the largest magnitude 0.7 among them.
std::vector<float> weights(std::size_t count) {
    std::vector<float> values(count);
    linalg::fill_normal({5, 6}, {7, 8, 9}, values);
    for (float& value : values) value = 0.7F * std::tanh(value);
    values.front() = 0.0F;
    values.back() = -0.7F;
    return values;
}

TEST(Mapping, follows_its_formula) {
    const auto g = conductances({0.0F, 0.25F, -0.25F, 0.5F, -1.0F}, 1.0F);
    EXPECT_FLOAT_EQ(g[0], 1e-7F);
    EXPECT_FLOAT_EQ(g[1], 1e-7F + 0.25F * 9.9e-6F);
    EXPECT_EQ(g[2], g[1]);
    EXPECT_FLOAT_EQ(g[3], 1e-7F + 0.5F * 9.9e-6F);
    EXPECT_FLOAT_EQ(g[4], 1e-5F);
}

TEST(Mapping, continuous_round_trip_is_exact_to_rounding) {
    const auto w = weights(1001);
    const auto back = mapped_and_back(w, 0.7F, 0);
    for (std::size_t i = 0; i < w.size(); ++i) EXPECT_NEAR(back[i], w[i], 0.7F * 3e-7F) << i;
}

TEST(Mapping, round_trip_through_levels_is_off_by_half_a_step_at_most) {
    const auto w = weights(10'001);
    for (const std::uint32_t levels : {2U, 3U, 4U, 16U, 64U, 256U, 1024U}) {
        const auto back = mapped_and_back(w, 0.7F, levels);
        const double step = 0.7 / (levels - 1);
        std::set<long> seen;
        double worst = 0;
        for (std::size_t i = 0; i < w.size(); ++i) {
            const double level = std::abs(static_cast<double>(back[i])) / step;
            ASSERT_NEAR(level, std::round(level), 1e-3);
            seen.insert(std::lround(level));
            worst = std::max(worst, std::abs(static_cast<double>(back[i] - w[i])) / step);
        }
        EXPECT_LE(worst, 0.5 + 1e-3) << levels;
        EXPECT_GT(worst, 0.48) << levels;
        EXPECT_EQ(seen.size(), levels);
        EXPECT_EQ(*seen.rbegin(), static_cast<long>(levels) - 1);
    }
}

TEST(Mapping, two_hundred_and_fifty_six_levels_are_the_default) {
    EXPECT_EQ(CrossbarParams{}.weight_levels, 256U);
}

TEST(Mapping, keeps_signs_and_the_ends_of_the_range) {
    for (const std::uint32_t levels : {0U, 2U, 256U}) {
        const auto back = mapped_and_back({2.0F, -2.0F, 0.0F, -0.0F}, 2.0F, levels);
        EXPECT_FLOAT_EQ(back[0], 2.0F);
        EXPECT_EQ(back[1], -back[0]);
        EXPECT_EQ(back[2], 0.0F);
        EXPECT_EQ(back[3], 0.0F);
    }
}

TEST(Mapping, of_zeros_is_g_min_and_code_zero) {
    for (const std::uint32_t levels : {0U, 256U}) {
        EXPECT_EQ(conductances({0.0F, -0.0F}, 0.0F), (std::vector<float>{1e-7F, 1e-7F}));
        EXPECT_EQ(codes({0.0F, -0.0F}, 0.0F, levels), (std::vector<float>{0.0F, 0.0F}));
        EXPECT_EQ(codes_of_conductances({0.0F, -0.0F}, 0.0F, levels), (std::vector<float>{0.0F, 0.0F}));
    }
}

TEST(Mapping, keeps_what_is_not_a_number) {
    const std::vector<float> nan{std::numeric_limits<float>::quiet_NaN()};
    for (const std::uint32_t levels : {0U, 256U}) {
        EXPECT_TRUE(std::isnan(mapped_and_back(nan, 1.0F, levels)[0]));
        EXPECT_TRUE(std::isnan(codes_of_conductances(nan, 1.0F, levels)[0]));
    }
}

// Half codes may fall to either side, as conductances have their own rounding.
TEST(Mapping, codes_of_conductances_are_those_of_their_weights) {
    const auto w = weights(10'001);
    for (const std::uint32_t levels : {0U, 2U, 16U, 256U, 1024U}) {
        const auto direct = codes(w, 0.7F, levels), by_conductance = codes_of_conductances(w, 0.7F, levels);
        const float largest = Codebook(levels).largest;
        for (std::size_t i = 0; i < w.size(); ++i) {
            const float exact = std::abs(w[i]) / 0.7F * largest;
            const bool is_half = levels > 0 && std::abs(exact - std::floor(exact) - 0.5F) < 1e-6F * largest;
            ASSERT_NEAR(direct[i], by_conductance[i], is_half ? 1.0F : 1e-6F * largest) << exact;
        }
    }
}

/// W_max of every element of a matrix, measured band by band.
Matrix scales_of(const Matrix& matrix, const linalg::Blocks& blocks) {
    Matrix scales(matrix.rows(), matrix.cols());
    BandScale band;
    for (Index row = 0; row < matrix.rows(); ++row) {
        if (row % blocks.rows == 0) band.measure(const_view(matrix), row, blocks);
        std::copy(band.scale().begin(), band.scale().end(), linalg::row_of(scales, row).begin());
        for (Index column = 0; column < matrix.cols(); ++column) {
            const float scale = scales(row, column),
                        inverse = band.inverse()[static_cast<std::size_t>(column)];
            EXPECT_FLOAT_EQ(scale * inverse, 1.0F);
        }
    }
    return scales;
}

/// The same from a rule that names the block of every element.
template <class BlockOf>
Matrix scales_by_rule(const Matrix& matrix, BlockOf&& block_of) {
    std::map<std::tuple<Index, Index, Index>, float> largest;
    for (Index row = 0; row < matrix.rows(); ++row) {
        for (Index column = 0; column < matrix.cols(); ++column) {
            float& most = largest[block_of(row, column)];
            most = std::max(most, std::abs(matrix(row, column)));
        }
    }
    Matrix scales(matrix.rows(), matrix.cols());
    for (Index row = 0; row < matrix.rows(); ++row) {
        for (Index column = 0; column < matrix.cols(); ++column)
            scales(row, column) = largest[block_of(row, column)];
    }
    return scales;
}

using Block = std::tuple<Index, Index, Index>;
constexpr Index head_width = 6;

/// Arrays of 4 x 5: neither divides a head of 6, the tokens or the width.
CrossbarParams small_arrays(ScaleBlock weight_scale, ScaleBlock written_scale) {
    CrossbarParams params;
    params.weight_scale = weight_scale;
    params.written_scale = written_scale;
    params.array_rows = 4;
    params.array_columns = 5;
    return params;
}

constexpr ScaleBlock every_block[] = {ScaleBlock::tensor, ScaleBlock::head, ScaleBlock::column,
                                      ScaleBlock::tile};

TEST(BlocksOfWeight, have_the_largest_magnitudes_of_their_blocks) {
    for (const Role role :
         {Role::query, Role::key, Role::value, Role::projection, Role::mlp_in, Role::mlp_out}) {
        const Matrix weight = linalg::normal_matrix(18, 24, static_cast<std::uint32_t>(role));
        const std::map<ScaleBlock, Block (*)(Role, Index, Index)> rules{
            {ScaleBlock::tensor, [](Role, Index, Index) { return Block(0, 0, 0); }},
            {ScaleBlock::head,
             [](Role r, Index out, Index in) {
                 if (r == Role::mlp_in || r == Role::mlp_out) return Block(0, 0, 0);
                 return r == Role::projection ? Block(0, in / head_width, 0) : Block(out / head_width, 0, 0);
             }},
            {ScaleBlock::column, [](Role, Index out, Index) { return Block(out, 0, 0); }},
            {ScaleBlock::tile, [](Role, Index out, Index in) { return Block(out / 5, in / 4, 0); }}};
        for (const ScaleBlock block : every_block) {
            const auto blocks =
                blocks_of_weight(small_arrays(block, ScaleBlock::tensor), role, 18, 24, head_width);
            const auto rule = [&](Index out, Index in) { return rules.at(block)(role, out, in); };
            EXPECT_EQ(scales_of(weight, blocks), scales_by_rule(weight, rule))
                << "block " << static_cast<int>(block) << " role " << static_cast<int>(role);
        }
    }
}

// Kᵀ stands on the crossbar: its rows are channels and its columns tokens. V: rows are tokens, columns
// channels.
TEST(BlocksOfWritten, have_the_largest_magnitudes_of_their_blocks) {
    for (const Role role : {Role::written_keys, Role::written_values}) {
        const Matrix operand = linalg::normal_matrix(13, 24, static_cast<std::uint32_t>(role));
        const std::map<ScaleBlock, Block (*)(Role, Index, Index)> rules{
            {ScaleBlock::tensor, [](Role, Index, Index) { return Block(0, 0, 0); }},
            {ScaleBlock::head, [](Role, Index, Index channel) { return Block(0, channel / head_width, 0); }},
            {ScaleBlock::column,
             [](Role r, Index token, Index channel) {
                 return r == Role::written_keys ? Block(token, channel / head_width, 0)
                                                : Block(0, channel, 0);
             }},
            {ScaleBlock::tile, [](Role r, Index token, Index channel) {
                 const Index head = channel / head_width, within = channel % head_width;
                 return r == Role::written_keys ? Block(token / 5, head, within / 4)
                                                : Block(token / 4, head, within / 5);
             }}};
        for (const ScaleBlock block : every_block) {
            const auto blocks =
                blocks_of_written(small_arrays(ScaleBlock::tensor, block), role, 13, 24, head_width);
            const auto rule = [&](Index token, Index channel) {
                return rules.at(block)(role, token, channel);
            };
            EXPECT_EQ(scales_of(operand, blocks), scales_by_rule(operand, rule))
                << "block " << static_cast<int>(block) << " role " << static_cast<int>(role);
        }
    }
}

TEST(BandScale, of_a_zero_block_has_a_zero_inverse_beside_blocks_that_are_not) {
    Matrix matrix(2, 4);
    matrix << 0, 0, 3, -4, 0, 0, 1, 2;
    BandScale band;
    band.measure(const_view(matrix), 0, {2, {0, 2, 4}});
    EXPECT_EQ(std::vector<float>(band.scale().begin(), band.scale().end()), (std::vector<float>{0, 0, 4, 4}));
    EXPECT_EQ(std::vector<float>(band.inverse().begin(), band.inverse().end()),
              (std::vector<float>{0, 0, 0.25F, 0.25F}));
}

TEST(BandScale, of_the_smallest_numbers_maps_to_finite_codes_and_conductances) {
    for (const float tiny : {1e-38F, 1e-40F, 1e-45F}) {
        Matrix matrix(1, 2);
        matrix << tiny, 0.0F;
        BandScale band;
        band.measure(const_view(matrix), 0, {1, {0, 2}});
        std::vector<float> mapped(2);
        to_conductance(linalg::row_of(const_view(matrix), 0), band.inverse(), window, mapped);
        for (const float conductance_S : mapped) {
            EXPECT_GE(conductance_S, window.min_S);
            EXPECT_LE(conductance_S, 1.0001F * window.max_S);
        }
        for (const std::uint32_t levels : {0U, 256U}) {
            to_code(linalg::row_of(const_view(matrix), 0), band.inverse(), Codebook(levels), mapped);
            for (const float code : mapped) {
                EXPECT_GE(code, 0.0F);
                EXPECT_LE(code, 1.0001F * Codebook(levels).largest);
            }
        }
    }
}

}  // namespace
}  // namespace crossweep::crossbar
