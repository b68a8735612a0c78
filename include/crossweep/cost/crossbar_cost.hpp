// Energy, area and latency of one input on crossbars, by component and by layer, from counts and figures.
//
// Energy is count times figure. Area is that of the arrays that operands take for themselves (or share), with
// their drivers and converters, of the buffer and of the digital unit. Latency: operands follow one another,
// but W_Q, W_K and W_V read at the same time, and K and V are written at the same time; inputs of a product
// follow one another through arrays that all read at once. Moving data, driving rows, shifting and adding
// hide behind reads (assumption).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "crossweep/cost/technology.hpp"
#include "crossweep/crossbar/activity.hpp"
#include "crossweep/crossbar/crossbar_params.hpp"

namespace crossweep::cost {

/// What costs; `component_names` in the same order.
enum class Component { array, row_driver, adc, shift_add, write, buffer, interconnect, digital, storage };
inline constexpr std::size_t component_count = 9;
inline constexpr std::array<std::string_view, component_count> component_names{
    "array", "row_driver", "adc", "shift_add", "write", "buffer", "interconnect", "digital", "storage"};

/// What one operand of one layer does for one input, and the hardware that it takes for itself.
struct OperandDemand {
    crossbar::OperandOfLayer operand;
    crossbar::Fidelity fidelity = crossbar::Fidelity::digital;
    std::uint32_t bits_per_cell = 1;
    /// Columns for signs included. At level large_small arrays are shared: those that one copy fills.
    std::uint64_t arrays = 0;
    std::uint64_t vectors = 1;        ///< input vectors; as many copies on shared arrays can work at once
    std::uint64_t written_cells = 0;  ///< of these arrays, those that are written for every input
    std::uint64_t storage_B = 0;      ///< that storage crossbars hold for it
    crossbar::Activity activity = {};
    /// Of results that storage crossbars hold until the layer is done (large_small).
    std::uint64_t results_B = 0;
};

struct Cost {
    double energy_J = 0;
    double area_m2 = 0;
    double latency_s = 0;
    Cost& operator+=(const Cost& other);
};

/// Of one input.
struct PointCost {
    std::array<Cost, component_count> components{};
    /// [block], and one more for what stands before and behind the blocks. Shared hardware (buffer, digital
    /// unit, shared arrays) belongs to no layer: its area is missing in their sum.
    std::vector<Cost> layers;
    double arrays = 0;  ///< of operands and shared
    double chips = 0;   ///< dies that the area fills
    double array_reads = 0, conversions = 0, cell_writes = 0, write_pulses = 0;
    double writes_per_cell = 0;  ///< of the cells written for every input, with repetitions, on average
    double wear_out_years = 0;   ///< until those cells have borne all that they can; infinite if none wears

    Cost total() const;
};

/// Cost of the operands together, `depth` blocks.
PointCost evaluate(std::span<const OperandDemand> demands, std::size_t depth,
                   const crossbar::CrossbarParams& crossbar, const Technology& technology);

/// Bits of the converters: as configured, or, where conversions are exact, as many as a full column needs.
std::uint32_t converter_bits(const crossbar::CrossbarParams& crossbar, std::uint32_t bits_per_cell);

}  // namespace crossweep::cost
