#include "crossweep/cost/crossbar_cost.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

namespace crossweep::cost {
namespace {

using crossbar::Activity;
using crossbar::Fidelity;
using linalg::Role;
using Components = std::array<Cost, component_count>;

constexpr double seconds_per_year = 365.25 * 24 * 3600;

double real(std::uint64_t count) {
    return static_cast<double>(count);
}

Cost& of(Component component, Components& components) {
    return components[static_cast<std::size_t>(component)];
}

/// A converter of `bits` against one that the figures hold for.
double converter_growth(std::uint32_t bits, const Technology& technology) {
    return std::pow(technology.adc_growth_per_bit,
                    static_cast<double>(bits) - static_cast<double>(technology.adc_bits));
}

bool shares_arrays(const OperandDemand& demand) {
    return demand.fidelity == Fidelity::large_small;
}

double converters_of_array(const crossbar::CrossbarParams& crossbar, const Technology& technology) {
    return std::ceil(static_cast<double>(crossbar.array_columns) / technology.columns_per_adc);
}

double pulses_per_write(const Activity& activity) {
    return activity.cell_writes == 0 ? 1 : real(activity.write_pulses) / real(activity.cell_writes);
}

/// What of the shared arrays works for an operand: as many copies as there is room and input for
/// (assumption), each of which is written.
struct Share {
    double copies = 1, arrays = 1;

