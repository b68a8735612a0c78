#include "crossweep/crossbar/adc.hpp"

#include <algorithm>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"
#include "crossweep/core/rounding.hpp"
#include "crossweep/linalg/gaussian.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;

/// What a token's sums on one array go through.
struct Conversion {
    std::span<const Cycle> cycles;
    const float* sums;                               ///< [cycle, column]
    const float *gain = nullptr, *offset = nullptr;  ///< [column]; null without errors
    float inverse_step, largest_code;
    double unit;    ///< what a code counts: step times significance
    double* total;  ///< [column]
    std::size_t columns;
};

/// Columns whose codes add up in registers and the first cache.
constexpr std::size_t columns_at_once = 64;

// y:[cycle, column]  total, gain, offset:[column]  weight:[cycle]
// total += unit sum_c weight_c code_c, code = round(y / step gain + offset) in 0 … largest, added up as Sum,
// which holds these whole numbers exactly. Comparisons are written so that what is not a number stays so.
template <class Sum, bool has_errors>
[[gnu::always_inline]] inline void convert_body(const Conversion& to) {
    const float inverse_step = to.inverse_step, largest = to.largest_code;
    for (std::size_t first = 0; first < to.columns; first += columns_at_once) {
        const std::size_t columns = std::min(columns_at_once, to.columns - first);
        Sum codes[columns_at_once] = {};
        for (std::size_t c = 0; c < to.cycles.size(); ++c) {
            const float* __restrict y = to.sums + c * to.columns + first;
            const Sum weight = static_cast<Sum>(to.cycles[c].weight);
            for (std::size_t j = 0; j < columns; ++j) {
                float level = y[j] * inverse_step;
                if constexpr (has_errors) level = level * to.gain[first + j] + to.offset[first + j];
                const float raised = level < 0.0F ? 0.0F : level;
                const float code = ((raised > largest ? largest : raised) + rounding_shift) - rounding_shift;
                codes[j] += weight * static_cast<Sum>(code);
            }
        }
        for (std::size_t j = 0; j < columns; ++j)
            to.total[first + j] += to.unit * static_cast<double>(codes[j]);
    }
}

CROSSWEEP_MULTIVERSION
void convert_kernel(const Conversion& to) {
    convert_body<float, false>(to);
}

CROSSWEEP_MULTIVERSION
void convert_in_fp64_kernel(const Conversion& to) {
    convert_body<double, false>(to);
}

CROSSWEEP_MULTIVERSION
void convert_with_errors_kernel(const Conversion& to) {
    convert_body<double, true>(to);
}

/// The same without rounding; real sums add up over the cycles before their significance counts.
CROSSWEEP_MULTIVERSION
void add_exactly_kernel(const Conversion& to) {
    for (std::size_t first = 0; first < to.columns; first += columns_at_once) {
        const std::size_t columns = std::min(columns_at_once, to.columns - first);
        double sums[columns_at_once] = {};
        for (std::size_t c = 0; c < to.cycles.size(); ++c) {
            const float* __restrict y = to.sums + c * to.columns + first;
            const auto weight = static_cast<double>(to.cycles[c].weight);
            for (std::size_t j = 0; j < columns; ++j) sums[j] += weight * static_cast<double>(y[j]);
        }
        for (std::size_t j = 0; j < columns; ++j) to.total[first + j] += to.unit * sums[j];
    }
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
      // Codes times weights of cycles are below 2^adc_bits 2^input_bits in sum.
      adds_in_fp32_(params.adc_bits + params.input_bits <= 24),
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

const float* AdcBank::errors(const linalg::Matrix& all, const Plane& plane, Index tile, Index first,
                             [[maybe_unused]] std::size_t columns) const {
    const Index row = tile * static_cast<Index>(planes_) + plane.number;
    CROSSWEEP_EXPECT(row < all.rows() && first + static_cast<Index>(columns) <= all.cols());
    return all.data() + row * all.cols() + first;
}

void AdcBank::convert(const Plane& plane, Index tile, Index first, std::span<const Cycle> cycles,
                      std::span<const float> sums, std::span<double> total) const {
    const std::size_t columns = total.size();
    CROSSWEEP_EXPECT(sums.size() == cycles.size() * columns);
    const float step = steps_[plane.slice];
    Conversion to{.cycles = cycles,
                  .sums = sums.data(),
                  .inverse_step = 1 / step,
                  .largest_code = largest_code_,
                  .unit = static_cast<double>(step) * static_cast<double>(plane.significance),
                  .total = total.data(),
                  .columns = columns};
    if (largest_code_ == 0) return add_exactly_kernel(to);
    if (gain_.size() > 0) {
        to.gain = errors(gain_, plane, tile, first, columns);
        to.offset = errors(offset_, plane, tile, first, columns);
        return convert_with_errors_kernel(to);
    }
    adds_in_fp32_ ? convert_kernel(to) : convert_in_fp64_kernel(to);
}

}  // namespace crossweep::crossbar
