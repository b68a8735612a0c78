// The technology files that ship, what is wrong in others, and the published figures that they lead to.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "crossweep/config/study.hpp"
#include "crossweep/core/error.hpp"
#include "crossweep/cost/crossbar_cost.hpp"
#include "crossweep/crossbar/activity_counter.hpp"

namespace crossweep::config {
namespace {

using cost::Component;
using cost::Cost;
using cost::OperandDemand;
using cost::PointCost;
using cost::Technology;
using crossbar::Activity;
using crossbar::ActivityCounter;
using crossbar::CrossbarParams;
using crossbar::Fidelity;
using crossbar::OperandTable;
using linalg::Role;

constexpr double micro2 = 1e-12, pico = 1e-12, nano = 1e-9;

std::string study_with(const std::string& technology_table, const std::string& device_table = "") {
    return "[model]\nweights = \"x\"\n[data]\nimages = \"x\"\n[device]\n" + device_table + "[technology]\n" +
           technology_table;
}

Technology technology_of(const std::string& name) {
    const std::string file = CROSSWEEP_SOURCE_DIR "/configs/technology/" + name + ".toml";
    return parse_study(study_with("file = \"" + file + "\"\n", "bits_per_cell = 1\n"), "study.toml")
        .base.technology;
}

std::string problems_of(const std::string& study) {
    try {
        parse_study(study, "study.toml");
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "";
}

TEST(Technology, defaults_are_those_of_the_shipped_file) {
    EXPECT_TRUE(technology_of("rram_32nm") == Technology{});
}

TEST(Technology, keys_beside_the_file_replace_its_own) {
    const std::string file = CROSSWEEP_SOURCE_DIR "/configs/technology/pcm.toml";
    const Technology t =
        parse_study(study_with("file = \"" + file + "\"\nwrite_energy_J = 3e-11\n"), "study.toml")
            .base.technology;
    EXPECT_EQ(t.name, "pcm");
    EXPECT_EQ(t.write_energy_J, 3e-11);
}

TEST(Technology, says_what_is_wrong) {
    EXPECT_EQ(
        problems_of(study_with("adc_energi_J = 1e-12\n")),
        "study.toml:7:1: unknown key \"technology.adc_energi_J\"; did you mean \"technology.adc_energy_J\"?");
    EXPECT_EQ(
        problems_of(study_with("adc_energy_J = 0\n")),
        "study.toml:7:16: technology.adc_energy_J = 0 is not positive (energy in joules). Give a value above "
        "0.");
    EXPECT_EQ(problems_of(study_with("cell_area_m2 = -1e-14\n")),
              "study.toml:7:16: technology.cell_area_m2 = -1e-14 is not positive (area in square metres). "
              "Give a value "
              "above 0.");
    EXPECT_EQ(problems_of(study_with("most_bits_per_cell = 1\n", "bits_per_cell = 2\n")),
              "study.toml:6:17: device.bits_per_cell = 2 is more than a cell of rram_32nm holds "
              "(technology.most_bits_per_cell = 1). Lower it, or give another technology.");
}

TEST(Technology, file_without_a_figure_is_refused) {
    const std::string file = testing::TempDir() + "technology_without.toml";
    std::ifstream shipped(CROSSWEEP_SOURCE_DIR "/configs/technology/sram_32nm.toml");
    std::ofstream cut(file);
    for (std::string line; std::getline(shipped, line);)
        if (!line.starts_with("adc_energy_J")) cut << line << "\n";
    cut.close();
    EXPECT_EQ(
        problems_of(study_with("file = \"" + file + "\"\n", "bits_per_cell = 1\n")),
        file +
            ":1:1: adc_energy_J is missing (energy in joules). Give it: a technology file has all keys of "
            "[technology].");
}

TEST(Technology, changes_no_record) {
    const Study cheap = parse_study(study_with("adc_energy_J = 1e-15\n"), "study.toml");
    const Study dear = parse_study(study_with("adc_energy_J = 1e-11\n"), "study.toml");
    EXPECT_EQ(identity(cheap.base), identity(dear.base));
    EXPECT_TRUE(differences(cheap.resolved_toml, dear.resolved_toml).empty());
    // A study of before has no such table.
    const std::string before = dear.resolved_toml.substr(0, dear.resolved_toml.find("[technology]"));
    EXPECT_TRUE(differences(before, dear.resolved_toml).empty());
}

/// Components, and what else is told of a point.
std::vector<double> numbers_of(const PointCost& of) {
    std::vector<double> numbers{of.arrays, of.chips, of.writes_per_cell, of.wear_out_years};
    for (const Cost& component : of.components)
        numbers.insert(numbers.end(), {component.energy_J, component.area_m2, component.latency_s});
    return numbers;
}

/// An operand with arrays of its own and one on shared arrays, with some of everything.
std::vector<double> costs_of_everything(const std::string& technology_table) {
    Activity some{.array_reads = 1000,
                  .row_drives = 64000,
                  .conversions = 64000,
                  .read_steps = 8,
                  .cell_writes = 4096,
                  .write_pulses = 8192,
                  .write_steps = 64};
    some.buffer_B = some.interconnect_B = some.storage_B = some.digital_operations = 10000;
    std::vector<OperandDemand> demands(2);
    demands[0].operand = {LayerId(0), Role::written_keys};
    demands[0].fidelity = Fidelity::circuit;
    demands[1].operand = {LayerId(0), Role::mlp_in};
    demands[1].fidelity = Fidelity::large_small;
    for (OperandDemand& demand : demands) {
        demand.arrays = demand.vectors = 10;
        demand.written_cells = 4096;
        demand.storage_B = 1000;
        demand.activity = some;
    }
    CrossbarParams crossbar;
    crossbar.adc_bits = 5;  // other than that of the figures, so that growth matters
    const Study study = parse_study(study_with(technology_table), "study.toml");
    return numbers_of(cost::evaluate(demands, 1, crossbar, study.base.technology));
}

// test_every_key.py says the same of the keys that decide records.
TEST(Technology, every_figure_changes_some_cost) {
    const std::map<std::string, std::string> base{{"die_area_m2", "1e-9"}, {"inferences_per_s", "1e6"}};
    const auto text_with = [&](const std::string& key, const std::string& value) {
        auto table = base;
        table[key] = value;
        std::string text;
        for (const auto& [name, given] : table) text += name + " = " + given + "\n";
        return text;
    };
    const std::vector<double> before = costs_of_everything(text_with("adc_bits", "6"));
    std::size_t figures = 0;
    for (const KeyValue& value : key_values(Settings{})) {
        const std::string table = "technology.";
        const std::string key = value.key.substr(std::min(table.size(), value.key.size()));
        // What a cell can hold is a limit, not a cost.
        if (!value.key.starts_with(table) || !value.number || key == "most_bits_per_cell") continue;
        const double other = base.contains(key) ? 2 * std::stod(base.at(key)) : 2 * *value.number;
        EXPECT_NE(costs_of_everything(text_with(key, fmt::format("{}", other))), before) << key;
        ++figures;
    }
    EXPECT_GT(figures, 0U);
}

/// One read of one full array.
OperandDemand one_read(const CrossbarParams& crossbar) {
    OperandDemand demand{{LayerId(0), Role::query}, Fidelity::circuit, 2, 1};
    demand.activity.array_reads = demand.activity.read_steps = 1;
    demand.activity.row_drives = crossbar.array_rows;
    demand.activity.conversions = crossbar.array_columns;
    return demand;
}

const Cost& at(Component component, const PointCost& of) {
    return of.components[static_cast<std::size_t>(component)];
}

/// What an array takes with its converters, without buffer and digital unit.
Cost array_alone(const PointCost& of) {
    return of.layers.front();
}

TEST(Technology, read_of_a_64x64_array_adds_up_to_the_published_figures) {
    const CrossbarParams crossbar;
    const std::array demands{one_read(crossbar)};
    const Cost rram = array_alone(cost::evaluate(demands, 1, crossbar, technology_of("rram_32nm")));
    EXPECT_NEAR(rram.energy_J / pico, 24.6, 0.05);
    EXPECT_NEAR(rram.area_m2 / micro2, 11051, 5);
    EXPECT_NEAR(rram.latency_s / nano, 17.3, 0.01);
    const Cost sram = array_alone(cost::evaluate(demands, 1, crossbar, technology_of("sram_32nm")));
    EXPECT_NEAR(sram.energy_J / pico, 29.6, 0.1);
    EXPECT_NEAR(sram.area_m2 / micro2, 12364, 10);
}

TEST(Technology, a_bit_less_comes_near_the_published_figures_of_five_bits) {
    CrossbarParams crossbar;
    crossbar.adc_bits = 5;
    const std::array demands{one_read(crossbar)};
    const Cost read = array_alone(cost::evaluate(demands, 1, crossbar, Technology{}));
    EXPECT_NEAR(read.energy_J / pico, 15.8, 0.03 * 15.8);
    EXPECT_NEAR(read.area_m2 / micro2, 5809, 0.07 * 5809);
}

// ClipFormer, section on hardware: attention of a DeiT-S encoder, 197 tokens, d 384, 6 heads.
struct Attention {
    double arrays = 0;
    PointCost total;
};

Attention attention_of_deit_s(double alpha, double beta, std::uint32_t bits_per_cell,
                              const Technology& technology) {
    CrossbarParams crossbar;
    OperandTable operands;
    operands.fill({Fidelity::circuit, {}});
    for (auto& operand : operands) operand.device.bits_per_cell = bits_per_cell;
    transform::TransformParams clip;
    clip.alpha = alpha;
    clip.beta = beta;
    const ActivityCounter counter(crossbar, clip, operands);
    std::vector<OperandDemand> demands;
    for (const Role role : {Role::query, Role::key, Role::value}) {
        const crossbar::ProductShape shape{role, 197, 384, 384, 64};
        demands.push_back({{LayerId(0), role},
                           Fidelity::circuit,
                           bits_per_cell,
                           counter.arrays_of(shape),
                           197,
                           0,
                           0,
                           counter.of_product(shape)});
    }
    for (const Role role : {Role::written_keys, Role::written_values}) {
        const crossbar::WrittenShape shape{role, 197, 197, 384, 64};
        Activity activity = counter.of_writing(shape, 197);
        activity += counter.of_reading(shape);
        demands.push_back({{LayerId(0), role},
                           Fidelity::circuit,
                           bits_per_cell,
                           counter.arrays_of(shape),
                           197,
                           activity.cell_writes,
                           0,
                           activity});
    }
    Attention attention;
    attention.total = cost::evaluate(demands, 1, crossbar, technology);
    attention.arrays = attention.total.arrays / 2;  // the paper counts no second column for signs
    return attention;
}

/// Arrays with their converters, without the buffer and the digital unit.
double area_m2(const Attention& attention) {
    return attention.total.layers.front().area_m2;
}

double read_energy_J(const Attention& attention) {
    double sum = 0;
    for (const Component component :
         {Component::array, Component::row_driver, Component::adc, Component::shift_add})
        sum += at(component, attention.total).energy_J;
    return sum;
}

TEST(ClipFormerCost, strong_clipping_saves_a_slice_of_k_and_v) {
    const Attention plain = attention_of_deit_s(0, 1, 2, Technology{});
    const Attention clipped = attention_of_deit_s(2, 0.25, 2, Technology{});
    EXPECT_EQ(plain.arrays, 624);
    EXPECT_EQ(clipped.arrays, 576);
    EXPECT_NEAR(area_m2(clipped) / area_m2(plain), 1 - 0.0769, 1e-4);
    RecordProperty("area", std::to_string(area_m2(clipped) / area_m2(plain) - 1));
    RecordProperty("read_energy", std::to_string(read_energy_J(clipped) / read_energy_J(plain) - 1));
    // V is read in 7 cycles, its probabilities have no sign; the paper counts all operands alike.
    EXPECT_NEAR(read_energy_J(clipped) / read_energy_J(plain), 1 - 0.0769, 0.01);
}

TEST(ClipFormerCost, resistive_memory_beside_sram) {
    const Attention rram = attention_of_deit_s(0, 1, 2, technology_of("rram_32nm"));
    const Attention sram = attention_of_deit_s(0, 1, 1, technology_of("sram_32nm"));
    RecordProperty("area", std::to_string(area_m2(sram) / area_m2(rram)));
    RecordProperty("energy", std::to_string(read_energy_J(sram) / read_energy_J(rram)));
    EXPECT_EQ(sram.arrays, 2 * rram.arrays);  // twice the slices
    EXPECT_NEAR(area_m2(sram) / area_m2(rram), 2 * 12364.0 / 11051, 0.01);
    EXPECT_NEAR(read_energy_J(sram) / read_energy_J(rram), 2 * 29.6 / 24.6, 0.05);
}

}  // namespace
}  // namespace crossweep::config
