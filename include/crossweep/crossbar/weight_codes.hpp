// Weights as integers: products with input codes are then sums of integers, the same bits on every
// instruction set and faster than fp32.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <optional>
#include <vector>

#include "crossweep/crossbar/cells.hpp"
#include "crossweep/crossbar/mapped_operand.hpp"
#include "crossweep/linalg/integer_product.hpp"
#include "crossweep/linalg/matrix.hpp"

namespace crossweep::crossbar {

/// Signed codes of weights [output, input], and what a code of each output is worth.
struct WeightCodes {
    linalg::PackedWords packed;
    std::vector<float> steps;  ///< [output]
};

/// Which products may be sums of integers; none by default.
struct CodeLimits {
    std::int32_t largest_input = 0;  ///< code of an input; 0: inputs are no codes
    /// How large rounding may be beside the frozen read noise of any output's weights (root mean squares;
    /// 1 % adds 10^-4 to the power).
    double rounding = 0;
};

/// What the magnitudes of the codes of one output may add up to, so that sums with inputs up to
/// `largest_input` fit 32 bits; 0 where products are no sums of integers: with inputs that are no codes
/// (`largest_input` 0) and with outputs that are not rows of the matrix.
Eigen::Index largest_code_sum(Orientation orientation, std::int32_t largest_input);

/// The codes that perfect cells hold; nothing if the cells are not perfect, weights are continuous, an output
/// has several scales, or the codes could add up to more than `largest_sum`.
std::optional<WeightCodes> exact_codes(const MappedOperand& mapped, const Cells& cells,
                                       Eigen::Index largest_sum);

/// `weights` [output, input] of cells with frozen read noise, rounded to the finest codes that `largest_sum`
/// permits each output; nothing if that exceeds `rounding` in any output, or if a weight is not finite.
/// Rounding is estimated as step^2 / 12, noise as sigma^2 `squared_amplitudes`, by its law, before any clamp.
/// The amplitudes are those of the conductances that the cells hold, so chips of one point may differ where
/// the two are close to the limit.
std::optional<WeightCodes> rounded_codes(const linalg::Matrix& weights,
                                         const linalg::Matrix& squared_amplitudes, float sigma,
                                         Eigen::Index largest_sum, double rounding);

}  // namespace crossweep::crossbar
