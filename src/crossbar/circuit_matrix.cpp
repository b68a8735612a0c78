#include "crossweep/crossbar/circuit_matrix.hpp"

#include <algorithm>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"
#include "crossweep/crossbar/read_law.hpp"
#include "crossweep/linalg/gaussian.hpp"

namespace crossweep::crossbar {

using Eigen::Index;
using linalg::const_view;
using linalg::ConstMatrixView;
using linalg::MatrixView;
using linalg::row_of;
using linalg::view;

namespace {

/// Rows of sums that are read before they are converted: few enough to stay in the second-level cache, enough
/// for an efficient product.
constexpr Index rows_at_once = 512;

ConstMatrixView block(const ConstMatrixView& matrix, Index row, Index rows, Index column, Index columns) {
    return {matrix.data() + row * matrix.outerStride() + column, rows, columns,
            Eigen::OuterStride<>(matrix.outerStride())};
}

std::vector<Index> row_edges(Index rows, Index step) {
    return linalg::column_edges(rows, rows, step);
}

Index widest(const std::vector<Index>& edges) {
    Index width = 0;
    for (std::size_t i = 0; i + 1 < edges.size(); ++i) width = std::max(width, edges[i + 1] - edges[i]);
    return width;
}

CROSSWEEP_MULTIVERSION
void add_scaled_kernel(const double* __restrict x, double factor, double* __restrict sum, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) sum[i] += factor * x[i];
}

/// Position of `edge` among `edges`. Throws InternalError if it is none.
std::size_t position(const std::vector<Index>& edges, Index edge) {
    const auto found = std::lower_bound(edges.begin(), edges.end(), edge);
    if (found == edges.end() || *found != edge) throw InternalError("a product cuts through an array");
    return static_cast<std::size_t>(found - edges.begin());
}

}  // namespace

/// One array of a region, and what reads it.
struct CircuitMultiplier::Array {
    const CircuitMatrix& matrix;
    const Cells& cells;
    InputConverter& inputs;
    const ColumnReaders& readers;
    Index tile;                                   ///< row tile, in the operand
    Index first_digit, first_input, input_count;  ///< inputs, in the product and in the operand
    Index first_output, output_count;             ///< outputs, in the operand

    bool by_outputs() const { return matrix.grid.orientation == Orientation::outputs_by_inputs; }
    ConstMatrixView cells_of(const Plane& plane) const {
        const ConstMatrixView held = const_view(matrix.planes[plane.number]);
        return by_outputs() ? block(held, first_output, output_count, first_input, input_count)
                            : block(held, first_input, input_count, first_output, output_count);
    }
    /// y = rows [first, first + y.rows()) of `digits` times `cells`.
    void multiply(const ConstMatrixView& digits, Index first, const ConstMatrixView& cell,
                  MatrixView y) const {
        crossbar::multiply(matrix.grid.orientation, block(digits, first, y.rows(), first_digit, input_count),
                           cell, y);
    }
};

void store(const MappedOperand& mapped, const ArrayGrid& grid, const CellIdentity& identity, Cells& cells,
           CircuitMatrix& matrix) {
    const Index rows = mapped.code.rows(), columns = mapped.code.cols();
    const bool by_outputs = grid.orientation == Orientation::outputs_by_inputs;
    matrix.grid = grid;
    matrix.input_edges = by_outputs ? grid.blocks.column_edges : row_edges(rows, grid.blocks.rows);
    matrix.outputs = by_outputs ? rows : columns;
    matrix.array_columns = by_outputs ? grid.blocks.rows : widest(grid.blocks.column_edges);
    matrix.planes.resize(cells.layout().planes.size());
    for (const Plane& plane : cells.layout().planes)
        cells.hold(mapped, identity, plane, grid, matrix.planes[plane.number]);
    const auto tiles = static_cast<Index>(matrix.input_edges.size()) - 1;
    matrix.weight_of_code.resize(tiles, matrix.outputs);
    for (Index tile = 0; tile < tiles; ++tile) {
        const Index input = matrix.input_edges[static_cast<std::size_t>(tile)];
        for (Index output = 0; output < matrix.outputs; ++output) {
            const float scale = by_outputs ? mapped.scale_of_row(output)[static_cast<std::size_t>(input)]
                                           : mapped.scale_of_row(input)[static_cast<std::size_t>(output)];
            matrix.weight_of_code(tile, output) = scale / mapped.full_code;
        }
    }
}

CircuitMultiplier::Sums CircuitMultiplier::zeros(std::vector<double>& memory, Index rows, Index columns) {
    const auto size = static_cast<std::size_t>(rows * columns);
    if (memory.size() < size) memory.resize(size);
    std::fill_n(memory.begin(), size, 0.0);
    return {memory.data(), rows, columns};
}

