#include "crossweep/crossbar/linear_matrix.hpp"

#include "crossweep/core/multiversion.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::row_of;

/// mean (+)= weight of `held` digits, with the signs of `wanted` where the plane has none of its own.
CROSSWEEP_MULTIVERSION
void add_weight_kernel(const float* __restrict held, const float* __restrict scale,
                       const float* __restrict wanted, float significance, bool takes_sign, bool first,
                       float* __restrict mean, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float magnitude = significance * held[i] * scale[i];
        const float weight = takes_sign && wanted[i] < 0.0F ? -magnitude : magnitude;
        mean[i] = first ? weight : mean[i] + weight;
    }
}

CROSSWEEP_MULTIVERSION
void add_square_kernel(const float* __restrict squared, const float* __restrict scale, float significance,
                       bool first, float* __restrict sum, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float factor = significance * scale[i];
        const float square = factor * factor * squared[i];
        sum[i] = first ? square : sum[i] + square;
    }
}

CROSSWEEP_MULTIVERSION
void subtract_shift_kernel(const float* __restrict scale, float shift, float* __restrict mean,
                           std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) mean[i] -= shift * scale[i];
}

}  // namespace

void store(MappedOperand& mapped, const ArrayGrid& grid, const CellIdentity& identity, Cells& cells,
           LinearMatrix& matrix) {
    const Index rows = mapped.code.rows(), columns = mapped.code.cols();
    const auto count = static_cast<std::size_t>(columns);
    const bool noisy_reads = cells.read_sigma() > 0;
    matrix.mean.resize(rows, columns);
    matrix.squared_amplitude.resize(noisy_reads ? rows : 0, noisy_reads ? columns : 0);
    mapped.squared.resize(count);
    for (const Plane& plane : cells.layout().planes) {
        cells.hold(mapped, identity, plane, grid, mapped.held);
        const linalg::ConstMatrixView held = linalg::const_view(mapped.held);
        const float significance = plane.significance / mapped.full_code;
        const bool first = plane.number == 0, takes_sign = plane.sign == PlaneSign::of_weight;
        for (Index row = 0; row < rows; ++row) {
            const float* scale = mapped.scale_of_row(row).data();
            add_weight_kernel(row_of(held, row).data(), scale, row_of(mapped.wanted, row).data(),
                              significance, takes_sign, first, row_of(matrix.mean, row).data(), count);
            if (!noisy_reads) continue;
            cells.squared_amplitude(row_of(held, row), mapped.squared);
            add_square_kernel(mapped.squared.data(), scale, significance, first,
                              row_of(matrix.squared_amplitude, row).data(), count);
        }
    }
    if (cells.layout().shift == 0) return;
    for (Index row = 0; row < rows; ++row)
        subtract_shift_kernel(mapped.scale_of_row(row).data(), cells.layout().shift / mapped.full_code,
                              row_of(matrix.mean, row).data(), count);
}

}  // namespace crossweep::crossbar
