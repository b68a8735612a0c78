#include "crossweep/cost/crossbar_cost.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace crossweep::cost {
namespace {

using crossbar::CrossbarParams;
using crossbar::Fidelity;
using linalg::Role;

const Cost& at(Component component, const PointCost& cost) {
    return cost.components[static_cast<std::size_t>(component)];
}

TEST(CrossbarCost, exact_converters_have_as_many_bits_as_a_full_column_needs) {
    CrossbarParams crossbar;
    crossbar.adc_bits = 0;
    EXPECT_EQ(converter_bits(crossbar, 2), 8U);  // 64 rows of digits up to 3: 192
    EXPECT_EQ(converter_bits(crossbar, 1), 7U);
    crossbar.adc_bits = 3;
    EXPECT_EQ(converter_bits(crossbar, 2), 3U);
}

/// Every count different, so that no figure can stand for another.
std::vector<OperandDemand> some_demands() {
    OperandDemand query{{LayerId(0), Role::query}, Fidelity::circuit, 2, 3};
    query.activity = {.array_reads = 1000, .row_drives = 5000, .conversions = 7000, .read_steps = 100};
    query.activity.buffer_B = 300;
    query.activity.interconnect_B = 900;
    OperandDemand key = query;
    key.operand.role = Role::key;
    key.activity.read_steps = 200;
    OperandDemand written{{LayerId(0), Role::written_keys}, Fidelity::circuit, 2, 2};
    written.written_cells = 4096;
    written.activity = {.array_reads = 50,
                        .row_drives = 60,
                        .conversions = 70,
                        .read_steps = 10,
                        .cell_writes = 4096,
                        .write_pulses = 2 * 4096,
                        .write_steps = 64};
    OperandDemand values = written;
    values.operand.role = Role::written_values;
    values.activity.write_steps = 32;
    OperandDemand softmax{{LayerId(0), Role::softmax}, Fidelity::digital};
    softmax.activity.digital_operations = 640;
    OperandDemand head{{LayerId(0), Role::head}, Fidelity::digital};
    head.activity.digital_operations = 64;
    return {query, key, written, values, softmax, head};
}

TEST(CrossbarCost, operands_at_the_same_time_take_the_longest) {
    const Technology t;
    const CrossbarParams crossbar;
    const PointCost cost = evaluate(some_demands(), 1, crossbar, t);
    const double read_s = t.array_read_latency_s + 8 * t.adc_latency_s;
    EXPECT_NEAR(at(Component::array, cost).latency_s + at(Component::adc, cost).latency_s,
                (200 + 10 + 10) * read_s, 1e-15);
    EXPECT_NEAR(at(Component::write, cost).latency_s, 64 * 2 * t.write_latency_s, 1e-15);
    EXPECT_NEAR(at(Component::digital, cost).latency_s, (10 + 1) * t.digital_latency_s, 1e-18);
}

TEST(CrossbarCost, operands_outside_the_blocks_follow_one_another) {
    std::vector<OperandDemand> selectors;
    for (const std::uint32_t layer : {0U, 1U, 2U}) {
        selectors.push_back({{LayerId(layer), Role::selector}});
        selectors.back().activity.digital_operations = 640;
    }
    const Technology t;
    const PointCost cost = evaluate(selectors, 3, CrossbarParams{}, t);
    EXPECT_NEAR(at(Component::digital, cost).latency_s, 3 * 10 * t.digital_latency_s, 1e-18);
    EXPECT_NEAR(cost.layers[3].latency_s, 3 * 10 * t.digital_latency_s, 1e-18);
}

TEST(CrossbarCost, projections_of_different_blocks_follow_one_another) {
    auto demands = some_demands();
    const double one_s = evaluate(demands, 2, CrossbarParams{}, Technology{}).total().latency_s;
    for (OperandDemand next : some_demands()) {
        next.operand.layer = LayerId(1);
        demands.push_back(next);
    }
    const PointCost both = evaluate(demands, 2, CrossbarParams{}, Technology{});
    EXPECT_NEAR(both.total().latency_s, 2 * one_s, 1e-15);
    EXPECT_NEAR(both.layers[1].latency_s, both.layers[0].latency_s, 1e-18);
}

TEST(CrossbarCost, layers_and_components_add_up_to_the_same) {
    const PointCost cost = evaluate(some_demands(), 1, CrossbarParams{}, Technology{});
    Cost sum;
    for (const Cost& layer : cost.layers) sum += layer;
    EXPECT_NEAR(sum.energy_J / cost.total().energy_J, 1, 1e-12);
    EXPECT_NEAR(sum.latency_s / cost.total().latency_s, 1, 1e-12);
    const double shared = at(Component::buffer, cost).area_m2 + at(Component::digital, cost).area_m2;
    EXPECT_NEAR((sum.area_m2 + shared) / cost.total().area_m2, 1, 1e-12);
    EXPECT_GT(cost.layers[1].energy_J, 0);  // the head stands outside
}

TEST(CrossbarCost, cells_wear_by_their_pulses) {
    Technology t;
    t.inferences_per_s = 10;
    const PointCost cost = evaluate(some_demands(), 1, CrossbarParams{}, t);
    EXPECT_NEAR(cost.writes_per_cell, 2, 1e-12);
    EXPECT_NEAR(cost.wear_out_years, t.endurance_writes / (cost.writes_per_cell * 10) / (365.25 * 24 * 3600),
                1e-9);
    t.endurance_writes = 0;
    EXPECT_TRUE(std::isinf(evaluate(some_demands(), 1, CrossbarParams{}, t).wear_out_years));
}

/// Doubling a figure changes the component that it is of, and no other.
struct Figure {
    const char* name;
    double Technology::*figure;
    Component component;
    double Cost::*of;
};

const Figure figures[] = {
    {"cell_area", &Technology::cell_area_m2, Component::array, &Cost::area_m2},
    {"cell_read_energy", &Technology::cell_read_energy_J, Component::array, &Cost::energy_J},
    {"array_read_latency", &Technology::array_read_latency_s, Component::array, &Cost::latency_s},
    {"row_driver_area", &Technology::row_driver_area_m2, Component::row_driver, &Cost::area_m2},
    {"row_drive_energy", &Technology::row_drive_energy_J, Component::row_driver, &Cost::energy_J},
    {"adc_energy", &Technology::adc_energy_J, Component::adc, &Cost::energy_J},
    {"adc_area", &Technology::adc_area_m2, Component::adc, &Cost::area_m2},
    {"adc_latency", &Technology::adc_latency_s, Component::adc, &Cost::latency_s},
    {"shift_add_energy", &Technology::shift_add_energy_J, Component::shift_add, &Cost::energy_J},
    {"shift_add_area", &Technology::shift_add_area_m2, Component::shift_add, &Cost::area_m2},
    {"write_energy", &Technology::write_energy_J, Component::write, &Cost::energy_J},
    {"write_latency", &Technology::write_latency_s, Component::write, &Cost::latency_s},
    {"buffer_energy", &Technology::buffer_energy_J_per_B, Component::buffer, &Cost::energy_J},
    {"buffer_area", &Technology::buffer_area_m2_per_B, Component::buffer, &Cost::area_m2},
    {"buffer_capacity", &Technology::buffer_capacity_B, Component::buffer, &Cost::area_m2},
    {"interconnect_energy", &Technology::interconnect_energy_J_per_B, Component::interconnect,
     &Cost::energy_J},
    {"digital_energy", &Technology::digital_energy_J, Component::digital, &Cost::energy_J},
    {"digital_latency", &Technology::digital_latency_s, Component::digital, &Cost::latency_s},
    {"digital_area", &Technology::digital_area_m2, Component::digital, &Cost::area_m2},
};

class EveryFigure : public testing::TestWithParam<Figure> {};

TEST_P(EveryFigure, costs_its_component) {
    const Figure& figure = GetParam();
    Technology doubled;
    doubled.*figure.figure *= 2;
    const PointCost before = evaluate(some_demands(), 1, CrossbarParams{}, Technology{});
    const PointCost after = evaluate(some_demands(), 1, CrossbarParams{}, doubled);
    for (std::size_t i = 0; i < component_count; ++i) {
        for (const auto of : {&Cost::energy_J, &Cost::area_m2, &Cost::latency_s}) {
            const bool is_it = i == static_cast<std::size_t>(figure.component) && of == figure.of;
            const double old_cost = before.components[i].*of, new_cost = after.components[i].*of;
            EXPECT_GE(old_cost, is_it ? 1e-30 : 0);
            EXPECT_DOUBLE_EQ(new_cost, is_it ? 2 * old_cost : old_cost) << component_names[i];
        }
    }
}

INSTANTIATE_TEST_SUITE_P(CrossbarCost, EveryFigure, testing::ValuesIn(figures),
                         [](const auto& info_of) { return std::string(info_of.param.name); });

TEST(CrossbarCost, shared_arrays_hold_copies_that_share_the_inputs) {
    Technology t;
    t.computation_arrays = 10;
    t.columns_per_adc = 128;
    CrossbarParams crossbar;
    crossbar.array_rows = crossbar.array_columns = 128;
    OperandDemand demand{{LayerId(0), Role::mlp_in}, Fidelity::large_small, 1, 4, 50};
    demand.storage_B = 1000;
    demand.activity = {.array_reads = 800,
                       .row_drives = 2400,
                       .conversions = 6400,
                       .cell_writes = 640,
                       .write_pulses = 640,
                       .write_steps = 20};
    demand.activity.storage_B = 3000;
    // 10 arrays have room for two copies of 4.
    const PointCost cost = evaluate(std::span(&demand, 1), 1, crossbar, t);
    EXPECT_NEAR(at(Component::array, cost).latency_s, 100 * t.array_read_latency_s, 1e-15);
    EXPECT_NEAR(at(Component::array, cost).energy_J, 2400 * 128 * t.cell_read_energy_J, 1e-20);
    EXPECT_NEAR(at(Component::adc, cost).latency_s, 800 * t.adc_latency_s, 1e-15);
    EXPECT_NEAR(at(Component::write, cost).latency_s, 2 * 20 / 8.0 * t.write_latency_s, 1e-15);
    EXPECT_NEAR(at(Component::write, cost).energy_J, 2 * 640 * t.write_energy_J, 1e-20);
    EXPECT_NEAR(at(Component::array, cost).area_m2, 10 * 128.0 * 128 * t.cell_area_m2, 1e-18);
    EXPECT_NEAR(at(Component::storage, cost).area_m2, 1000 * 4 * t.storage_cell_area_m2, 1e-20);
    EXPECT_NEAR(at(Component::storage, cost).energy_J, 3000 * t.storage_energy_J_per_B, 1e-20);
    EXPECT_NEAR(cost.writes_per_cell, 2 * 640.0 / (10 * 128 * 128), 1e-12);
}

TEST(CrossbarCost, operands_on_shared_arrays_take_turns) {
    std::vector<OperandDemand> demands;
    for (const Role role : {Role::query, Role::key, Role::value}) {
        demands.push_back({{LayerId(0), role}, Fidelity::large_small, 1, 4});
        demands.back().activity = {
            .array_reads = 800, .cell_writes = 640, .write_pulses = 640, .write_steps = 20};
    }
    const double all_s = evaluate(demands, 1, CrossbarParams{}, Technology{}).total().latency_s;
    demands.resize(1);
    EXPECT_NEAR(all_s, 3 * evaluate(demands, 1, CrossbarParams{}, Technology{}).total().latency_s, 1e-15);
}

TEST(CrossbarCost, chips_are_filled_by_area) {
    Technology t;
    const double area_m2 = evaluate(some_demands(), 1, CrossbarParams{}, t).total().area_m2;
    t.die_area_m2 = area_m2 / 2.5;
    EXPECT_EQ(evaluate(some_demands(), 1, CrossbarParams{}, t).chips, 3);
}

TEST(CrossbarCost, results_of_one_layer_after_the_other_take_the_same_storage) {
    const Technology t;
    std::vector<OperandDemand> demands;
    for (const std::uint32_t layer : {0U, 1U, 1U}) {
        demands.push_back({.operand = {LayerId(layer), Role::mlp_in}, .fidelity = Fidelity::large_small});
        demands.back().storage_B = 1000;
        demands.back().results_B = 100 * (layer + 1);
    }
    const PointCost cost = evaluate(demands, 2, CrossbarParams{}, t);
    EXPECT_NEAR(at(Component::storage, cost).area_m2, (3000 + 400) * 4 * t.storage_cell_area_m2, 1e-20);
}

}  // namespace
}  // namespace crossweep::cost