    Share(const OperandDemand& demand, const Technology& technology) {
        const double all = technology.computation_arrays, one = std::max(real(demand.arrays), 1.0);
        copies = std::clamp(std::floor(all / one), 1.0, std::max(real(demand.vectors), 1.0));
        arrays = std::min(all, one * copies);
    }
};

/// Columns of an array that one read converts one after the other.
double columns_in_turn(const crossbar::CrossbarParams& crossbar, const Technology& technology) {
    return std::min(technology.columns_per_adc, crossbar.array_columns);
}

/// Reading and writing of an operand that has arrays of its own.
void add_own_arrays(const OperandDemand& demand, const crossbar::CrossbarParams& crossbar,
                    const Technology& t, Components& components) {
    const Activity& activity = demand.activity;
    const double cells = static_cast<double>(crossbar.array_rows) * crossbar.array_columns;
    const double steps = real(activity.read_steps);
    of(Component::array, components).energy_J = real(activity.array_reads) * cells * t.cell_read_energy_J;
    of(Component::array, components).latency_s = steps * t.array_read_latency_s;
    of(Component::adc, components).latency_s = steps * columns_in_turn(crossbar, t) * t.adc_latency_s;
    of(Component::write, components).energy_J = real(activity.write_pulses) * t.write_energy_J;
    of(Component::write, components).latency_s =
        real(activity.write_steps) * pulses_per_write(activity) * t.write_latency_s;
}

/// The same on shared arrays, which all work at it. Rows that are not driven take no energy.
void add_shared_arrays(const OperandDemand& demand, const crossbar::CrossbarParams& crossbar,
                       const Technology& t, Components& components) {
    const Activity& activity = demand.activity;
    const Share share(demand, t);
    of(Component::array, components).energy_J =
        real(activity.row_drives) * crossbar.array_columns * t.cell_read_energy_J;
    of(Component::array, components).latency_s =
        real(activity.array_reads) / share.arrays * t.array_read_latency_s;
    of(Component::adc, components).latency_s =
        real(activity.conversions) / (share.arrays * converters_of_array(crossbar, t)) * t.adc_latency_s;
    of(Component::write, components).energy_J = real(activity.write_pulses) * share.copies * t.write_energy_J;
    of(Component::write, components).latency_s = real(activity.write_steps) * share.copies / share.arrays *
                                                 pulses_per_write(activity) * t.write_latency_s;
}

Components energy_and_latency(const OperandDemand& demand, const crossbar::CrossbarParams& crossbar,
                              const Technology& t) {
    const Activity& activity = demand.activity;
    const std::uint32_t bits = converter_bits(crossbar, demand.bits_per_cell);
    Components components{};
    (shares_arrays(demand) ? add_shared_arrays : add_own_arrays)(demand, crossbar, t, components);
    of(Component::row_driver, components).energy_J = real(activity.row_drives) * t.row_drive_energy_J;
    of(Component::adc, components).energy_J =
        real(activity.conversions) * t.adc_energy_J * converter_growth(bits, t);
    of(Component::shift_add, components).energy_J = real(activity.conversions) * t.shift_add_energy_J;
    of(Component::buffer, components).energy_J = real(activity.buffer_B) * t.buffer_energy_J_per_B;
    of(Component::interconnect, components).energy_J =
        real(activity.interconnect_B) * t.interconnect_energy_J_per_B;
    of(Component::digital, components).energy_J = real(activity.digital_operations) * t.digital_energy_J;
    of(Component::digital, components).latency_s =
        std::ceil(real(activity.digital_operations) / t.digital_lanes) * t.digital_latency_s;
    of(Component::storage, components).energy_J = real(activity.storage_B) * t.storage_energy_J_per_B;
    return components;
}

/// Area of `arrays` arrays with their drivers and converters.
Components area_of(double arrays, std::uint32_t bits_per_cell, const crossbar::CrossbarParams& crossbar,
                   const Technology& t) {
    const double cells = static_cast<double>(crossbar.array_rows) * crossbar.array_columns;
    const double converters = converters_of_array(crossbar, t);
    const double growth = converter_growth(converter_bits(crossbar, bits_per_cell), t);
    Components components{};
    of(Component::array, components).area_m2 = arrays * cells * t.cell_area_m2;
    of(Component::row_driver, components).area_m2 = arrays * crossbar.array_rows * t.row_driver_area_m2;
    of(Component::adc, components).area_m2 = arrays * converters * t.adc_area_m2 * growth;
    of(Component::shift_add, components).area_m2 = arrays * converters * t.shift_add_area_m2;
    return components;
}

Components& operator+=(Components& sum, const Components& more) {
    for (std::size_t i = 0; i < component_count; ++i) sum[i] += more[i];
    return sum;
}

Cost sum_of(const Components& components) {
    Cost sum;
    for (const Cost& component : components) sum += component;
    return sum;
}

double latency_of(const Components& components) {
    return sum_of(components).latency_s;
}

std::size_t layer_of(const OperandDemand& demand, std::size_t depth) {
    const Role role = demand.operand.role;
    const bool is_outside = role == Role::embedding || role == Role::head || role == Role::selector;
    return is_outside ? depth : std::min<std::size_t>(demand.operand.layer.value(), depth);
}

/// What is done at the same time within a block.
enum class Together { nothing, projecting, writing };

/// Operands that share arrays take turns.
Together together_of(const OperandDemand& demand) {
    const Role role = demand.operand.role;
    const bool is_projection = role == Role::query || role == Role::key || role == Role::value;
    return is_projection && !shares_arrays(demand) ? Together::projecting : Together::nothing;
}

/// One operand at work, or the writing of one to arrays of its own.
struct Task {
    std::size_t layer;
    Together together;
    Components components;
};

/// Of what is done at the same time, only the slowest takes time.
void keep_slowest(std::vector<Task>& tasks) {
    std::map<std::pair<std::size_t, Together>, Task*> slowest;
    for (Task& task : tasks) {
        if (task.together == Together::nothing) continue;
        const auto [known, is_first] = slowest.try_emplace({task.layer, task.together}, &task);
        if (is_first) continue;
        const bool is_slower = latency_of(task.components) > latency_of(known->second->components);
        Task& faster = is_slower ? *std::exchange(known->second, &task) : task;
        for (Cost& component : faster.components) component.latency_s = 0;
    }
}

/// The area that belongs to no operand. `shared_bits` per cell of the shared arrays; 0: there are none.
Components shared_area(std::uint32_t shared_bits, double stored_B, const crossbar::CrossbarParams& crossbar,
                       const Technology& t) {
    Components components{};
    if (shared_bits > 0) {
        components = area_of(t.computation_arrays, shared_bits, crossbar, t);
        of(Component::storage, components).area_m2 =
            stored_B * 8 / t.storage_bits_per_cell * t.storage_cell_area_m2;
    }
    of(Component::buffer, components).area_m2 = t.buffer_capacity_B * t.buffer_area_m2_per_B;
    of(Component::digital, components).area_m2 = t.digital_lanes * t.digital_area_m2;
    return components;
}

/// Years until `writes_per_cell` writes for every inference have used up what a cell bears.
double years_to_wear_out(double writes_per_cell, double latency_s, const Technology& t) {
    if (t.endurance_writes == 0 || writes_per_cell == 0) return std::numeric_limits<double>::infinity();
    const double inferences_per_s = t.inferences_per_s > 0 ? t.inferences_per_s : 1 / latency_s;
    return t.endurance_writes / (writes_per_cell * inferences_per_s) / seconds_per_year;
}

}  // namespace

Cost& Cost::operator+=(const Cost& other) {
    energy_J += other.energy_J;
    area_m2 += other.area_m2;
    latency_s += other.latency_s;
    return *this;
}

Cost PointCost::total() const {
    return sum_of(components);
}

std::uint32_t converter_bits(const crossbar::CrossbarParams& crossbar, std::uint32_t bits_per_cell) {
    if (crossbar.adc_bits > 0) return crossbar.adc_bits;
    const std::uint64_t largest =
        std::uint64_t{crossbar.array_rows} * ((1U << bits_per_cell) - 1) * ((1U << crossbar.dac_bits) - 1);
    return static_cast<std::uint32_t>(std::bit_width(largest));
}

PointCost evaluate(std::span<const OperandDemand> demands, std::size_t depth,
                   const crossbar::CrossbarParams& crossbar, const Technology& technology) {
    PointCost cost;
    cost.layers.resize(depth + 1);
    std::vector<Task> tasks;
    std::vector<double> results_B(depth + 1);  // [layer]; one after the other takes the same cells
    double stored_B = 0, written_cells = 0;
    std::uint32_t shared_bits = 0;
    for (const OperandDemand& demand : demands) {
        const std::size_t layer = layer_of(demand, depth);
        Task task{layer, together_of(demand), energy_and_latency(demand, crossbar, technology)};
        double copies = 1;
        if (shares_arrays(demand)) {
            copies = Share(demand, technology).copies;
            shared_bits = std::max(shared_bits, demand.bits_per_cell);
        } else {
            Task writing{layer, Together::writing, {}};
            std::swap(of(Component::write, writing.components), of(Component::write, task.components));
            tasks.push_back(writing);
            task.components += area_of(real(demand.arrays), demand.bits_per_cell, crossbar, technology);
            cost.arrays += real(demand.arrays);
        }
        tasks.push_back(task);
        cost.array_reads += real(demand.activity.array_reads);
        cost.conversions += real(demand.activity.conversions);
        cost.cell_writes += real(demand.activity.cell_writes) * copies;
        cost.write_pulses += real(demand.activity.write_pulses) * copies;
        stored_B += real(demand.storage_B);
        results_B[layer_of(demand, depth)] += real(demand.results_B);
        written_cells += real(demand.written_cells);
    }
    keep_slowest(tasks);
    for (const Task& task : tasks) {
        cost.components += task.components;
        cost.layers[task.layer] += sum_of(task.components);
    }
    stored_B += std::ranges::max(results_B);
    cost.components += shared_area(shared_bits, stored_B, crossbar, technology);
    if (shared_bits > 0) {
        cost.arrays += technology.computation_arrays;
        written_cells +=
            static_cast<double>(technology.computation_arrays) * crossbar.array_rows * crossbar.array_columns;
    }
    cost.chips = std::ceil(cost.total().area_m2 / technology.die_area_m2);
    cost.writes_per_cell = written_cells > 0 ? cost.write_pulses / written_cells : 0;
    cost.wear_out_years = years_to_wear_out(cost.writes_per_cell, cost.total().latency_s, technology);
    return cost;
}

}  // namespace crossweep::cost
