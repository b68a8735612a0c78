#include "crossweep/crossbar/circuit_matrix.hpp"

#include <algorithm>
#include <array>
#include <numeric>

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

/// sum += digit swing, with the sign of bit `bit` of the state.
CROSSWEEP_MULTIVERSION
void telegraph_kernel(const float* __restrict swing, const std::uint32_t* __restrict state, float digit,
                      std::uint32_t bit, float* __restrict sum, std::size_t count) {
    for (std::size_t j = 0; j < count; ++j)
        sum[j] += (state[j] >> bit & 1U) != 0 ? digit * swing[j] : -(digit * swing[j]);
}

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
    std::size_t sums_per_token() const {
        return inputs.cycles().size() * static_cast<std::size_t>(output_count);
    }
    /// y = rows [first, first + y.rows()) of `digits` times `cell`.
    void multiply(const ConstMatrixView& digits, Index first, const ConstMatrixView& cell,
                  MatrixView y) const {
        crossbar::multiply(matrix.grid.orientation, block(digits, first, y.rows(), first_digit, input_count),
                           cell, y);
    }
    /// Count what was done to read one plane with `tokens` tokens.
    void count_reads(std::uint64_t tokens) const {
        if (readers.activity == nullptr) return;
        const std::uint64_t reads = tokens * inputs.cycles().size();
        readers.activity->array_reads += reads;
        readers.activity->row_drives += reads * static_cast<std::uint64_t>(input_count);
        readers.activity->conversions += reads * static_cast<std::uint64_t>(output_count);
    }
    /// Convert the sums of one token and add them to `sum`.
    void convert(const Plane& plane, std::span<const float> sums, std::span<double> sum) const {
        if (readers.histogram != nullptr) readers.histogram->add(plane.slice, sums);
        readers.adc->convert(plane, tile, first_output, inputs.cycles(), sums, sum);
    }
};

/// What the cells of one plane of an array hold, as numbers in the stored shape.
struct CircuitMultiplier::HeldCells {
    ConstMatrixView digits, squares;  ///< squares: see Cells::squared_amplitude; only for fresh read noise
};

