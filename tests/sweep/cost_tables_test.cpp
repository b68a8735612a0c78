// What points cost, as results.h5 has it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "crossweep/io/hdf5_file.hpp"
#include "crossweep/sweep/results.hpp"
#include "io/temporary_folder.hpp"
#include "sweep/coin_toss.hpp"

namespace crossweep::sweep {
namespace {

using io::Hdf5File;
using testing::DoubleEq;
using testing::ElementsAre;
using Shape = std::vector<std::size_t>;

constexpr double never = std::numeric_limits<double>::infinity();

/// Two components, two blocks.
CostOfPoint small_chip() {
    return {.components = {{1e-6, 2e-6, 3e-3}, {4e-6, 5e-6, 6e-3}},
            .layers = {{1e-6, 1e-6, 1e-3}, {2e-6, 2e-6, 2e-3}, {2e-6, 4e-6, 6e-3}},
            .chips = 2,
            .arrays = 10,
            .array_reads = 20,
            .conversions = 30,
            .cell_writes = 40,
            .write_pulses = 50,
            .writes_per_cell = 1.25,
            .wear_out_years = 0.5};
}

/// Twice as much of everything, in one block, and cells that never wear out.
CostOfPoint large_chip() {
    CostOfPoint cost = small_chip();
    for (PartCost& part : cost.components) part = {2 * part.energy_J, 2 * part.area_m2, 2 * part.latency_s};
    cost.layers = {{4e-6, 4e-6, 4e-3}, {6e-6, 10e-6, 14e-3}};
    cost.wear_out_years = never;
    return cost;
}

/// Two points along one axis, none of which has records yet.
class CostTables : public testing::Test {
  protected:
    CostTables() {
        study_.axes = {{{"crossbar.array_rows", {"64", "128"}, {64, 128}}, {}}};
        study_.parameters = {{"technology.buffer_energy_J_per_B", {}, {1, 1}},
                             {"technology.cell_area_m2", {}, {1, 1}},
                             {"technology.inferences_per_s", {}, {0, 0}},
                             {"technology.columns_per_adc", {}, {8, 8}}};
        study_.images = {0};
        study_.labels = {0};
        study_.points = 2;
        study_.references = 1;
        study_.reference_of_point = {0, 0};
        study_.chip_noise.assign(2, ChipNoise::none);
        study_.cost_components = {"array", "adc"};
        study_.costs = {small_chip(), large_chip()};
    }

    Hdf5File write() {
        const Workload workload{{{1, 1}, {2, 2}, {3, 3}}, {0, 0, 0}, {false, false, true}, 1, 1, 32};
        write_results(path_, study_, census_of(workload, {}), [](const auto&) {});
        return {path_, Hdf5File::Mode::read};
    }

