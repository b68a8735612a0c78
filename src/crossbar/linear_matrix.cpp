#include "crossweep/crossbar/linear_matrix.hpp"

#include <algorithm>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"
#include "crossweep/linalg/gaussian.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::columns_of;
using linalg::row_of;

constexpr auto block_width = static_cast<std::size_t>(linalg::output_block);
/// Blocks whose sums wait in the second-level cache for their noise: normals are cheaper in long rows.
constexpr Index blocks_at_once = 6;

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

// sum, weight_step, y:[output]  y = step weight_step sum
CROSSWEEP_MULTIVERSION
void weigh_kernel(const std::int32_t* __restrict sum, const float* __restrict weight_step, float step,
                  float* __restrict y, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) y[i] = step * weight_step[i] * static_cast<float>(sum[i]);
}

// sum, step, normal, y:[output]  y += sigma sqrt(energy_step step sum) normal
CROSSWEEP_MULTIVERSION
void add_noise_kernel(const std::int32_t* __restrict sum, const float* __restrict step, float energy_step,
                      float sigma, const float* __restrict normal, float* __restrict y, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float variance = energy_step * step[i] * static_cast<float>(sum[i]);
        y[i] += sigma * __builtin_sqrtf(variance) * normal[i];
    }
}

/// The weights that the planes add up to, and their squared amplitudes, each as far as it is wanted.
void add_planes_up(MappedOperand& mapped, const ArrayGrid& grid, const CellIdentity& identity, Cells& cells,
                   bool wants_mean, bool wants_squares, linalg::Matrix& mean) {
    const Index rows = mapped.code.rows(), columns = mapped.code.cols();
    const auto count = static_cast<std::size_t>(columns);
    mean.resize(wants_mean ? rows : 0, columns);
    mapped.squares.resize(wants_squares ? rows : 0, columns);
    mapped.squared.resize(count);
    CROSSWEEP_EXPECT(cells.fit(mapped));
    for (const Plane& plane : cells.layout().planes) {
        const float significance = plane.significance / mapped.full_code;
        const bool first = plane.number == 0, takes_sign = plane.sign == PlaneSign::of_weight;
        // Row by row where rows do not depend on each other: a row then stays in the cache from its codes to
        // its weights.
        if (cells.drop_voltage())
            cells.hold(mapped, identity, plane, grid, mapped.held);
        else
            mapped.held.resize(1, columns);
        for (Index row = 0; row < rows; ++row) {
            const std::span<float> held = row_of(mapped.held, cells.drop_voltage() ? row : 0);
            if (!cells.drop_voltage()) cells.hold_row(mapped, identity, plane, row, held);
            const float* scale = mapped.scale_of_row(row).data();
            if (wants_mean) {
                add_weight_kernel(held.data(), scale, row_of(mapped.wanted, row).data(), significance,
                                  takes_sign, first, row_of(mean, row).data(), count);
            }
            if (!wants_squares) continue;
            cells.squared_amplitude(held, mapped.squared);
            add_square_kernel(mapped.squared.data(), scale, significance, first,
                              row_of(mapped.squares, row).data(), count);
        }
    }
    if (!wants_mean || cells.layout().shift == 0) return;
    for (Index row = 0; row < rows; ++row)
        subtract_shift_kernel(mapped.scale_of_row(row).data(), cells.layout().shift / mapped.full_code,
                              row_of(mean, row).data(), count);
}

}  // namespace

void store(MappedOperand& mapped, const ArrayGrid& grid, Index head_width, const CodeLimits& limits,
           const CellIdentity& identity, Cells& cells, LinearMatrix& matrix) {
    matrix.orientation = grid.orientation;
    matrix.head_width = head_width;
    const Index largest_sum = largest_code_sum(grid.orientation, limits.largest_input);
    matrix.codes.reset();
    if (largest_sum > 0) matrix.codes = exact_codes(mapped, cells, largest_sum);
    const bool exact = matrix.codes.has_value(), noisy_reads = cells.read_sigma() > 0;
    const bool may_round = largest_sum > 0 && cells.frozen_sigma() > 0 && limits.rounding > 0;
    if (!exact || noisy_reads)
        add_planes_up(mapped, grid, identity, cells, !exact, noisy_reads || may_round, matrix.mean);
    if (may_round)
        matrix.codes =
            rounded_codes(matrix.mean, mapped.squares, cells.frozen_sigma(), largest_sum, limits.rounding);
    if (matrix.codes) matrix.mean.resize(0, 0);
    if (!noisy_reads) return;
    matrix.amplitudes.resize(static_cast<std::size_t>(mapped.code.cols() / head_width));
    for (std::size_t head = 0; head < matrix.amplitudes.size(); ++head) {
        const linalg::Matrix& squares = mapped.squares;
        matrix.amplitudes[head].store(columns_of(squares, static_cast<Index>(head) * head_width, head_width),
                                      grid.orientation);
    }
}

