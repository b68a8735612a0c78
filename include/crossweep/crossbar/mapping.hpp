// Matrices to conductances and back: G = G_min + (G_max - G_min) |W| / W_max, the sign kept aside.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crossweep/core/conductance.hpp"
#include "crossweep/crossbar/crossbar_params.hpp"
#include "crossweep/linalg/matmul_engine.hpp"

namespace crossweep::crossbar {

/// Conductances of the magnitudes of `weight`, rounded to `levels` equidistant conductances (0: not rounded).
/// `inverse_scale[i]` is 1 / W_max of element i's block, or 0 where W_max is 0, which gives G_min.
void to_conductance(std::span<const float> weight, std::span<const float> inverse_scale, std::uint32_t levels,
                    ConductanceWindow window, std::span<float> conductance_S);

/// Weights that (noisy) conductances stand for: sign(W) (G - G_min) W_max / (G_max - G_min), signs taken from
/// `signs`.
void to_weight(std::span<const float> conductance_S, std::span<const float> signs,
               std::span<const float> scale, ConductanceWindow window, std::span<float> weight);

/// Squares of whole conductances in weight units, (G W_max / (G_max - G_min))^2: what read noise is
/// proportional to.
void to_squared_amplitude(std::span<const float> conductance_S, std::span<const float> scale,
                          ConductanceWindow window, std::span<float> squared);

/// Blocks of a matrix that share one W_max: bands of rows, cut at the same columns.
struct ScaleBlocks {
    Eigen::Index rows = 0;                   ///< rows of one band
    std::vector<Eigen::Index> column_edges;  ///< 0, ..., columns
};

/// Blocks of one part of a stationary weight [outputs, inputs]; `role` is that part's.
/// A head is a band of outputs of Q, K, V and a band of inputs of the projection; the MLP has none: whole
/// matrix.
ScaleBlocks blocks_of_weight(const CrossbarParams& params, linalg::Role role, Eigen::Index outputs,
                             Eigen::Index inputs, Eigen::Index head_width);

/// Blocks of K or V [tokens, width] as it is written; arrays never span two heads.
ScaleBlocks blocks_of_written(const CrossbarParams& params, linalg::Role role, Eigen::Index tokens,
                              Eigen::Index width, Eigen::Index head_width);

/// W_max of every element of a band of rows, and its inverse, repeated along the columns.
class BandScale {
  public:
    /// Measure rows [first, first + blocks.rows) of `matrix`, fewer at its end.
    void measure(const linalg::ConstMatrixView& matrix, Eigen::Index first, const ScaleBlocks& blocks);
    std::span<const float> scale() const { return scale_; }
    std::span<const float> inverse() const { return inverse_; }

  private:
    std::vector<float> scale_, inverse_;
};

}  // namespace crossweep::crossbar
