#include "crossweep/transform/operand_transform.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"
#include "crossweep/linalg/blocks.hpp"

namespace crossweep::transform {
namespace {

using Eigen::Index;

constexpr float unlimited = std::numeric_limits<float>::infinity();

// Comparisons stand such that what is not a number stays so.

CROSSWEEP_MULTIVERSION
void clip_kernel(float* __restrict g, float shift, float floor, float ceiling, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float lowered = g[i] - shift;
        const float raised = lowered < floor ? floor : lowered;
        g[i] = raised > ceiling ? ceiling : raised;
    }
}

CROSSWEEP_MULTIVERSION
void clip_columns_kernel(float* __restrict g, float shift, float floor, const float* __restrict ceiling,
                         std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float lowered = g[i] - shift;
        const float raised = lowered < floor ? floor : lowered;
        g[i] = raised > ceiling[i] ? ceiling[i] : raised;
    }
}

CROSSWEEP_MULTIVERSION
void stretch_kernel(float* __restrict g, float* __restrict scale, const float* __restrict stretch,
                    const float* __restrict shrink, float min, float max, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float stretched = min + (g[i] - min) * stretch[i];
        g[i] = stretched > max ? max : stretched;  // by rounding only
        scale[i] *= shrink[i];
    }
}

/// largest = max(largest, g) by bits, which order non-negative floats; a NaN counts as the largest.
CROSSWEEP_MULTIVERSION
void largest_kernel(const float* __restrict g, std::uint32_t* __restrict largest, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint32_t bits = std::bit_cast<std::uint32_t>(g[i]);
        largest[i] = bits > largest[i] ? bits : largest[i];
    }
}

CROSSWEEP_MULTIVERSION
void add_kernel(const float* __restrict x, double* __restrict sum, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) sum[i] += static_cast<double>(x[i]);
}

CROSSWEEP_MULTIVERSION
void subtract_kernel(float* __restrict x, const float* __restrict mean, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) x[i] -= mean[i];
}

linalg::Blocks blocks_of(ClipBlock block, linalg::Role operand, Index tokens, Index width, Index head_width) {
    switch (block) {
        case ClipBlock::tensor:
            break;
        case ClipBlock::head:
            return linalg::head_blocks(tokens, width, head_width);
        case ClipBlock::column:
            return linalg::output_blocks(operand, tokens, width, head_width);
    }
    return {tokens, {0, width}};
}

/// alpha G_min, and the lower end that stage 1 leaves.
struct Threshold {
    float shift_S, floor_S;
};

Threshold threshold_of(const TransformParams& params, ConductanceWindow window) {
    return {static_cast<float>(params.alpha) * window.min_S, params.alpha > 0 ? window.min_S : -unlimited};
}

/// C of the header for a block whose largest conductance is B and whose percentile is P.
float ceiling_of(const TransformParams& params, ConductanceWindow window, float largest_S,
                 float percentile_S) {
    if (params.beta >= 1 && params.percentile >= 100) return unlimited;
    const float saturation = std::min(static_cast<float>(params.beta) * largest_S, percentile_S);
    return std::max(saturation, window.min_S);
}

/// Clips and stretches of one band of rows, column by column, and what it takes to find them.
class BandClip {
  public:
    BandClip(const TransformParams& params, ConductanceWindow window, Index width)
        : params_(params),
          window_(window),
          threshold_(threshold_of(params, window)),
          largest_(static_cast<std::size_t>(width)),
          ceiling_(largest_.size()),
          stretch_(largest_.size()),
          shrink_(largest_.size()) {}

    void operator()(const linalg::Blocks& blocks, linalg::MatrixView band, linalg::MatrixView scale) {
        measure_columns(band);
        for (std::size_t block = 0; block + 1 < blocks.column_edges.size(); ++block)
            decide(band, blocks.column_edges[block], blocks.column_edges[block + 1]);
        for (Index row = 0; row < band.rows(); ++row) {
            float* g = band.data() + row * band.outerStride();
            clip_columns_kernel(g, threshold_.shift_S, threshold_.floor_S, ceiling_.data(), ceiling_.size());
            if (params_.rescale == Rescale::none) continue;
            stretch_kernel(g, scale.data() + row * scale.outerStride(), stretch_.data(), shrink_.data(),
                           window_.min_S, window_.max_S, stretch_.size());
        }
    }

  private:
    void measure_columns(const linalg::MatrixView& band) {
        const bool given = params_.clip_block == ClipBlock::tensor;
        std::fill(largest_.begin(), largest_.end(), given ? std::bit_cast<std::uint32_t>(window_.max_S) : 0U);
        if (given) return;
        for (Index row = 0; row < band.rows(); ++row)
            largest_kernel(band.data() + row * band.outerStride(), largest_.data(), largest_.size());
    }

