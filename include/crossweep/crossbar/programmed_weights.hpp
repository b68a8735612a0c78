// Stationary weights as they stand on one chip: mapped, quantised, programmed, aged.
#pragma once

#include <span>
#include <variant>
#include <vector>

#include "crossweep/core/noise_stream.hpp"
#include "crossweep/crossbar/circuit_matrix.hpp"
#include "crossweep/crossbar/linear_matrix.hpp"
#include "crossweep/linalg/matmul_engine.hpp"

namespace crossweep::crossbar {

/// An operand as its fidelity holds it; std::monostate where it is digital.
using StoredMatrix = std::variant<std::monostate, LinearMatrix, CircuitMatrix>;

/// One stationary weight on one chip. [part]
using ProgrammedWeight = std::vector<StoredMatrix>;

/// Put `weights` onto the chip that `key` names. About 2 ns per cell and draw; points that agree in
/// `stationary_inputs` may share the result.
std::vector<ProgrammedWeight> program_weights(std::span<const linalg::StationaryWeight> weights,
                                              const OperandTable& operands, const CrossbarParams& crossbar,
                                              StreamKey key);

/// The parameters that `program_weights` looks at, all others reset: equal values mean equal weights.
struct StationaryInputs {
    OperandTable operands;
    CrossbarParams crossbar;
    bool operator==(const StationaryInputs&) const = default;
};
StationaryInputs stationary_inputs(const OperandTable& operands, const CrossbarParams& crossbar);

}  // namespace crossweep::crossbar
