// The level large_small: the large-and-small architecture of arXiv 2410.15977, as far as it is published.
//
// All operands are integers. Digits of weights, K and V lie on cells of small arrays; an input is applied bit
// by bit. A converter of few bits resolves few levels, so only as many rows are driven at once as it can tell
// exactly (derived), and the codes of all groups of rows add up digitally. Softmax, layer norms and GELU are
// sums on the same arrays and look-ups in a function unit (function_unit.hpp).
//
// Hence a product at this level is one at level circuit on arrays of that many rows, with converters over
// their full range; and where no noise can carry a sum across a threshold, it is a product of integers.
#pragma once

#include "crossweep/crossbar/crossbar_params.hpp"

namespace crossweep::crossbar {

/// Rows of an array that one read drives.
std::uint32_t rows_at_once(const CrossbarParams& params, std::uint32_t bits_per_cell);

/// Whether every group of rows converts to its exact sum, whatever the noise that is drawn at reads does.
/// What happens to cells when they are written is not looked at.
bool reads_exactly(const OperandParams& operand, const CrossbarParams& params);

/// How an operand is simulated: at large_small as slices or circuits with parameters of their own, at all
/// other levels as it is.
struct SimulatedOperand {
    OperandParams operand;
    CrossbarParams crossbar;
};
SimulatedOperand simulation_of(linalg::Role role, const OperandParams& operand, const CrossbarParams& params);

}  // namespace crossweep::crossbar