    void decide(const linalg::MatrixView& band, Index begin, Index end) {
        const float largest_S =
            std::bit_cast<float>(*std::max_element(largest_.begin() + begin, largest_.begin() + end));
        const float percentile_S = params_.percentile < 100 ? percentile(band, begin, end) : unlimited;
        const float ceiling_S = ceiling_of(params_, window_, largest_S, percentile_S);
        const float top_S = std::min(ceiling_S, largest_S - threshold_.shift_S);
        const float left_S = top_S - window_.min_S;
        const bool stretches = left_S > 0;
        std::fill(ceiling_.begin() + begin, ceiling_.begin() + end, ceiling_S);
        std::fill(stretch_.begin() + begin, stretch_.begin() + end,
                  stretches ? window_.span_S() / left_S : 1.0F);
        std::fill(shrink_.begin() + begin, shrink_.begin() + end,
                  stretches ? left_S / window_.span_S() : 1.0F);
    }

    float percentile(const linalg::MatrixView& band, Index begin, Index end) {
        sorted_.clear();
        for (Index row = 0; row < band.rows(); ++row) {
            const float* g = band.data() + row * band.outerStride();
            for (Index column = begin; column < end; ++column)
                sorted_.push_back(std::bit_cast<std::uint32_t>(g[column]));
        }
        const double count = static_cast<double>(sorted_.size());
        // A rank that is whole but for rounding is not rounded up.
        const double rank = std::clamp(std::ceil(params_.percentile * count / 100 - 1e-9), 1.0, count);
        const auto nth = sorted_.begin() + static_cast<std::ptrdiff_t>(rank) - 1;
        std::nth_element(sorted_.begin(), nth, sorted_.end());
        return std::bit_cast<float>(*nth);
    }

    const TransformParams& params_;
    ConductanceWindow window_;
    Threshold threshold_;
    std::vector<std::uint32_t> largest_;             // bits of B, column by column
    std::vector<float> ceiling_, stretch_, shrink_;  // [width]
    std::vector<std::uint32_t> sorted_;  // bits of a block, which unlike floats have a total order
};

}  // namespace

void centre_keys(linalg::MatrixView keys) {
    const auto width = static_cast<std::size_t>(keys.cols());
    std::vector<double> sum(width, 0.0);
    for (Index token = 0; token < keys.rows(); ++token)
        add_kernel(keys.data() + token * keys.outerStride(), sum.data(), width);
    std::vector<float> mean(width);
    std::transform(
        sum.begin(), sum.end(), mean.begin(),
        [tokens = static_cast<double>(keys.rows())](double s) { return static_cast<float>(s / tokens); });
    for (Index token = 0; token < keys.rows(); ++token)
        subtract_kernel(keys.data() + token * keys.outerStride(), mean.data(), width);
}

bool clips(const TransformParams& params) {
    const bool stretches = params.rescale == Rescale::window && params.clip_block != ClipBlock::tensor;
    return params.alpha > 0 || params.beta < 1 || params.percentile < 100 || stretches;
}

void clip(const TransformParams& params, ConductanceWindow window, linalg::Role operand, Index head_width,
          linalg::MatrixView conductance_S, linalg::MatrixView scale) {
    CROSSWEEP_EXPECT(linalg::is_written(operand));
    CROSSWEEP_EXPECT(params.rescale == Rescale::none ||
                     (scale.rows() == conductance_S.rows() && scale.cols() == conductance_S.cols()));
    CROSSWEEP_EXPECT(params.alpha >= 0 && params.beta > 0 && params.percentile > 0);
    if (!clips(params) || conductance_S.size() == 0) return;
    const Index tokens = conductance_S.rows(), width = conductance_S.cols();
    if (params.clip_block == ClipBlock::tensor && params.percentile >= 100 &&
        params.rescale == Rescale::none) {
        // ClipFormer as published: nothing to measure.
        const Threshold threshold = threshold_of(params, window);
        const float ceiling_S = ceiling_of(params, window, window.max_S, unlimited);
        for (Index token = 0; token < tokens; ++token)
            clip_kernel(conductance_S.data() + token * conductance_S.outerStride(), threshold.shift_S,
                        threshold.floor_S, ceiling_S, static_cast<std::size_t>(width));
        return;
    }
    const linalg::Blocks blocks = blocks_of(params.clip_block, operand, tokens, width, head_width);
    BandClip clip_band(params, window, width);
    for (Index first = 0; first < tokens; first += blocks.rows) {
        const Index rows = std::min(blocks.rows, tokens - first);
        const auto band_of = [&](linalg::MatrixView& matrix) {
            return linalg::MatrixView(matrix.data() + first * matrix.outerStride(), rows, width,
                                      Eigen::OuterStride<>(matrix.outerStride()));
        };
        clip_band(blocks, band_of(conductance_S), params.rescale == Rescale::none ? scale : band_of(scale));
    }
}

}  // namespace crossweep::transform
