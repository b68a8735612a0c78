#include "crossweep/crossbar/mapping.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"
#include "crossweep/linalg/quantise.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;

CROSSWEEP_MULTIVERSION
void continuous_kernel(const float* __restrict w, const float* __restrict inverse, float min, float span,
                       float* __restrict g, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) g[i] = min + span * (std::fabs(w[i]) * inverse[i]);
}

CROSSWEEP_MULTIVERSION
void level_kernel(const float* __restrict w, const float* __restrict inverse, float steps, float min,
                  float step_S, float* __restrict g, std::size_t count) {
    constexpr float magic = 12582912.0F;  // 1.5 * 2^23: adding and subtracting it rounds to an integer
    for (std::size_t i = 0; i < count; ++i) {
        g[i] = min + step_S * ((std::fabs(w[i]) * inverse[i] * steps + magic) - magic);
    }
}

CROSSWEEP_MULTIVERSION
void weight_kernel(const float* __restrict g, const float* __restrict signs, const float* __restrict scale,
                   float min, float inverse_span, float* __restrict w, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float magnitude = (g[i] - min) * inverse_span * scale[i];
        w[i] = signs[i] < 0.0F ? -magnitude : magnitude;
    }
}

CROSSWEEP_MULTIVERSION
void squared_kernel(const float* __restrict g, const float* __restrict scale, float inverse_span,
                    float* __restrict squared, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float amplitude = g[i] * inverse_span * scale[i];
        squared[i] = amplitude * amplitude;
    }
}

/// 0, step, 2 step, ..., restarting at every multiple of `section`, up to `columns`.
std::vector<Index> edges(Index columns, Index section, Index step) {
    std::vector<Index> result;
    for (Index start = 0; start < columns; start += section) {
        for (Index edge = start; edge < std::min(start + section, columns); edge += step)
            result.push_back(edge);
    }
    result.push_back(columns);
    return result;
}

}  // namespace

void to_conductance(std::span<const float> weight, std::span<const float> inverse_scale, std::uint32_t levels,
                    ConductanceWindow window, std::span<float> conductance_S) {
    CROSSWEEP_EXPECT(weight.size() == inverse_scale.size() && weight.size() == conductance_S.size());
    if (levels == 0) {
        continuous_kernel(weight.data(), inverse_scale.data(), window.min_S, window.span_S(),
                          conductance_S.data(), weight.size());
        return;
    }
    const float steps = static_cast<float>(levels - 1);
    level_kernel(weight.data(), inverse_scale.data(), steps, window.min_S, window.span_S() / steps,
                 conductance_S.data(), weight.size());
}

void to_weight(std::span<const float> conductance_S, std::span<const float> signs,
               std::span<const float> scale, ConductanceWindow window, std::span<float> weight) {
    CROSSWEEP_EXPECT(conductance_S.size() == signs.size() && conductance_S.size() == scale.size());
    weight_kernel(conductance_S.data(), signs.data(), scale.data(), window.min_S, 1.0F / window.span_S(),
                  weight.data(), conductance_S.size());
}

void to_squared_amplitude(std::span<const float> conductance_S, std::span<const float> scale,
                          ConductanceWindow window, std::span<float> squared) {
    CROSSWEEP_EXPECT(conductance_S.size() == scale.size() && conductance_S.size() == squared.size());
    squared_kernel(conductance_S.data(), scale.data(), 1.0F / window.span_S(), squared.data(),
                   squared.size());
}

ScaleBlocks blocks_of_weight(const CrossbarParams& params, linalg::Role role, Index outputs, Index inputs,
                             Index head_width) {
    using linalg::Role;
    switch (params.weight_scale) {
        case ScaleBlock::tensor:
            break;
        case ScaleBlock::head:
            if (role == Role::projection) return {outputs, edges(inputs, head_width, head_width)};
            if (role != Role::mlp_in && role != Role::mlp_out) return {head_width, {0, inputs}};
            break;
        case ScaleBlock::column:
            return {1, {0, inputs}};
        case ScaleBlock::tile:
            return {params.array_columns, edges(inputs, inputs, params.array_rows)};
    }
    return {outputs, {0, inputs}};
}

ScaleBlocks blocks_of_written(const CrossbarParams& params, linalg::Role role, Index tokens, Index width,
                              Index head_width) {
    // K is written transposed: a crossbar column is a token of K, but a channel of V.
    const bool keys = role == linalg::Role::key;
    switch (params.written_scale) {
        case ScaleBlock::tensor:
            break;
        case ScaleBlock::head:
            return {tokens, edges(width, head_width, head_width)};
        case ScaleBlock::column:
            return keys ? ScaleBlocks{1, edges(width, head_width, head_width)}
                        : ScaleBlocks{tokens, edges(width, width, 1)};
        case ScaleBlock::tile:
            return {keys ? params.array_columns : params.array_rows,
                    edges(width, head_width, keys ? params.array_rows : params.array_columns)};
    }
    return {tokens, {0, width}};
}

void BandScale::measure(const linalg::ConstMatrixView& matrix, Index first, const ScaleBlocks& blocks) {
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

}  // namespace crossweep::crossbar
