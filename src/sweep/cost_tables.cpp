#include "cost_tables.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>

namespace crossweep::sweep {
namespace {

constexpr PartCost unknown{std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN(),
                           std::numeric_limits<double>::quiet_NaN()};

template <class Of>
struct Figure {
    const char* name;
    double Of::*member;
    const char* units;
    const char* long_name;
};

constexpr std::array figures_of_parts{
    Figure<PartCost>{"energy_J", &PartCost::energy_J, "J", "energy of one input"},
    Figure<PartCost>{"area_m2", &PartCost::area_m2, "m2", "area"},
    Figure<PartCost>{"latency_s", &PartCost::latency_s, "s", "latency of one input"},
};

constexpr std::array figures_of_points{
    Figure<CostOfPoint>{"chips", &CostOfPoint::chips, "1", "dies that the area takes"},
    Figure<CostOfPoint>{"arrays", &CostOfPoint::arrays, "1", "arrays, columns for signs included"},
    Figure<CostOfPoint>{"array_reads", &CostOfPoint::array_reads, "1", "reads of one array for one input"},
    Figure<CostOfPoint>{"conversions", &CostOfPoint::conversions, "1", "column sums converted for one input"},
    Figure<CostOfPoint>{"cell_writes", &CostOfPoint::cell_writes, "1", "cells written for one input"},
    Figure<CostOfPoint>{"write_pulses", &CostOfPoint::write_pulses, "1",
                        "write pulses for one input, repetitions included"},
    Figure<CostOfPoint>{"writes_per_cell", &CostOfPoint::writes_per_cell, "1",
                        "writes of one cell for one input, of cells that inputs are written to"},
    Figure<CostOfPoint>{"wear_out_years", &CostOfPoint::wear_out_years, "year",
                        "time until cells have borne all writes that they can"},
};

/// Block by block, NaN where a model has fewer blocks than others of the study; last what is outside blocks.
std::vector<PartCost> aligned(const std::vector<PartCost>& layers, std::size_t count) {
    std::vector<PartCost> row(count, unknown);
    if (layers.empty()) return row;
    std::copy(layers.begin(), layers.end() - 1, row.begin());
    row.back() = layers.back();
    return row;
}

/// Three tables `prefix`NAME of `parts(point)`.
void put_parts(LabelledFile& file, const StudyDescription& study, const std::string& prefix,
               const Dimensions& dimensions, const std::string& meaning, auto&& parts) {
    for (const auto& figure : figures_of_parts) {
        std::vector<double> values;
        for (const CostOfPoint& point : study.costs) {
            for (const PartCost& part : parts(point)) values.push_back(part.*figure.member);
        }
        file.put(prefix + figure.name, values, dimensions, figure.units, figure.long_name + meaning);
    }
}

}  // namespace

PartCost CostOfPoint::total() const {
    PartCost sum;
    for (const PartCost& part : components) {
        for (const auto& figure : figures_of_parts) sum.*figure.member += part.*figure.member;
    }
    return sum;
}

void write_costs(LabelledFile& file, const StudyDescription& study, const Dimension& point,
                 const Dimensions& grid) {
    if (study.costs.empty()) return;
    const Dimension component{"/cost/component", study.cost_components.size()};
    file.put(component.scale, study.cost_components, {component}, "1", "component of the hardware");
    std::size_t most = 0;
    for (const CostOfPoint& cost : study.costs) most = std::max(most, cost.layers.size());
    const Dimension layer{"/cost/cost_layer", most};
    std::vector<std::string> names;
    for (std::size_t block = 0; block + 1 < most; ++block) names.push_back(std::to_string(block));
    names.emplace_back("outside");
    file.put(layer.scale, names, {layer}, "1", "encoder block, or everything outside the blocks");

    put_parts(file, study, "/cost/", {point, component}, " by component",
              std::mem_fn(&CostOfPoint::components));
    put_parts(file, study, "/cost/layer_", {point, layer}, " by layer",
              [&](const CostOfPoint& cost) { return aligned(cost.layers, most); });
    for (const auto& figure : figures_of_points) {
        std::vector<double> values;
        for (const CostOfPoint& cost : study.costs) values.push_back(cost.*figure.member);
        file.put(std::string("/cost/") + figure.name, values, {point}, figure.units, figure.long_name);
    }

    put_parts(file, study, "/surfaces/", grid, ", all components",
              [](const CostOfPoint& cost) { return std::array{cost.total()}; });
    std::vector<double> energy_delay;
    for (const CostOfPoint& cost : study.costs)
        energy_delay.push_back(cost.total().energy_J * cost.total().latency_s);
    file.put("/surfaces/energy_delay_Js", energy_delay, grid, "J s", "energy times latency of one input");
}

}  // namespace crossweep::sweep
