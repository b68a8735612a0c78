// What shapes say that a model asks for against what engines count while it runs.
#include "crossweep/trial/demand.hpp"

#include <gtest/gtest.h>

#include "crossweep/crossbar/crossbar_engine.hpp"
#include "model/stored_families.hpp"
#include "trial/tiny_model.hpp"

namespace crossweep::trial {
namespace {

using crossbar::ActivityTable;
using crossbar::Fidelity;
using linalg::Role;

/// What the engines count while `input` passes the model.
ActivityTable counted(const model::Transformer& network, const model::Input& input,
                      const PointParams& point) {
    const StreamKey key{5, 0};
    const auto weights = network.stationary_weights();
    const auto programmed = crossbar::program_weights(weights, point.operands, point.crossbar, key);
    ActivityTable activity;
    crossbar::CrossbarEngine engine(
        weights, programmed, {point.crossbar, point.transform, point.operands, nullptr, nullptr, &activity},
        key);
    model::logits_of(network, engine, {&input, 1});
    return activity;
}

PointParams point_of(Fidelity fidelity) {
    PointParams point;
    point.operands = usual_operands(fidelity);
    point.crossbar.adc_range = crossbar::AdcRange::full;
    point.crossbar.written_scale = crossbar::ScaleBlock::token;
    point.crossbar.array_rows = 10;
    point.crossbar.array_columns = 12;
    return point;
}

std::size_t tokens_of(const model::StoredFamily& stored, const model::Input& input) {
    return input.tokens.empty() ? stored.model().architecture().tokens : input.tokens.size();
}

class DemandOf : public testing::TestWithParam<std::tuple<const char*, Fidelity>> {};

TEST_P(DemandOf, every_operand_equals_what_engines_count) {
    const auto [family, fidelity] = GetParam();
    const model::StoredFamily stored(family);
    const PointParams point = point_of(fidelity);
    for (const model::Input& input : {stored.inputs().front(), stored.inputs().back()}) {
        const ActivityTable engine = counted(stored.model(), input, point);
        const auto demands = demands_of(shapes_of(stored.model(), tokens_of(stored, input)), point);
        EXPECT_EQ(demands.size(), engine.size());
        for (const cost::OperandDemand& demand : demands) {
            SCOPED_TRACE(testing::Message() << "layer " << demand.operand.layer.value() << ", role "
                                            << static_cast<int>(demand.operand.role));
            ASSERT_TRUE(engine.contains(demand.operand));
            EXPECT_TRUE(engine.at(demand.operand) == demand.activity);
            const auto role = static_cast<std::size_t>(demand.operand.role);
            EXPECT_EQ(demand.fidelity, point.operands[role].fidelity);
            EXPECT_EQ(demand.arrays > 0, demand.activity.array_reads > 0);
            // On shared arrays everything is written, so that no cells are told apart.
            const bool is_written =
                linalg::is_written(demand.operand.role) && demand.fidelity != Fidelity::large_small;
            EXPECT_EQ(demand.written_cells, is_written ? demand.activity.cell_writes : 0);
        }
    }
}

std::string name_of(const testing::TestParamInfo<std::tuple<const char*, Fidelity>>& info) {
    constexpr const char* words[] = {"digital", "behavioural", "sliced", "circuit", "large_small"};
    const auto [family, fidelity] = info.param;
    return std::string(family) + "_" + words[static_cast<int>(fidelity)];
}

INSTANTIATE_TEST_SUITE_P(
    Stored, DemandOf,
    testing::Combine(testing::Values("lv_vit", "sparse_vit", "sparse_lv_vit", "bert", "gpt2"),
                     testing::Values(Fidelity::behavioural, Fidelity::circuit, Fidelity::large_small)),
    name_of);

TEST(Demand, counts_arrays_of_a_block_by_hand) {
    // DeiT's scheme in small: weights of 8 bits in slices of 2, signs in pairs of columns.
    const model::StoredFamily stored("bert");
    const model::Architecture& a = stored.model().architecture();
    PointParams point = point_of(Fidelity::behavioural);
    const auto tiles = [&](std::size_t extent, std::uint32_t of) { return (extent + of - 1) / of; };
    const std::uint64_t planes = 4 * 2;
    for (const auto& demand : demands_of(shapes_of(stored.model(), 3), point)) {
        if (demand.operand.role == Role::mlp_in) {
            EXPECT_EQ(demand.arrays, tiles(a.width, 10) * tiles(a.mlp_width, 12) * planes);
        }
        // Two heads have columns or rows of their own.
        if (demand.operand.role == Role::written_keys) {
            EXPECT_EQ(demand.arrays, a.heads * tiles(a.head_width(), 10) * tiles(3, 12) * planes);
        }
    }
}

TEST(Demand, of_a_shorter_text_is_smaller_but_for_the_weights) {
    const model::StoredFamily stored("gpt2");
    const PointParams point = point_of(Fidelity::behavioural);
    const auto of_five = demands_of(shapes_of(stored.model(), 5), point);
    const auto of_ten = demands_of(shapes_of(stored.model(), 10), point);
    ASSERT_EQ(of_five.size(), of_ten.size());
    for (std::size_t i = 0; i < of_five.size(); ++i) {
        EXPECT_EQ(of_five[i].operand, of_ten[i].operand);
        EXPECT_LT(of_five[i].activity.buffer_B, of_ten[i].activity.buffer_B);
        EXPECT_LE(of_five[i].arrays, of_ten[i].arrays);
        if (!linalg::is_written(of_five[i].operand.role)) {
            EXPECT_EQ(of_five[i].arrays, of_ten[i].arrays);
        }
    }
}

}  // namespace
}  // namespace crossweep::trial
