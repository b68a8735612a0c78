#include "crossweep/crossbar/mapped_operand.hpp"

#include <algorithm>
#include <new>

#include "crossweep/transform/operand_transform.hpp"

namespace crossweep::crossbar {

using Eigen::Index;
using linalg::ConstMatrixView;
using linalg::Role;
using linalg::row_of;
using linalg::view;

namespace {

/// Measure the scales of all blocks; call `map(row, inverse scale)` for every row.
template <class MapRow>
void measure_and_map(const linalg::Blocks& blocks, MappedOperand& mapped, const MapRow& map) {
    const Index rows = mapped.wanted.rows();
    mapped.rows_per_scale = blocks.rows;
    mapped.scale.resize((rows + blocks.rows - 1) / blocks.rows, mapped.wanted.cols());
    BandScale band;
    for (Index row = 0; row < rows; ++row) {
        if (row % blocks.rows == 0) {
            band.measure(mapped.wanted, row, blocks);
            std::copy(band.scale().begin(), band.scale().end(),
                      row_of(mapped.scale, row / blocks.rows).begin());
        }
        map(row, band.inverse());
    }
}

/// One row of scales for every row of the operand, for clips that change them block by block.
void spread_scales(MappedOperand& mapped) {
    linalg::Matrix scale(mapped.wanted.rows(), mapped.wanted.cols());
    for (Index row = 0; row < scale.rows(); ++row)
        scale.row(row) = mapped.scale.row(row / mapped.rows_per_scale);
    mapped.scale = std::move(scale);
    mapped.rows_per_scale = 1;
}

void shape(const ConstMatrixView& wanted, const Codebook& codebook, MappedOperand& mapped) {
    // An Eigen::Map is pointed elsewhere by constructing it anew.
    new (&mapped.wanted) ConstMatrixView(wanted);
    mapped.code.resize(wanted.rows(), wanted.cols());
    mapped.full_code = codebook.largest;
}

void map_plainly(const linalg::Blocks& blocks, const Codebook& codebook, MappedOperand& mapped) {
    measure_and_map(blocks, mapped, [&](Index row, std::span<const float> inverse) {
        to_code(row_of(mapped.wanted, row), inverse, codebook, row_of(mapped.code, row));
    });
}

}  // namespace

void map_weight(const CrossbarParams& params, Role role, const ConstMatrixView& weight, Index head_width,
                MappedOperand& mapped) {
    const Codebook codebook(params.weight_levels);
    shape(weight, codebook, mapped);
    map_plainly(blocks_of_weight(params, role, weight.rows(), weight.cols(), head_width), codebook, mapped);
}

void map_written(const CrossbarParams& params, const transform::TransformParams& transform,
                 ConductanceWindow window, Role role, const ConstMatrixView& values, Index head_width,
                 MappedOperand& mapped) {
    const Codebook codebook(params.weight_levels);
    const bool centred = role == Role::written_keys && transform.centre_keys == transform::CentreKeys::yes;
    if (centred) {
        mapped.signs = values;
        transform::centre_keys(view(mapped.signs));
    }
    shape(centred ? linalg::const_view(mapped.signs) : values, codebook, mapped);
    const auto blocks = blocks_of_written(params, role, values.rows(), values.cols(), head_width);
    if (!transform::clips(transform)) {
        map_plainly(blocks, codebook, mapped);
        return;
    }
    // The codes' memory holds conductances first.
    measure_and_map(blocks, mapped, [&](Index row, std::span<const float> inverse) {
        to_conductance(row_of(mapped.wanted, row), inverse, window, row_of(mapped.code, row));
    });
    if (transform.rescale == transform::Rescale::window) spread_scales(mapped);
    transform::clip(transform, window, role, head_width, view(mapped.code), view(mapped.scale));
    for (Index row = 0; row < values.rows(); ++row) {
        const auto code = row_of(mapped.code, row);
        to_code(code, window, codebook, code);
    }
}

float largest_written_code(const CrossbarParams& params, const transform::TransformParams& transform,
                           ConductanceWindow window) {
    // The code that a cell at G_max ends with, by the very steps that every cell takes: a bound that was
    // rounded in any other way could be one too low, and a slice too few.
    const Codebook codebook(params.weight_levels);
    transform::TransformParams one_cell = transform;
    one_cell.percentile = 100;
    linalg::Matrix conductance_S(1, 1), scale = linalg::Matrix::Ones(1, 1);
    conductance_S(0, 0) = window.max_S;
    transform::clip(one_cell, window, Role::written_values, 1, view(conductance_S), view(scale));
    float code = 0;
    to_code(row_of(conductance_S, 0), window, codebook, std::span(&code, 1));
    return std::min(code, codebook.largest);
}

}  // namespace crossweep::crossbar
