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

/// The most that rounding the weights of imperfect cells adds to those of any output, as a share of what the
/// weights of an output of that matrix deviate by from perfect ones (root mean squares). Noise of 1 % of the
/// noise is 10^-4 of its power.
inline constexpr double most_rounding = 0.01;

/// What the magnitudes of the codes of one output may add up to, so that sums with inputs up to
/// `largest_input` fit 32 bits; 0 where products are no sums of integers: with continuous inputs
/// (`largest_input` 0) and with outputs that are not rows of the matrix.
Eigen::Index largest_code_sum(Orientation orientation, std::int32_t largest_input);

/// The codes that perfect cells hold; nothing if the cells are not perfect, weights are continuous, an output
/// has several scales, or the codes could add up to more than `largest_sum`.
std::optional<WeightCodes> exact_codes(const MappedOperand& mapped, const Cells& cells,
                                       Eigen::Index largest_sum);

/// `weights`, which cells hold instead of what was `mapped`, rounded to the finest codes that `largest_sum`
/// permits each output; nothing if that costs any output more than `most_rounding`, or if a weight is not
/// finite.
std::optional<WeightCodes> rounded_codes(const MappedOperand& mapped, const linalg::Matrix& weights,
                                         Eigen::Index largest_sum);

}  // namespace crossweep::crossbar
