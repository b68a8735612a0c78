#include "crossweep/crossbar/activity_counter.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "crossweep/core/error.hpp"
#include "crossweep/crossbar/cell_layout.hpp"
#include "crossweep/crossbar/input_converter.hpp"
#include "crossweep/crossbar/large_small.hpp"
#include "crossweep/crossbar/mapped_operand.hpp"
#include "crossweep/device/cell_writer.hpp"
#include "crossweep/device/noise.hpp"

namespace crossweep::crossbar {

using Eigen::Index;
using linalg::Role;

namespace {

std::uint64_t count(Index number) {
    return static_cast<std::uint64_t>(number);
}

/// Digital operations per element of a row, comparisons and table look-ups included: softmax compares,
/// subtracts, looks up, adds and divides; a norm adds up for the mean, subtracts, squares and adds up for the
/// variance, divides, scales and shifts; GELU adds the bias and looks up.
struct FunctionOperations {
    std::uint64_t all;
    std::uint64_t beside_sums;  ///< those that are left where crossbars add up
};
FunctionOperations operations_of(Role role) {
    switch (role) {
        case Role::softmax:
            return {5, 4};
        case Role::layer_norm:
            return {7, 4};
        default:
            return {2, 2};
    }
}

}  // namespace

ActivityCounter::ActivityCounter(const CrossbarParams& crossbar, const transform::TransformParams& transform,
                                 const OperandTable& operands)
    : crossbar_(crossbar), transform_(transform), operands_(operands) {}

Activity ActivityCounter::of_product(const ProductShape& shape) const {
    Activity activity = around_arrays(shape);
    if (is_digital(shape.role)) return activity;
    const ArrayGrid grid = grid_of_weight(reading(shape.role), shape.role, shape.inputs, shape.head_width);
    activity += of_arrays(shape.role, count(shape.vectors), grid, shape.outputs);
    activity.read_steps = read_steps(shape.role, count(shape.vectors));
    return activity;
}

Activity ActivityCounter::of_writing(const WrittenShape& shape, Index new_tokens) const {
    const std::uint64_t values = count(new_tokens * shape.width), bytes = values * activation_B();
    Activity activity;
    (shares_arrays(shape.role) ? activity.storage_B : activity.buffer_B) = bytes;
    if (is_digital(shape.role)) return activity;
    activity.interconnect_B = bytes;
    const bool is_keys = shape.role == Role::written_keys;
    const auto heads = count(shape.width / shape.head_width);
    const Index inputs = is_keys ? shape.head_width : new_tokens;
    const Index outputs = is_keys ? new_tokens : shape.head_width;
    Activity writing = of_cells(shape.role, heads, outputs, inputs);
    writing.write_pulses = static_cast<std::uint64_t>(
        std::llround(static_cast<double>(writing.cell_writes) * writes_of_a_cell(shape.role)));
    return activity += writing;
}

Activity ActivityCounter::of_reading(const WrittenShape& shape) const {
    const bool is_keys = shape.role == Role::written_keys;
    Activity activity = around_arrays({shape.role, shape.vectors, is_keys ? shape.tokens : shape.head_width,
                                       is_keys ? shape.head_width : shape.tokens, shape.head_width});
    const auto heads = count(shape.width / shape.head_width);
    for (std::uint64_t* of_head :
         {&activity.buffer_B, &activity.storage_B, &activity.interconnect_B, &activity.digital_operations})
        *of_head *= heads;
    if (is_digital(shape.role)) return activity;
    const ArrayGrid grid = grid_of_written(reading(shape.role), shape.role, shape.width, shape.head_width);
    activity += of_arrays(shape.role, count(shape.vectors), grid, shape.tokens);
    activity.read_steps = read_steps(shape.role, count(shape.vectors));
    return activity;
}

Activity ActivityCounter::of_function(Role role, Index rows, Index width) const {
    CROSSWEEP_EXPECT(linalg::is_function(role));
    const std::uint64_t elements = count(rows * width), bytes = 2 * elements * activation_B();
    Activity activity;
    if (!shares_arrays(role)) {
        activity.digital_operations = operations_of(role).all * elements;
        activity.buffer_B = bytes;
        return activity;
    }
    activity.digital_operations = operations_of(role).beside_sums * elements;
    activity.storage_B = bytes;
    // Every row is summed up by a column of ones, which stay; a norm's squares by the row itself on cells.
    const std::uint64_t planes = sums_of(role);
    const std::uint64_t at_once = rows_at_once(crossbar_, operand(role).device.bits_per_cell);
    const std::uint64_t groups = (count(width) + at_once - 1) / at_once;
    const std::uint64_t reads = count(rows) * cycles(role) * planes;
    activity.array_reads = activity.conversions = reads * groups;
    activity.row_drives = reads * count(width);
    const std::uint64_t arrays = (count(width) + crossbar_.array_rows - 1) / crossbar_.array_rows;
    activity.interconnect_B = count(rows) * planes * (count(width) * activation_B() + arrays * sum_B);
    // Rows stand side by side, a column each.
    if (role == Role::layer_norm) activity += of_cells(role, 1, rows, width);
    return activity;
}

Activity ActivityCounter::of_cells(Role role, std::uint64_t matrices, Index outputs, Index inputs) const {
    const std::uint64_t planes = cells_per_weight(role);
    Activity activity;
    activity.cell_writes = activity.write_pulses = matrices * count(outputs * inputs) * planes;
    const auto columns = static_cast<Index>(crossbar_.array_columns);
    activity.write_steps = shares_arrays(role)
                               ? matrices * count(inputs * ((outputs + columns - 1) / columns)) * planes
                               : std::min<std::uint64_t>(crossbar_.array_rows, count(inputs));
    return activity;
}

Activity ActivityCounter::around_arrays(const ProductShape& shape) const {
    const std::uint64_t vectors = count(shape.vectors);
    const std::uint64_t elements = count(shape.inputs * shape.outputs);
    Activity activity;
    std::uint64_t& moved_B = shares_arrays(shape.role) ? activity.storage_B : activity.buffer_B;
    moved_B = vectors * count(shape.inputs + shape.outputs) * activation_B();
    if (is_digital(shape.role)) {
        activity.digital_operations = 2 * vectors * elements;
        moved_B += elements * activation_B();  // the matrix comes from the buffer, too
        return activity;
    }
    const Tiles tiles =
        tiles_of(linalg::is_written(shape.role)
                     ? grid_of_written(crossbar_, shape.role, shape.head_width, shape.head_width)
                     : grid_of_weight(crossbar_, shape.role, shape.inputs, shape.head_width),
                 shape.role == Role::written_values ? shape.inputs : shape.outputs);
    activity.interconnect_B =
        vectors * cells_per_weight(shape.role) *
        (tiles.inputs * tiles.output_tiles * activation_B() + tiles.outputs * tiles.input_tiles * sum_B);
    if (shares_arrays(shape.role) && !linalg::is_written(shape.role)) {
        activity += of_cells(shape.role, 1, shape.outputs, shape.inputs);
        activity.storage_B += stored_B(shape);
        activity.interconnect_B += stored_B(shape);
    }
    return activity;
}

std::uint64_t ActivityCounter::read_steps(Role role, std::uint64_t vectors) const {
    return shares_arrays(role) ? 0 : vectors * cycles(role);
}

std::uint64_t ActivityCounter::stored_B(const ProductShape& shape) const {
    if (!shares_arrays(shape.role) || linalg::is_written(shape.role)) return 0;
    const auto bits =
        std::bit_width(static_cast<std::uint32_t>(Codebook(crossbar_.weight_levels).largest)) + 1;
    return count(shape.inputs * shape.outputs) * static_cast<std::uint64_t>((bits + 7) / 8);
}

Activity ActivityCounter::of_arrays(Role role, std::uint64_t vectors, const ArrayGrid& grid,
                                    Index rows) const {
    const Tiles tiles = tiles_of(grid, rows);
    const std::uint64_t planes = cells_per_weight(role), reads = vectors * cycles(role) * planes;
    const std::uint64_t driven = tiles.inputs * tiles.output_tiles;
    const std::uint64_t converted = tiles.outputs * tiles.input_tiles;
    Activity activity;
    activity.array_reads = reads * tiles.input_tiles * tiles.output_tiles;
    activity.row_drives = reads * driven;
    activity.conversions = reads * converted;
    return activity;
}

std::uint64_t ActivityCounter::arrays_of(const ProductShape& shape) const {
    if (is_digital(shape.role)) return 0;
    const Tiles tiles =
        tiles_of(grid_of_weight(crossbar_, shape.role, shape.inputs, shape.head_width), shape.outputs);
    return tiles.input_tiles * tiles.output_tiles * cells_per_weight(shape.role);
}

std::uint64_t ActivityCounter::arrays_of(const WrittenShape& shape) const {
    if (is_digital(shape.role)) return 0;
    const Tiles tiles =
        tiles_of(grid_of_written(crossbar_, shape.role, shape.width, shape.head_width), shape.tokens);
    return tiles.input_tiles * tiles.output_tiles * cells_per_weight(shape.role);
}

std::uint64_t ActivityCounter::arrays_of_function(Role role, Index rows, Index width) const {
    if (!shares_arrays(role)) return 0;
    const auto parts = [](Index size, std::uint32_t of_part) {
        return (count(size) + of_part - 1) / of_part;
    };
    if (role == Role::softmax) return parts(width, crossbar_.array_rows);
    const std::uint64_t groups = parts(width, rows_at_once(crossbar_, operand(role).device.bits_per_cell));
    return sums_of(role) * groups * parts(rows, crossbar_.array_columns);
}

std::uint64_t ActivityCounter::sums_of(Role role) const {
    if (role == Role::softmax) return 1;
    return role == Role::layer_norm ? 1 + cells_per_weight(role) : 0;
}

std::uint64_t ActivityCounter::cells_per_weight(Role role) const {
    // Continuous weights have no slices.
    if (crossbar_.weight_levels == 0) return crossbar_.mapping == Mapping::differential ? 2 : 1;
    const float full = Codebook(crossbar_.weight_levels).largest;
    const device::DeviceParams& device = operand(role).device;
    const float largest = linalg::is_written(role) ? largest_written_code(crossbar_, transform_,
                                                                          device::conductance_window(device))
                                                   : full;
    return cell_layout(Fidelity::sliced, crossbar_.mapping, device.bits_per_cell, largest, full)
        .planes.size();
}

std::uint64_t ActivityCounter::activation_B() const {
    return crossbar_.input_bits == 0 ? sizeof(float) : (crossbar_.input_bits + 7) / 8;
}

std::uint64_t ActivityCounter::cycles(Role role) const {
    // Continuous inputs are applied at once.
    if (crossbar_.input_bits == 0) return 1;
    const bool is_probability = role == Role::written_values || role == Role::softmax;
    const InputSign sign = is_probability ? InputSign::not_negative : InputSign::both;
    return input_cycles(crossbar_, sign).size();
}

CrossbarParams ActivityCounter::reading(Role role) const {
    CrossbarParams params = crossbar_;
    if (shares_arrays(role)) params.array_rows = rows_at_once(crossbar_, operand(role).device.bits_per_cell);
    return params;
}

double ActivityCounter::writes_of_a_cell(Role role) const {
    if (transform_.write_verify_iterations == 0) return 1;
    const OperandParams& of = operand(role);
    const ConductanceWindow window = device::conductance_window(of.device);
    const std::uint32_t steps = of.fidelity == Fidelity::behavioural
                                    ? std::max(crossbar_.weight_levels, 256U) - 1
                                    : (1U << of.device.bits_per_cell) - 1;
    std::vector<float> conductance_S;
    for (std::uint32_t digit = 0; digit <= steps; ++digit)
        conductance_S.push_back(window.min_S +
                                window.span_S() * static_cast<float>(digit) / static_cast<float>(steps));
    return device::mean_writes(
        of.device, {transform_.write_verify_iterations, transform_.write_verify_tolerance}, conductance_S);
}

}  // namespace crossweep::crossbar