void store(const MappedOperand& mapped, const ArrayGrid& grid, const CellIdentity& identity, Cells& cells,
           CircuitMatrix& matrix) {
    const Index rows = mapped.code.rows(), columns = mapped.code.cols();
    const bool by_outputs = grid.orientation == Orientation::outputs_by_inputs;
    matrix.grid = grid;
    matrix.input_edges = by_outputs ? grid.blocks.column_edges : row_edges(rows, grid.blocks.rows);
    matrix.outputs = by_outputs ? rows : columns;
    matrix.array_columns = by_outputs ? grid.blocks.rows : widest(grid.blocks.column_edges);
    const CellLayout& layout = cells.layout();
    CROSSWEEP_EXPECT(cells.fit(mapped));
    matrix.masks.clear();
    matrix.planes.clear();
    if (cells.are_perfect() && layout.largest_digit <= DigitMasks::largest_digit &&
        widest(matrix.input_edges) <= DigitMasks::largest_rows) {
        linalg::Matrix held;
        for (const Plane& plane : layout.planes) {
            cells.hold(mapped, identity, plane, grid, held);
            matrix.masks.emplace_back(const_view(held), grid.orientation, matrix.input_edges,
                                      static_cast<std::uint32_t>(layout.largest_digit));
        }
    } else {
        matrix.planes.resize(layout.planes.size());
        for (const Plane& plane : layout.planes)
            cells.hold(mapped, identity, plane, grid, matrix.planes[plane.number]);
    }
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
    const bool counts = !matrix.masks.empty() && inputs.applies_bits();
    Sums total = zeros(total_, y.rows(), y.cols());
    std::size_t number = 0;
    for (std::size_t tile = first_tile; tile < end_tile; ++tile) {
        const Index input = input_edges[tile];
        if (counts) {
            inputs.pack_bits(input - region.first_input, input_edges[tile + 1] - input,
                             matrix.masks.front().words(), bits_);
        }
        for (std::size_t column = first_column; column < end_column; ++column) {
            const Index output = output_edges[column];
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
            for (const Plane& plane : cells.layout().planes) {
                counts ? count_plane(array, plane, number, sum) : read_plane(array, plane, number, sum);
                array.count_reads(static_cast<std::uint64_t>(y.rows()));
                ++number;
            }
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

void CircuitMultiplier::count_plane(const Array& array, const Plane& plane, std::size_t number, Sums sum) {
    const DigitMasks& masks = array.matrix.masks[plane.number];
    std::array<float, static_cast<std::size_t>(DigitMasks::largest_digit) + 1> squares{};
    std::iota(squares.begin(), squares.end(), 0.0F);
    array.cells.squared_amplitude(squares, squares);
    const std::size_t cycles = array.inputs.cycles().size();
    counted_.resize(array.sums_per_token());
    MaskedRead read{.bits = bits_.data(),
                    .masks = masks.of(array.tile, array.first_output),
                    .cycles = cycles,
                    .columns = static_cast<std::size_t>(array.output_count),
                    .mask_stride = static_cast<std::size_t>(masks.outputs()),
                    .square_of_digit = squares,
                    .normal = nullptr,
                    .sigma = array.cells.read_sigma(),
                    .sums = counted_.data()};
    std::optional<HeldCells> held;
    if (array.readers.telegraph) held.emplace(held_cells(array, plane));
    const MaskedReader read_masks = masked_reader(instruction_set_, masks.digits(), masks.words());
    for (Index token = 0; token < sum.rows(); ++token) {
        if (array.readers.draws) read.normal = draw(array, number, token).data();
        read_masks(read);
        read.bits += cycles * static_cast<std::size_t>(masks.words());
        if (held) add_telegraph_noise(array, *held, number, token, counted_);
        array.convert(plane, counted_, {sum.row(token).data(), read.columns});
    }
}

void CircuitMultiplier::read_plane(const Array& array, const Plane& plane, std::size_t number, Sums sum) {
    const auto cycles = static_cast<Index>(array.inputs.cycles().size());
    const std::size_t sums_per_token = array.sums_per_token();
    const HeldCells held = held_cells(array, plane);
    const Index tokens_at_once = std::max<Index>(1, rows_at_once / cycles);
    for (Index first = 0; first < sum.rows(); first += tokens_at_once) {
        const Index tokens = std::min(tokens_at_once, sum.rows() - first);
        MatrixView sums = read_columns(array, held, number, first, tokens);
        for (Index token = 0; token < tokens; ++token) {
            const std::span<float> of_token(sums.data() + static_cast<std::size_t>(token) * sums_per_token,
                                            sums_per_token);
            if (array.readers.telegraph) add_telegraph_noise(array, held, number, first + token, of_token);
            array.convert(plane, of_token,
                          {sum.row(first + token).data(), static_cast<std::size_t>(array.output_count)});
        }
    }
}

CircuitMultiplier::HeldCells CircuitMultiplier::held_cells(const Array& array, const Plane& plane) {
    const CircuitMatrix& matrix = array.matrix;
    const Index row = array.by_outputs() ? array.first_output : array.first_input;
    const Index rows = array.by_outputs() ? array.output_count : array.input_count;
    const Index column = array.by_outputs() ? array.first_input : array.first_output;
    const Index columns = array.by_outputs() ? array.input_count : array.output_count;
    if (!matrix.masks.empty()) {
        matrix.masks[plane.number].unpack(array.tile, array.first_output, matrix.grid.orientation,
                                          held_.shaped(rows, columns));
    }
    const ConstMatrixView digits =
        matrix.masks.empty() ? block(const_view(matrix.planes[plane.number]), row, rows, column, columns)
                             : const_view(held_.shaped(rows, columns));
    MatrixView squares = squares_.shaped(rows, columns);
    for (Index r = 0; array.readers.draws && r < rows; ++r)
        array.cells.squared_amplitude(row_of(digits, r), row_of(squares, r));
    return {digits, const_view(squares)};
}

MatrixView CircuitMultiplier::read_columns(const Array& array, const HeldCells& held, std::size_t number,
                                           Index first, Index tokens) {
    const auto cycles = static_cast<Index>(array.inputs.cycles().size());
    MatrixView currents = currents_.shaped(tokens * cycles, array.output_count);
    array.multiply(array.inputs.digits(), first * cycles, held.digits, currents);
    if (!array.readers.draws) return currents;
    MatrixView variances = variances_.shaped(tokens * cycles, array.output_count);
    array.multiply(array.inputs.squared_digits(), first * cycles, held.squares, variances);
    const std::size_t of_token = array.sums_per_token();
    for (Index token = 0; token < tokens; ++token) {
        const auto offset = static_cast<std::size_t>(token) * of_token;
        add_read_noise({currents.data() + offset, of_token}, {variances.data() + offset, of_token},
                       draw(array, number, first + token), array.cells.read_sigma());
    }
    return currents;
}

std::span<const float> CircuitMultiplier::draw(const Array& array, std::size_t number, Index token) {
    // All sums of a token and plane stand in one row of draws, one array behind the other.
    normal_.resize(array.sums_per_token());
    linalg::fill_normal(array.readers.draws->key, array.readers.draws->identity(token),
                        first_draw(array, number), normal_);
    return normal_;
}

std::size_t CircuitMultiplier::first_draw(const Array& array, std::size_t number) {
    const std::size_t room =
        array.inputs.cycles().size() * static_cast<std::size_t>(array.matrix.array_columns);
    const std::size_t groups = (room + linalg::normal_group - 1) / linalg::normal_group;
    return number * groups * linalg::normal_group;
}

void CircuitMultiplier::add_telegraph_noise(const Array& array, const HeldCells& held, std::size_t number,
                                            Index token, std::span<float> sums) {
    const auto columns = static_cast<std::size_t>(array.output_count);
    const auto rows = static_cast<std::size_t>(array.input_count);
    if (token == 0) {
        swing_.resize(rows * columns);
        for (std::size_t i = 0; i < rows; ++i) {
            for (std::size_t j = 0; j < columns; ++j) {
                const auto row = static_cast<Index>(i), column = static_cast<Index>(j);
                const float digit = array.by_outputs() ? held.digits(column, row) : held.digits(row, column);
                swing_[i * columns + j] = array.cells.telegraph_swing(digit);
            }
        }
    }
    states_.resize(sums.size());
    linalg::fill_words(array.readers.telegraph->key, array.readers.telegraph->identity(token),
                       first_draw(array, number), states_);
    const auto cycles = static_cast<Index>(array.inputs.cycles().size());
    for (Index cycle = 0; cycle < cycles; ++cycle) {
        const float* const digits = array.inputs.digits().data() +
                                    (token * cycles + cycle) * array.inputs.digits().outerStride() +
                                    array.first_digit;
        const std::size_t at = static_cast<std::size_t>(cycle) * columns;
        for (std::size_t i = 0; i < rows; ++i) {
            if (digits[i] != 0)
                telegraph_kernel(swing_.data() + i * columns, states_.data() + at, digits[i],
                                 static_cast<std::uint32_t>(i), sums.data() + at, columns);
        }
    }
}

}  // namespace crossweep::crossbar
