// The variance of read noise that is fresh at every read, sum_i x_i^2 A_ij^2 (see read_law.hpp), from bytes:
// energies x^2 in 8 bits of their token's largest, squared amplitudes in 7 bits of their output's
// largest.
//
// Both are rounded up or down by a fixed pattern of thresholds (dither), evenly spread over the inputs, so
// that sums are right on average even where most elements lie below one step. A sum over K inputs whose codes
// have the means p and q is off by about 1 / sqrt(K) (1 / p + 1 / q), relative, and never by more than sum_i
// (step_x A_ij^2 + x_i^2 step_A + step_x step_A). The noise's deviation is off by half of that.
#pragma once

#include <span>
#include <vector>

#include "crossweep/crossbar/orientation.hpp"
#include "crossweep/linalg/integer_product.hpp"
#include "crossweep/linalg/matrix.hpp"

namespace crossweep::crossbar {

/// Energies of the inputs of one product [token, input].
class Energies {
  public:
    void store(const linalg::ConstMatrixView& squares);
    /// The same for converted inputs, codes times the token's step, whose squares are not kept.
    void store_squares_of(const linalg::ConstMatrixView& input_codes, std::span<const float> steps);
    const linalg::ByteRows& codes() const { return codes_; }
    /// What one code is worth, per token; not a number where a square is not finite.
    const std::vector<float>& steps() const { return steps_; }

  private:
    linalg::ByteRows codes_;
    std::vector<float> steps_;
};

/// Squared amplitudes of an operand's cells.
class SquaredAmplitudes {
  public:
    /// `squares` in the operand's stored shape. Throws InternalError if sums could overflow.
    void store(const linalg::ConstMatrixView& squares, Orientation orientation);
    const linalg::PackedBytes& codes() const { return codes_; }
    /// What one code is worth, per output.
    const std::vector<float>& steps() const { return steps_; }

  private:
    linalg::PackedBytes codes_;
    std::vector<float> steps_;
    std::vector<float> inverse_;          ///< memory
    std::vector<std::int8_t> row_codes_;  ///< memory
};

}  // namespace crossweep::crossbar
