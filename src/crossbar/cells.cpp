#include "crossweep/crossbar/cells.hpp"

#include <algorithm>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"
#include "crossweep/crossbar/ir_drop.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;

CROSSWEEP_MULTIVERSION
void to_siemens_kernel(const float* digit, float min, float step, float* g, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) g[i] = min + step * digit[i];
}

CROSSWEEP_MULTIVERSION
void to_digit_kernel(float* g, float min, float inverse_step, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) g[i] = (g[i] - min) * inverse_step;
}

CROSSWEEP_MULTIVERSION
void square_kernel(float* amplitude, float inverse_step, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float relative = amplitude[i] * inverse_step;
        amplitude[i] = relative * relative;
    }
}

std::uint32_t cell_row(const Plane& plane, Index row) {
    if (row >= (Index{1} << 24) || plane.number >= 256)
        throw InternalError("more than 2^24 rows or 256 planes of cells: outside the random stream");
    return plane.number << 24 | static_cast<std::uint32_t>(row);
}

}  // namespace

Cells::Cells(const device::DeviceParams& device, device::Storage storage, const device::WriteVerify& verify,
             CellLayout layout, double wire_resistance_ohm)
    : layout_(std::move(layout)),
      window_(device::conductance_window(device)),
      siemens_per_digit_(window_.span_S() / layout_.largest_digit),
      wire_resistance_ohm_(wire_resistance_ohm),
      writer_(device, storage, verify),
      read_noise_(device),
      read_sigma_(device::draws_at_every_read(device) ? read_noise_.sigma() : 0),
      frozen_sigma_(device::keeps_read_noise(device) ? read_noise_.sigma() : 0),
      telegraph_amplitude_(static_cast<float>(device.telegraph_amplitude)) {}

bool Cells::fit(const MappedOperand& mapped) const {
    const bool in_digits = layout_.planes.front().sign != PlaneSign::of_weight;
    return !in_digits || !(mapped.code.maxCoeff() > layout_.largest_code);
}

void Cells::hold(const MappedOperand& mapped, const CellIdentity& identity, const Plane& plane,
                 const ArrayGrid& grid, linalg::Matrix& held) {
    const Index rows = mapped.code.rows();
    held.resize(rows, mapped.code.cols());
    for (Index row = 0; row < rows; ++row) {
        if (drop_voltage())
            write_row(mapped, identity, plane, row, linalg::row_of(held, row));
        else
            hold_row(mapped, identity, plane, row, linalg::row_of(held, row));
    }
    if (!drop_voltage()) return;
    apply_ir_drop_to(grid, linalg::view(held));
    for (Index row = 0; row < rows; ++row) to_digits(linalg::row_of(held, row));
}

void Cells::hold_row(const MappedOperand& mapped, const CellIdentity& identity, const Plane& plane, Index row,
                     std::span<float> held) {
    write_row(mapped, identity, plane, row, held);
    if (!are_perfect()) to_digits(held);
}

void Cells::write_row(const MappedOperand& mapped, const CellIdentity& identity, const Plane& plane,
                      Index row, std::span<float> cells) {
    const auto code = linalg::row_of(linalg::const_view(mapped.code), row);
    const bool is_code = plane.sign == PlaneSign::of_weight && !are_perfect();
    if (!is_code) to_digit(layout_, plane, code, linalg::row_of(mapped.wanted, row), cells);
    if (are_perfect()) return;
    to_siemens_kernel(is_code ? code.data() : cells.data(), window_.min_S, siemens_per_digit_, cells.data(),
                      cells.size());
    if (!writer_.perturbs()) return;
    writer_(cells, {identity.key, identity.layer, static_cast<std::uint32_t>(identity.role), identity.image,
                    cell_row(plane, row)});
}

void Cells::to_digits(std::span<float> conductance_S) const {
    to_digit_kernel(conductance_S.data(), window_.min_S, 1.0F / siemens_per_digit_, conductance_S.size());
}

void Cells::apply_ir_drop_to(const ArrayGrid& grid, linalg::MatrixView conductance_S) const {
    const Index stride = conductance_S.outerStride();
    for (Index row = 0; row < conductance_S.rows(); row += grid.blocks.rows) {
        for (std::size_t i = 0; i + 1 < grid.blocks.column_edges.size(); ++i) {
            const Index first = grid.blocks.column_edges[i], end = grid.blocks.column_edges[i + 1];
            const linalg::MatrixView array(conductance_S.data() + row * stride + first,
                                           std::min(grid.blocks.rows, conductance_S.rows() - row),
                                           end - first, Eigen::OuterStride<>(stride));
            apply_ir_drop(array, grid.orientation, wire_resistance_ohm_);
        }
    }
}

void Cells::squared_amplitude(std::span<const float> held, std::span<float> squared) const {
    CROSSWEEP_EXPECT(held.size() == squared.size());
    to_siemens_kernel(held.data(), window_.min_S, siemens_per_digit_, squared.data(), held.size());
    read_noise_.amplitude(squared, squared);
    square_kernel(squared.data(), 1.0F / siemens_per_digit_, squared.size());
}

Cells make_cells(linalg::Role role, const OperandParams& operand, const CrossbarParams& crossbar,
                 const transform::TransformParams& transform) {
    const float full_code = Codebook(crossbar.weight_levels).largest;
    const auto layout = [&](float largest_code) {
        return cell_layout(operand.fidelity, crossbar.mapping, operand.device.bits_per_cell, largest_code,
                           full_code);
    };
    if (!linalg::is_written(role)) {
        return {
            operand.device, device::Storage::stationary, {}, layout(full_code), crossbar.wire_resistance_ohm};
    }
    const float largest_code =
        largest_written_code(crossbar, transform, device::conductance_window(operand.device));
    return {operand.device,
            device::Storage::written,
            {transform.write_verify_iterations, transform.write_verify_tolerance},
            layout(largest_code),
            crossbar.wire_resistance_ohm};
}

}  // namespace crossweep::crossbar
