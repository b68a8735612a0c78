// How long a machine takes at best: as long as it computes, moves what the computation needs, or, on
// crossbars, sends one vector after the other through a matrix that stands on its cells.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "crossweep/cost/memory_wall.hpp"

namespace crossweep::cost {

/// A processor with its memory (configs/hardware). Figures are for elements of one byte.
struct Hardware {
    std::string name;  ///< of its file
    std::string description;
    std::string source;  ///< of the figures
    double peak_flop_per_s = 0;
    double bandwidth_B_per_s = 0;
    bool keeps_weights = false;  ///< weights stay where they are multiplied, as on crossbars
    bool keeps_cache = false;    ///< so do keys and values, once written
    /// At least this long takes the product of one vector with a matrix that stays: only the arrays of that
    /// matrix work at it. 0: all of the machine does, as fast as the peak says.
    double vector_product_s = 0;
    // For comparison with crossbars; 0: not known.
    double die_area_m2 = 0;
    double power_W = 0;  ///< while it computes

    /// Intensity from which on computing takes longer than moving.
    double ridge_flop_per_B() const { return peak_flop_per_s / bandwidth_B_per_s; }
};

/// What `operation` moves on that machine.
double moved_B(const OperationCost& operation, const Hardware& hardware);

/// What takes longest, `bound_names` in the same order.
enum class Bound { computing, moving, vector_products };
inline constexpr std::array<std::string_view, 3> bound_names{"computing", "moving", "vector_products"};
Bound bound(const OperationCost& operation, const Hardware& hardware);

/// The longest of computing, moving and sending vectors, which overlap within a class of operations.
double latency_s(const OperationCost& operation, const Hardware& hardware);
/// One class after the other.
double latency_s(const TransformerCost& cost, const Hardware& hardware);

}  // namespace crossweep::cost
