// Analog-to-digital converters: one per column of every array. Sums are in units of one digit on a cell times
// one digit of input, the background of G_min taken off by an ideal reference column (assumption).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crossweep/core/noise_stream.hpp"
#include "crossweep/crossbar/adc_calibration.hpp"
#include "crossweep/crossbar/cell_layout.hpp"
#include "crossweep/crossbar/crossbar_params.hpp"
#include "crossweep/crossbar/input_converter.hpp"

namespace crossweep::crossbar {

/// The largest sum that a column of a full array can give.
double full_range(const CrossbarParams& params, float largest_digit);

/// Columns of one operand: `row_tiles` arrays along the inputs, times outputs, times planes.
struct ColumnBank {
    StreamKey key;
    LayerId layer;
    linalg::Role role;
    Eigen::Index row_tiles, outputs;
};

/// The converters of one operand, with the errors that its chip gave them.
class AdcBank {
  public:
    /// `ranges` is looked at with AdcRange::calibrated only.
    AdcBank(const CrossbarParams& params, const CellLayout& layout, const AdcRanges* ranges,
            const ColumnBank& columns);

    /// Convert the sums of one token, [cycles, columns] of the array in row tile `tile` whose first column is
    /// output `first`, add the codes up over the cycles by their weights, and add the result in units of
    /// sums, times the plane's significance, to `total` [columns].
    void convert(const Plane& plane, Eigen::Index tile, Eigen::Index first, std::span<const Cycle> cycles,
                 std::span<const float> sums, std::span<double> total) const;

    /// What one step of the converters of a slice is worth; 1 for exact converters.
    float step(std::uint32_t slice) const { return steps_[slice]; }

  private:
    const float* errors(const linalg::Matrix& all, const Plane& plane, Eigen::Index tile, Eigen::Index first,
                        std::size_t columns) const;

    float largest_code_;        ///< 0: exact
    bool adds_in_fp32_;         ///< whether sums of codes by weights of cycles are exact there
    std::vector<float> steps_;  ///< [slice]
    std::size_t planes_;
    linalg::Matrix gain_, offset_;  ///< [row tile * planes + plane, output]; empty without errors
};

}  // namespace crossweep::crossbar