void pack(Index rows, LinearMatrix& matrix) {
    if (matrix.mean.size() == 0 || rows <= 1) return;
    matrix.packed = linalg::PackedMatrix(linalg::const_view(matrix.mean), rows);
    if (!matrix.packed.empty()) matrix.mean.resize(0, 0);
}

void LinearMultiplier::multiply(const LinearMatrix& matrix, std::size_t head, InputConverter& inputs,
                                const std::optional<ReadNoiseOfProduct>& noise, linalg::MatrixView y) {
    const bool integers = matrix.codes.has_value();
    if (!matrix.packed.empty()) {
        matrix.packed.multiply(inputs.values(), y);
    } else if (!integers) {
        const Index first = static_cast<Index>(head) * matrix.head_width;
        crossbar::multiply(matrix.orientation, inputs.values(),
                           columns_of(matrix.mean, first, matrix.head_width), y);
    }
    if (!integers && !noise) return;
    draws_.clear();
    for (Index row = 0; noise && row < y.rows(); ++row) draws_.push_back(noise->draws.identity(row));
    const std::size_t block_sums = static_cast<std::size_t>(y.rows()) * block_width;
    codes_.resize(blocks_at_once * block_sums);
    variances_.resize(codes_.size());
    const Index blocks = (y.cols() + linalg::output_block - 1) / linalg::output_block;
    for (Index first = 0; first < blocks; first += blocks_at_once) {
        const Index end = std::min<Index>(first + blocks_at_once, blocks);
        for (Index block = first; block < end; ++block) {
            const std::size_t at = static_cast<std::size_t>(block - first) * block_sums;
            if (integers)
                linalg::multiply_block(inputs.words(), matrix.codes->packed, block, codes_.data() + at);
            if (noise) {
                linalg::multiply_block(inputs.energies(noise->energy).codes(),
                                       matrix.amplitudes[head].codes(), block, variances_.data() + at);
            }
        }
        finish_blocks(
            matrix, head, inputs, noise, first * linalg::output_block,
            columns_of(y, first * linalg::output_block,
                       std::min(end * linalg::output_block, y.cols()) - first * linalg::output_block));
    }
}

void LinearMultiplier::finish_blocks(const LinearMatrix& matrix, std::size_t head, InputConverter& inputs,
                                     const std::optional<ReadNoiseOfProduct>& noise, Index first,
                                     linalg::MatrixView y) {
    const bool integers = matrix.codes.has_value();
    const std::size_t block_sums = static_cast<std::size_t>(y.rows()) * block_width;
    const auto first_output = static_cast<std::size_t>(first), outputs = static_cast<std::size_t>(y.cols());
    normal_.resize(outputs);
    for (Index row = 0; row < y.rows(); ++row) {
        const auto token = static_cast<std::size_t>(row);
        float* const of_token = row_of(y, row).data();
        if (noise) linalg::fill_normal(noise->draws.key, draws_[token], first_output, normal_);
        for (std::size_t output = 0; output < outputs; output += block_width) {
            const std::size_t at = output / block_width * block_sums + token * block_width;
            const std::size_t count = std::min(block_width, outputs - output);
            if (integers) {
                weigh_kernel(codes_.data() + at, matrix.codes->steps.data() + first_output + output,
                             inputs.steps()[token], of_token + output, count);
            }
            if (!noise) continue;
            add_noise_kernel(variances_.data() + at,
                             matrix.amplitudes[head].steps().data() + first_output + output,
                             inputs.energies(noise->energy).steps()[token], noise->sigma,
                             normal_.data() + output, of_token + output, count);
        }
    }
}

}  // namespace crossweep::crossbar
