// Matrices to codes and back: magnitude code = round((levels - 1) |W| / W_max), the sign kept aside. On a
// cell, code 0 is G_min and the largest code G_max (PHYSICS section 1).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crossweep/core/conductance.hpp"
#include "crossweep/crossbar/crossbar_params.hpp"
#include "crossweep/crossbar/orientation.hpp"
#include "crossweep/linalg/blocks.hpp"
#include "crossweep/linalg/matmul_engine.hpp"

namespace crossweep::crossbar {

/// Magnitude codes of a matrix: 0 … largest. Without levels they are real numbers from 0 to 1.
struct Codebook {
    explicit Codebook(std::uint32_t weight_levels)
        : largest(weight_levels == 0 ? 1.0F : static_cast<float>(weight_levels - 1)),
          rounds(weight_levels != 0) {}
    float largest;
    bool rounds;
};

/// Codes of the magnitudes of `weight`. `inverse_scale[i]` is 1 / W_max of element i's block, or 0 where
/// W_max is 0, which gives code 0.
void to_code(std::span<const float> weight, std::span<const float> inverse_scale, const Codebook& codebook,
             std::span<float> code);

/// The same for conductances (siemens) that stand for magnitudes in `window`.
void to_code(std::span<const float> conductance_S, ConductanceWindow window, const Codebook& codebook,
             std::span<float> code);

/// Conductances of the magnitudes of `weight`, not rounded: G_min + (G_max - G_min) |W| / W_max.
void to_conductance(std::span<const float> weight, std::span<const float> inverse_scale,
                    ConductanceWindow window, std::span<float> conductance_S);

/// Blocks of one part of a stationary weight [outputs, inputs] that share one W_max; `role` is that part's.
/// A head is a band of outputs of Q, K, V and a band of inputs of the projection; other weights have none:
/// whole matrix.
linalg::Blocks blocks_of_weight(const CrossbarParams& params, linalg::Role role, Eigen::Index outputs,
                                Eigen::Index inputs, Eigen::Index head_width);

/// Blocks of K or V [tokens, width] as it is written; arrays never span two heads.
linalg::Blocks blocks_of_written(const CrossbarParams& params, linalg::Role role, Eigen::Index tokens,
                                 Eigen::Index width, Eigen::Index head_width);

/// The arrays of a stored matrix: blocks of at most array_rows inputs and array_columns outputs, cut besides
/// where heads end and, along the inputs, where scales change.
struct ArrayGrid {
    linalg::Blocks blocks;
    Orientation orientation;
};

/// What a grid makes of a stored matrix.
struct Tiles {
    std::uint64_t inputs, outputs;            ///< of the matrix
    std::uint64_t input_tiles, output_tiles;  ///< arrays along its inputs and along its outputs
};
/// `rows` are those of the stored matrix, which the grid cuts into bands.
Tiles tiles_of(const ArrayGrid& grid, Eigen::Index rows);

ArrayGrid grid_of_weight(const CrossbarParams& params, linalg::Role role, Eigen::Index inputs,
                         Eigen::Index head_width);
ArrayGrid grid_of_written(const CrossbarParams& params, linalg::Role role, Eigen::Index width,
                          Eigen::Index head_width);

/// W_max of every element of a band of rows, and its inverse, repeated along the columns.
class BandScale {
  public:
    /// Measure rows [first, first + blocks.rows) of `matrix`, fewer at its end.
    void measure(const linalg::ConstMatrixView& matrix, Eigen::Index first, const linalg::Blocks& blocks);
    std::span<const float> scale() const { return scale_; }
    std::span<const float> inverse() const { return inverse_; }

  private:
    std::vector<float> scale_, inverse_;
};

/// V with ScaleBlock::token. Its rows meet the inputs, and analog sums take no factor per row: so every row
/// is written divided by its largest magnitude, and the inputs are multiplied by it before they are converted
/// (assumption: where softmax is computed, in digital).
class TokenScale {
  public:
    /// Every row divided by its largest magnitude, which is kept; valid until the next call.
    linalg::ConstMatrixView divide(const linalg::ConstMatrixView& values);
    /// y [rows, tokens] = x [rows, tokens] with every column times the scale of its token.
    void multiply(const linalg::ConstMatrixView& x, linalg::MatrixView y) const;

  private:
    std::vector<float> scale_;  ///< [token]
    linalg::Matrix divided_;
};

}  // namespace crossweep::crossbar
