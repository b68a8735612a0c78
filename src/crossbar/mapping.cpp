#include "crossweep/crossbar/mapping.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"
#include "crossweep/core/rounding.hpp"
#include "crossweep/linalg/quantise.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::Blocks;
using linalg::column_edges;
using linalg::Role;

CROSSWEEP_MULTIVERSION
void conductance_kernel(const float* __restrict w, const float* __restrict inverse, float min, float span,
                        float* __restrict g, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) g[i] = min + span * (std::fabs(w[i]) * inverse[i]);
}

CROSSWEEP_MULTIVERSION
void weight_code_kernel(const float* __restrict w, const float* __restrict inverse, float largest,
                        float rounding, float* __restrict code, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        code[i] = (std::fabs(w[i]) * inverse[i] * largest + rounding) - rounding;
    }
}

CROSSWEEP_MULTIVERSION
void conductance_code_kernel(const float* __restrict g, float min, float factor, float rounding,
                             float* __restrict code, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) code[i] = ((g[i] - min) * factor + rounding) - rounding;
}

}  // namespace

void to_code(std::span<const float> weight, std::span<const float> inverse_scale, const Codebook& codebook,
             std::span<float> code) {
    CROSSWEEP_EXPECT(weight.size() == inverse_scale.size() && weight.size() == code.size());
    weight_code_kernel(weight.data(), inverse_scale.data(), codebook.largest,
                       codebook.rounds ? rounding_shift : 0.0F, code.data(), code.size());
}

void to_code(std::span<const float> conductance_S, ConductanceWindow window, const Codebook& codebook,
             std::span<float> code) {
    CROSSWEEP_EXPECT(conductance_S.size() == code.size());
    conductance_code_kernel(conductance_S.data(), window.min_S, codebook.largest / window.span_S(),
                            codebook.rounds ? rounding_shift : 0.0F, code.data(), code.size());
}

void to_conductance(std::span<const float> weight, std::span<const float> inverse_scale,
                    ConductanceWindow window, std::span<float> conductance_S) {
    CROSSWEEP_EXPECT(weight.size() == inverse_scale.size() && weight.size() == conductance_S.size());
    conductance_kernel(weight.data(), inverse_scale.data(), window.min_S, window.span_S(),
                       conductance_S.data(), weight.size());
}

Blocks blocks_of_weight(const CrossbarParams& params, Role role, Index outputs, Index inputs,
                        Index head_width) {
    switch (params.weight_scale) {
        case ScaleBlock::tensor:
            break;
        case ScaleBlock::head:
            if (role == Role::projection) return {outputs, column_edges(inputs, head_width, head_width)};
            if (role == Role::query || role == Role::key || role == Role::value)
                return {head_width, {0, inputs}};
            break;
        case ScaleBlock::column:
            return {1, {0, inputs}};
        case ScaleBlock::tile:
            return {params.array_columns, column_edges(inputs, inputs, params.array_rows)};
        case ScaleBlock::token:
            throw InternalError("weights have no tokens");
    }
    return {outputs, {0, inputs}};
}

Blocks blocks_of_written(const CrossbarParams& params, Role role, Index tokens, Index width,
                         Index head_width) {
    switch (params.written_scale) {
        case ScaleBlock::tensor:
            break;
        case ScaleBlock::head:
            return linalg::head_blocks(tokens, width, head_width);
        case ScaleBlock::column:
            return linalg::output_blocks(role, tokens, width, head_width);
        case ScaleBlock::tile:
            return grid_of_written(params, role, width, head_width).blocks;
        case ScaleBlock::token:
            if (role == Role::written_keys) return {1, {0, width}};
            break;  // V comes divided by TokenScale: its largest magnitude is 1
    }
    return {tokens, {0, width}};
}

Tiles tiles_of(const ArrayGrid& grid, Index rows) {
    const auto bands = static_cast<std::uint64_t>((rows + grid.blocks.rows - 1) / grid.blocks.rows);
    const auto cuts = static_cast<std::uint64_t>(grid.blocks.column_edges.size()) - 1;
    const auto columns = static_cast<std::uint64_t>(grid.blocks.column_edges.back());
    const auto stored_rows = static_cast<std::uint64_t>(rows);
    return grid.orientation == Orientation::outputs_by_inputs ? Tiles{columns, stored_rows, cuts, bands}
                                                              : Tiles{stored_rows, columns, bands, cuts};
}

ArrayGrid grid_of_weight(const CrossbarParams& params, Role role, Index inputs, Index head_width) {
    const bool cut_at_heads = params.weight_scale == ScaleBlock::head && role == Role::projection;
    return {
        {params.array_columns, column_edges(inputs, cut_at_heads ? head_width : inputs, params.array_rows)},
        Orientation::outputs_by_inputs};
}

ArrayGrid grid_of_written(const CrossbarParams& params, Role role, Index width, Index head_width) {
    if (role == Role::written_keys) {
        return {{params.array_columns, column_edges(width, head_width, params.array_rows)},
                Orientation::outputs_by_inputs};
    }
    return {{params.array_rows, column_edges(width, head_width, params.array_columns)},
            Orientation::inputs_by_outputs};
}

void BandScale::measure(const linalg::ConstMatrixView& matrix, Index first, const Blocks& blocks) {
    scale_.resize(static_cast<std::size_t>(matrix.cols()));
    inverse_.resize(scale_.size());
    const Index rows = std::min(blocks.rows, matrix.rows() - first);
    for (std::size_t block = 0; block + 1 < blocks.column_edges.size(); ++block) {
        const Index begin = blocks.column_edges[block], end = blocks.column_edges[block + 1];
        const linalg::ConstMatrixView part(matrix.data() + first * matrix.outerStride() + begin, rows,
                                           end - begin, Eigen::OuterStride<>(matrix.outerStride()));
        const float largest = linalg::largest_magnitude(part);
        const bool has_inverse = largest >= std::numeric_limits<float>::min();  // else it counts as 0
        std::fill(scale_.begin() + begin, scale_.begin() + end, largest);
        std::fill(inverse_.begin() + begin, inverse_.begin() + end, has_inverse ? 1.0F / largest : 0.0F);
    }
}

linalg::ConstMatrixView TokenScale::divide(const linalg::ConstMatrixView& values) {
    scale_.resize(static_cast<std::size_t>(values.rows()));
    divided_.resize(values.rows(), values.cols());
    for (Index row = 0; row < values.rows(); ++row) {
        const float largest = values.row(row).cwiseAbs().maxCoeff();
        scale_[static_cast<std::size_t>(row)] = largest;
        divided_.row(row) = values.row(row) / std::max(largest, std::numeric_limits<float>::min());
    }
    return linalg::const_view(divided_);
}

void TokenScale::multiply(const linalg::ConstMatrixView& x, linalg::MatrixView y) const {
    const Eigen::Map<const Eigen::RowVectorXf> scale(scale_.data(), static_cast<Index>(scale_.size()));
    CROSSWEEP_EXPECT(x.cols() == scale.cols() && y.rows() == x.rows());
    y.array() = x.array().rowwise() * scale.array();
}

}  // namespace crossweep::crossbar
