#include "crossweep/crossbar/ir_drop.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;

/// Where the cells of parallel lines lie: cell p of line l, p counted from the line's ideal end, at
/// l * line + p * cell.
struct Steps {
    Index line, cell;
};

// Lines are walked side by side, so that their sums, which depend on each other along a line, overlap.
constexpr std::size_t lanes = 16;

/// drop += sum over the segments between a cell and the ideal end of the conductance behind the segment, for
/// `count` <= lanes lines. behind: [cells][lanes], scratch.
CROSSWEEP_MULTIVERSION
void add_drops(const float* __restrict g, Steps g_steps, float* __restrict drop, Steps drop_steps,
               std::size_t count, Index cells, float* __restrict behind) {
    std::array<float, lanes> sum{};
    for (Index p = cells - 1; p >= 0; --p) {
        for (std::size_t lane = 0; lane < count; ++lane) {
            sum[lane] += g[static_cast<Index>(lane) * g_steps.line + p * g_steps.cell];
            behind[static_cast<std::size_t>(p) * lanes + lane] = sum[lane];
        }
    }
    sum = {};
    for (Index p = 0; p < cells; ++p) {
        for (std::size_t lane = 0; lane < count; ++lane) {
            sum[lane] += behind[static_cast<std::size_t>(p) * lanes + lane];
            drop[static_cast<Index>(lane) * drop_steps.line + p * drop_steps.cell] += sum[lane];
        }
    }
}

CROSSWEEP_MULTIVERSION
void divide_kernel(float* __restrict g, const float* __restrict drop, float resistance, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) g[i] /= 1.0F + resistance * drop[i];
}

/// The same for all lines of a matrix whose cell 0 of line 0 is at `g` and `drop`.
void add_drops_of_lines(const float* g, Steps g_steps, float* drop, Steps drop_steps, Index lines,
                        Index cells) {
    std::vector<float> behind(static_cast<std::size_t>(cells) * lanes);
    for (Index first = 0; first < lines; first += static_cast<Index>(lanes)) {
        const auto count = static_cast<std::size_t>(std::min(lines - first, static_cast<Index>(lanes)));
        add_drops(g + first * g_steps.line, g_steps, drop + first * drop_steps.line, drop_steps, count, cells,
                  behind.data());
    }
}

}  // namespace

void apply_ir_drop(linalg::MatrixView conductance_S, Orientation orientation, double wire_resistance_ohm) {
    CROSSWEEP_EXPECT(wire_resistance_ohm >= 0);
    if (wire_resistance_ohm == 0 || conductance_S.size() == 0) return;
    const Index rows = conductance_S.rows(), columns = conductance_S.cols(),
                stride = conductance_S.outerStride();
    const float* g = conductance_S.data();
    std::vector<float> drop(static_cast<std::size_t>(rows * columns), 0.0F);
    // Word lines begin at output 0, bit lines end at the last input.
    if (orientation == Orientation::inputs_by_outputs) {
        add_drops_of_lines(g, {stride, 1}, drop.data(), {columns, 1}, rows, columns);
        add_drops_of_lines(g + (rows - 1) * stride, {1, -stride}, drop.data() + (rows - 1) * columns,
                           {1, -columns}, columns, rows);
    } else {
        add_drops_of_lines(g, {1, stride}, drop.data(), {1, columns}, columns, rows);
        add_drops_of_lines(g + columns - 1, {stride, -1}, drop.data() + columns - 1, {columns, -1}, rows,
                           columns);
    }
    for (Index row = 0; row < rows; ++row)
        divide_kernel(conductance_S.data() + row * stride, drop.data() + row * columns,
                      static_cast<float>(wire_resistance_ohm), static_cast<std::size_t>(columns));
}

}  // namespace crossweep::crossbar