void CircuitMultiplier::multiply(const CircuitMatrix& matrix, const Cells& cells, InputConverter& inputs,
                                 const Region& region, const ColumnReaders& readers, MatrixView y) {
    const std::vector<Index> output_edges = matrix.grid.orientation == Orientation::outputs_by_inputs
                                                ? row_edges(matrix.outputs, matrix.grid.blocks.rows)
                                                : matrix.grid.blocks.column_edges;
    const auto& input_edges = matrix.input_edges;
    const std::size_t first_tile = position(input_edges, region.first_input);
    const std::size_t end_tile = position(input_edges, region.first_input + region.inputs);
    const std::size_t first_column = position(output_edges, region.first_output);
    const std::size_t end_column = position(output_edges, region.first_output + region.outputs);
    const float shift = cells.layout().shift;
    Sums total = zeros(total_, y.rows(), y.cols());
    std::size_t number = 0;
    for (std::size_t tile = first_tile; tile < end_tile; ++tile) {
        for (std::size_t column = first_column; column < end_column; ++column) {
            const Index input = input_edges[tile], output = output_edges[column];
            const Array array{matrix,
                              cells,
                              inputs,
                              readers,
                              static_cast<Index>(tile),
                              input - region.first_input,
                              input,
                              input_edges[tile + 1] - input,
                              output,
                              output_edges[column + 1] - output};
            Sums sum = zeros(array_sum_, y.rows(), array.output_count);
            for (const Plane& plane : cells.layout().planes) read_plane(array, plane, number++, sum);
            if (shift != 0) {
                const auto codes = block(inputs.codes(), 0, y.rows(), array.first_digit, array.input_count);
                sum.colwise() -= static_cast<double>(shift) * codes.cast<double>().rowwise().sum();
            }
            const auto weight_of_code =
                matrix.weight_of_code.row(array.tile).segment(output, array.output_count);
            total.middleCols(output - region.first_output, array.output_count) +=
                sum * weight_of_code.cast<double>().asDiagonal();
        }
    }
    for (Index token = 0; token < y.rows(); ++token) {
        const auto step = static_cast<double>(inputs.steps()[static_cast<std::size_t>(token)]);
        y.row(token) = (step * total.row(token)).cast<float>();
    }
}

void CircuitMultiplier::read_plane(const Array& array, const Plane& plane, std::size_t number, Sums sum) {
    const auto cycles = static_cast<Index>(array.inputs.cycles().size());
    const auto sums_per_token = static_cast<std::size_t>(cycles * array.output_count);
    const ConstMatrixView held = array.cells_of(plane);
    const ColumnReaders& readers = array.readers;
    if (readers.draws) {
        MatrixView squares = squares_.shaped(held.rows(), held.cols());
        for (Index row = 0; row < held.rows(); ++row)
            array.cells.squared_amplitude(row_of(held, row), row_of(squares, row));
    }
    converted_.resize(static_cast<std::size_t>(array.output_count));
    const Index tokens_at_once = std::max<Index>(1, rows_at_once / cycles);
    for (Index first = 0; first < sum.rows(); first += tokens_at_once) {
        const Index tokens = std::min(tokens_at_once, sum.rows() - first);
        const ConstMatrixView sums = read_columns(array, held, number, first, tokens);
        for (Index token = 0; token < tokens; ++token) {
            const std::span<const float> of_token(sums.data() + token * cycles * array.output_count,
                                                  sums_per_token);
            if (readers.histogram != nullptr) {
                readers.histogram->add(plane.slice, of_token);
            }
            readers.adc->convert(plane, array.tile, array.first_output, array.inputs.cycles(), of_token,
                                 converted_);
            add_scaled_kernel(converted_.data(), static_cast<double>(plane.significance),
                              sum.data() + (first + token) * array.output_count, converted_.size());
        }
    }
}

ConstMatrixView CircuitMultiplier::read_columns(const Array& array, const ConstMatrixView& held,
                                                std::size_t number, Index first, Index tokens) {
    const auto cycles = static_cast<Index>(array.inputs.cycles().size());
    MatrixView currents = currents_.shaped(tokens * cycles, array.output_count);
    array.multiply(array.inputs.digits(), first * cycles, held, currents);
    if (!array.readers.draws) return const_view(currents);
    MatrixView variances = variances_.shaped(tokens * cycles, array.output_count);
    const ConstMatrixView squares = const_view(squares_.shaped(held.rows(), held.cols()));
    array.multiply(array.inputs.squared_digits(), first * cycles, squares, variances);
    // All sums of a token and plane stand in one row of draws, one array behind the other.
    const auto columns = static_cast<std::size_t>(array.output_count);
    const auto of_token = static_cast<std::size_t>(cycles) * columns;
    const auto room = static_cast<std::size_t>(cycles * array.matrix.array_columns);
    const std::size_t groups = (room + linalg::normal_group - 1) / linalg::normal_group;
    normal_.resize(of_token);
    for (Index token = 0; token < tokens; ++token) {
        const auto offset = static_cast<std::size_t>(token) * of_token;
        linalg::fill_normal(array.readers.draws->key, array.readers.draws->identity(first + token),
                            number * groups * linalg::normal_group, normal_);
        add_read_noise({currents.data() + offset, of_token}, {variances.data() + offset, of_token}, normal_,
                       array.cells.read_sigma());
    }
    return const_view(currents);
}

}  // namespace crossweep::crossbar
