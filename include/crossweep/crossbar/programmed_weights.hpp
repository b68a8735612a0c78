// Stationary weights as they stand on one chip: mapped, quantised, programmed, and (frozen mode) with their
// read noise.
#pragma once

#include <span>
#include <vector>

#include "crossweep/core/noise_stream.hpp"
#include "crossweep/crossbar/crossbar_params.hpp"
#include "crossweep/device/device_params.hpp"
#include "crossweep/linalg/matmul_engine.hpp"

namespace crossweep::crossbar {

/// One stationary weight on one chip. Both matrices are [outputs, inputs] in weight units.
struct ProgrammedWeight {
    linalg::Matrix mean;               ///< what a product uses
    linalg::Matrix squared_amplitude;  ///< per_read only: squares of the whole conductances, see read_law.hpp
};

/// Put `weights` onto the chip that `key` names. About 2 ns per weight and draw; points that agree in
/// `stationary_inputs` may share the result.
std::vector<ProgrammedWeight> program_weights(std::span<const linalg::StationaryWeight> weights,
                                              const device::DeviceParams& device,
                                              const CrossbarParams& crossbar, StreamKey key);

/// The parameters that `program_weights` looks at, all others reset: equal values mean equal weights.
struct StationaryInputs {
    device::DeviceParams device;
    CrossbarParams crossbar;
    bool operator==(const StationaryInputs&) const = default;
};
StationaryInputs stationary_inputs(const device::DeviceParams& device, const CrossbarParams& crossbar);

}  // namespace crossweep::crossbar
