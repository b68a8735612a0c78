// One operand as codes, ready to be put onto cells: scale, transform and rounding are done, noise is not.
#pragma once

#include <span>
#include <vector>

#include "crossweep/crossbar/crossbar_params.hpp"
#include "crossweep/crossbar/mapping.hpp"
#include "crossweep/linalg/matrix.hpp"
#include "crossweep/transform/transform_params.hpp"

namespace crossweep::crossbar {

/// An operand in its stored shape, on its way to the cells. The weight wanted is
/// sign * code * scale / full_code.
struct MappedOperand {
    linalg::Matrix code;   ///< magnitudes
    linalg::Matrix signs;  ///< numbers of the right sign, used for K that is centred only
    linalg::Matrix scale;  ///< W_max of every element's block, one row for each `rows_per_scale` rows
    Eigen::Index rows_per_scale = 1;
    linalg::ConstMatrixView wanted{nullptr, 0, 0, Eigen::OuterStride<>(0)};  ///< gives the signs
    float full_code = 1;                                                     ///< of W_max

    std::span<const float> scale_of_row(Eigen::Index row) const {
        return linalg::row_of(linalg::const_view(scale), row / rows_per_scale);
    }

    linalg::Matrix held;         ///< memory for what the cells of a plane hold
    std::vector<float> squared;  ///< memory for a row of their squared amplitudes
    linalg::Matrix squares;      ///< memory for those of all planes together
};

/// Map one part of a stationary weight [outputs, inputs]; `weight` must outlive the result.
void map_weight(const CrossbarParams& params, linalg::Role role, const linalg::ConstMatrixView& weight,
                Eigen::Index head_width, MappedOperand& mapped);

/// Map K or V [tokens, width]: centre K, map to conductances of `window`, clip, round. `values` must outlive
/// the result.
void map_written(const CrossbarParams& params, const transform::TransformParams& transform,
                 ConductanceWindow window, linalg::Role role, const linalg::ConstMatrixView& values,
                 Eigen::Index head_width, MappedOperand& mapped);

/// The largest code that clipping leaves of K or V; a percentile, which depends on the operand, counts as
/// 100.
float largest_written_code(const CrossbarParams& params, const transform::TransformParams& transform,
                           ConductanceWindow window);

}  // namespace crossweep::crossbar
