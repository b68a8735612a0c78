#include "crossweep/crossbar/adc.hpp"

#include <algorithm>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"
#include "crossweep/core/rounding.hpp"
#include "crossweep/linalg/gaussian.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;

// sum, gain, offset, out:[column]  out += weight code, code = round(sum / step * gain + offset) in 0 …
// largest. Comparisons are written so that what is not a number stays so.
CROSSWEEP_MULTIVERSION
void convert_kernel(const float* __restrict sum, const float* __restrict gain, const float* __restrict offset,
                    float inverse_step, float largest, double weight, double* __restrict out,
                    std::size_t columns) {
    for (std::size_t j = 0; j < columns; ++j) {
        const float level = sum[j] * inverse_step * gain[j] + offset[j];
        const float raised = level < 0.0F ? 0.0F : level;
        const float code = ((raised > largest ? largest : raised) + rounding_shift) - rounding_shift;
        out[j] += weight * static_cast<double>(code);
    }
}

CROSSWEEP_MULTIVERSION
void convert_without_errors_kernel(const float* __restrict sum, float inverse_step, float largest,
                                   double weight, double* __restrict out, std::size_t columns) {
    for (std::size_t j = 0; j < columns; ++j) {
        const float level = sum[j] * inverse_step;
        const float raised = level < 0.0F ? 0.0F : level;
        const float code = ((raised > largest ? largest : raised) + rounding_shift) - rounding_shift;
        out[j] += weight * static_cast<double>(code);
    }
}

CROSSWEEP_MULTIVERSION
void add_exactly_kernel(const float* __restrict sum, double weight, double* __restrict out,
                        std::size_t columns) {
    for (std::size_t j = 0; j < columns; ++j) out[j] += weight * static_cast<double>(sum[j]);
}

CROSSWEEP_MULTIVERSION
void scale_kernel(double* out, double factor, std::size_t columns) {
    for (std::size_t j = 0; j < columns; ++j) out[j] *= factor;
}

/// Normals of every column, times `sigma`, plus `mean`.
linalg::Matrix draw_errors(const ColumnBank& columns, std::size_t planes, NoiseSite site, double sigma,
                           float mean) {
    linalg::Matrix errors(columns.row_tiles * static_cast<Index>(planes), columns.outputs);
    for (Index row = 0; row < errors.rows(); ++row) {
        linalg::fill_normal(columns.key,
                            draw_identity(site, columns.layer, static_cast<std::uint32_t>(columns.role), 0,
                                          static_cast<std::uint32_t>(row)),
                            linalg::row_of(errors, row));
    }
    return (errors.array() * static_cast<float>(sigma) + mean).matrix();
}

}  // namespace

double full_range(const CrossbarParams& params, float largest_digit) {
    const std::uint32_t bits = std::min(params.dac_bits, params.input_bits - 1);
    return static_cast<double>(params.array_rows) * static_cast<double>(largest_digit) *
           static_cast<double>((1U << bits) - 1);
}

AdcBank::AdcBank(const CrossbarParams& params, const CellLayout& layout, const AdcRanges* ranges,
                 const ColumnBank& columns)
    : largest_code_(params.adc_bits == 0 ? 0.0F : static_cast<float>((1U << params.adc_bits) - 1)),
      steps_(layout.slices, 1.0F),
      planes_(layout.planes.size()) {
    if (params.adc_bits == 0) return;
    const double full = full_range(params, layout.largest_digit);
    for (std::uint32_t slice = 0; slice < layout.slices; ++slice) {
        double top = full;
        if (params.adc_range == AdcRange::given) top = params.adc_range_top;
        if (params.adc_range == AdcRange::calibrated) {
            CROSSWEEP_EXPECT(ranges != nullptr);
            top = ranges->of(columns.layer, columns.role).at(slice);
        }
        const double step = top / static_cast<double>(largest_code_);
        // Sums of perfect cells are integers: a finer step would only round them away.
        const bool chosen_here = params.adc_range != AdcRange::given;
        steps_[slice] = static_cast<float>(chosen_here ? std::max(1.0, step) : step);
    }
    if (params.adc_gain_sigma == 0 && params.adc_offset_sigma == 0) return;
    gain_ = draw_errors(columns, planes_, NoiseSite::adc_gain, params.adc_gain_sigma, 1);
    offset_ = draw_errors(columns, planes_, NoiseSite::adc_offset, params.adc_offset_sigma, 0);
}

std::span<const float> AdcBank::errors(const linalg::Matrix& all, const Plane& plane, Index tile, Index first,
                                       std::size_t columns) const {
    const Index row = tile * static_cast<Index>(planes_) + plane.number;
    CROSSWEEP_EXPECT(row < all.rows() && first + static_cast<Index>(columns) <= all.cols());
    return {all.data() + row * all.cols() + first, columns};
}

void AdcBank::convert(const Plane& plane, Index tile, Index first, std::span<const Cycle> cycles,
                      std::span<const float> sums, std::span<double> converted) const {
    const std::size_t columns = converted.size();
    CROSSWEEP_EXPECT(sums.size() == cycles.size() * columns);
    std::fill(converted.begin(), converted.end(), 0.0);
    const float step = steps_[plane.slice];
    for (std::size_t c = 0; c < cycles.size(); ++c) {
        const float* sum = sums.data() + c * columns;
        const auto weight = static_cast<double>(cycles[c].weight);
        if (largest_code_ == 0) {
            add_exactly_kernel(sum, weight, converted.data(), columns);
        } else if (gain_.size() == 0) {
            convert_without_errors_kernel(sum, 1 / step, largest_code_, weight, converted.data(), columns);
        } else {
            convert_kernel(sum, errors(gain_, plane, tile, first, columns).data(),
                           errors(offset_, plane, tile, first, columns).data(), 1 / step, largest_code_,
                           weight, converted.data(), columns);
        }
    }
    if (step != 1) scale_kernel(converted.data(), static_cast<double>(step), columns);
}

}  // namespace crossweep::crossbar