    io::TemporaryFolder folder_;
    std::filesystem::path path_ = folder_ / "results.h5";
    StudyDescription study_;
};

TEST_F(CostTables, have_a_row_for_every_point_by_component_and_by_layer) {
    const Hdf5File file = write();
    EXPECT_THAT(file.read<std::string>("/cost/component"), ElementsAre("array", "adc"));
    EXPECT_EQ(file.shape("/cost/energy_J"), (Shape{2, 2}));
    EXPECT_THAT(file.read<double>("/cost/energy_J"), ElementsAre(1e-6, 4e-6, 2e-6, 8e-6));
    EXPECT_THAT(file.read<double>("/cost/area_m2"), ElementsAre(2e-6, 5e-6, 4e-6, 10e-6));
    EXPECT_THAT(file.read<double>("/cost/latency_s"), ElementsAre(3e-3, 6e-3, 6e-3, 12e-3));
    EXPECT_THAT(file.read<std::string>("/cost/cost_layer"), ElementsAre("0", "1", "outside"));
    EXPECT_EQ(file.shape("/cost/layer_area_m2"), (Shape{2, 3}));
    // The second model has one block only.
    EXPECT_THAT(file.read<double>("/cost/layer_energy_J"),
                ElementsAre(1e-6, 2e-6, 2e-6, 4e-6, testing::IsNan(), 6e-6));
    EXPECT_THAT(file.read<double>("/cost/layer_latency_s"),
                ElementsAre(1e-3, 2e-3, 6e-3, 4e-3, testing::IsNan(), 14e-3));
}

TEST_F(CostTables, count_what_arrays_and_cells_do) {
    const Hdf5File file = write();
    EXPECT_THAT(file.read<double>("/cost/chips"), ElementsAre(2, 2));
    EXPECT_THAT(file.read<double>("/cost/arrays"), ElementsAre(10, 10));
    EXPECT_THAT(file.read<double>("/cost/array_reads"), ElementsAre(20, 20));
    EXPECT_THAT(file.read<double>("/cost/conversions"), ElementsAre(30, 30));
    EXPECT_THAT(file.read<double>("/cost/cell_writes"), ElementsAre(40, 40));
    EXPECT_THAT(file.read<double>("/cost/write_pulses"), ElementsAre(50, 50));
    EXPECT_THAT(file.read<double>("/cost/writes_per_cell"), ElementsAre(1.25, 1.25));
    EXPECT_THAT(file.read<double>("/cost/wear_out_years"), ElementsAre(0.5, never));
    EXPECT_EQ(file.members("/cost").size(), 2U + 6 + 8);
}

TEST_F(CostTables, make_surfaces_of_the_sums_over_components) {
    const Hdf5File file = write();
    EXPECT_EQ(file.shape("/surfaces/energy_J"), Shape{2});
    EXPECT_THAT(file.read<double>("/surfaces/energy_J"), ElementsAre(DoubleEq(5e-6), DoubleEq(1e-5)));
    EXPECT_THAT(file.read<double>("/surfaces/area_m2"), ElementsAre(DoubleEq(7e-6), DoubleEq(14e-6)));
    EXPECT_THAT(file.read<double>("/surfaces/latency_s"), ElementsAre(DoubleEq(9e-3), DoubleEq(18e-3)));
    EXPECT_THAT(file.read<double>("/surfaces/energy_delay_Js"),
                ElementsAre(DoubleEq(4.5e-8), DoubleEq(1.8e-7)));
}

TEST_F(CostTables, have_units_and_names) {
    const Hdf5File file = write();
    for (const std::string table : {"/cost/", "/cost/layer_", "/surfaces/"}) {
        EXPECT_EQ(file.text_attribute(table + "energy_J", "units"), "J");
        EXPECT_EQ(file.text_attribute(table + "area_m2", "units"), "m2");
        EXPECT_EQ(file.text_attribute(table + "latency_s", "units"), "s");
    }
    EXPECT_EQ(file.text_attribute("/cost/wear_out_years", "units"), "year");
    EXPECT_EQ(file.text_attribute("/surfaces/energy_delay_Js", "units"), "J s");
    for (const std::string& name : file.members("/cost"))
        EXPECT_TRUE(file.has_attribute("/cost/" + name, "long_name")) << name;
}

TEST_F(CostTables, are_missing_where_costs_are_not_known) {
    study_.costs.clear();
    study_.cost_components.clear();
    const Hdf5File file = write();
    EXPECT_FALSE(file.contains("/cost"));
    EXPECT_FALSE(file.contains("/surfaces/energy_J"));
}

TEST_F(CostTables, change_no_content_hash) {
    const std::string with = write().text_attribute("/", "content_hash");
    study_.costs.clear();
    EXPECT_EQ(write().text_attribute("/", "content_hash"), with);
}

TEST_F(CostTables, give_keys_of_a_technology_the_units_in_their_names) {
    const Hdf5File file = write();
    const auto units = [&](const std::string& key) { return file.text_attribute("/points/" + key, "units"); };
    EXPECT_EQ(units("technology.buffer_energy_J_per_B"), "J/B");
    EXPECT_EQ(units("technology.cell_area_m2"), "m2");
    EXPECT_EQ(units("technology.inferences_per_s"), "1/s");
    EXPECT_EQ(units("technology.columns_per_adc"), "1");
}

}  // namespace
}  // namespace crossweep::sweep
