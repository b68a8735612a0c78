#include "crossweep/crossbar/programmed_weights.hpp"

#include <algorithm>

#include "crossweep/crossbar/mapping.hpp"
#include "crossweep/device/noise.hpp"
#include "crossweep/linalg/gaussian.hpp"

namespace crossweep::crossbar {
namespace {

using device::ReadNoiseMode;
using Eigen::Index;
using linalg::Role;

/// What it takes to put one row of weights onto devices.
struct Programmer {
    const CrossbarParams& crossbar;
    ConductanceWindow window;
    device::WriteNoise programming;
    device::ReadNoise read;
    bool per_read, kept;  ///< when read noise is drawn: at every read, or here and now
    StreamKey key;
    std::vector<float> conductance, normal;

    void draw(NoiseSite site, LayerId layer, Role role, Index row) {
        linalg::fill_normal(
            key,
            draw_identity(site, layer, static_cast<std::uint32_t>(role), 0, static_cast<std::uint32_t>(row)),
            normal);
    }

    /// Conductances of row `row` of a part, in `conductance`.
    void program_row(std::span<const float> weight, const BandScale& band, LayerId layer, Role role,
                     Index row) {
        conductance.resize(weight.size());
        normal.resize(weight.size());
        to_conductance(weight, band.inverse(), crossbar.weight_levels, window, conductance);
        if (programming.sigma() > 0) {
            draw(NoiseSite::weight_programming, layer, role, row);
            programming(conductance, normal);
        }
        if (kept) {
            draw(NoiseSite::weight_read, layer, role, row);
            read(conductance, normal);
        }
    }
};

ProgrammedWeight program(const linalg::StationaryWeight& weight, Programmer& programmer) {
    const Index inputs = weight.matrix.cols();
    const Index outputs = weight.matrix.rows() / static_cast<Index>(weight.parts);
    ProgrammedWeight result;
    result.mean.resize(weight.matrix.rows(), inputs);
    if (programmer.per_read) result.squared_amplitude.resize(weight.matrix.rows(), inputs);

    BandScale band;
    for (std::size_t part = 0; part < weight.parts; ++part) {
        const Role role = static_cast<Role>(static_cast<std::size_t>(weight.first_role) + part);
        const Index first = static_cast<Index>(part) * outputs;
        const linalg::ConstMatrixView rows(weight.matrix.data() + first * weight.matrix.outerStride(),
                                           outputs, inputs,
                                           Eigen::OuterStride<>(weight.matrix.outerStride()));
        const ScaleBlocks blocks = blocks_of_weight(programmer.crossbar, role, outputs, inputs,
                                                    static_cast<Index>(weight.head_width));
        for (Index row = 0; row < outputs; ++row) {
            if (row % blocks.rows == 0) band.measure(rows, row, blocks);
            const auto wanted = linalg::row_of(rows, row);
            programmer.program_row(wanted, band, weight.layer, role, row);
            to_weight(programmer.conductance, wanted, band.scale(), programmer.window,
                      linalg::row_of(result.mean, first + row));
            if (programmer.per_read) {
                to_squared_amplitude(programmer.conductance, band.scale(), programmer.window,
                                     linalg::row_of(result.squared_amplitude, first + row));
            }
        }
    }
    return result;
}

}  // namespace

std::vector<ProgrammedWeight> program_weights(std::span<const linalg::StationaryWeight> weights,
                                              const device::DeviceParams& device,
                                              const CrossbarParams& crossbar, StreamKey key) {
    Programmer programmer{crossbar,
                          device::conductance_window(device),
                          device::WriteNoise::of_programming(device),
                          device::ReadNoise(device),
                          device::draws_at_every_read(device),
                          device::keeps_read_noise(device),
                          key,
                          {},
                          {}};
    std::vector<ProgrammedWeight> programmed;
    programmed.reserve(weights.size());
    for (const auto& weight : weights) programmed.push_back(program(weight, programmer));
    return programmed;
}

StationaryInputs stationary_inputs(const device::DeviceParams& device, const CrossbarParams& crossbar) {
    StationaryInputs inputs{device, crossbar};
    inputs.device.write_noise_sigma = 0;
    inputs.device.write_noise_factor = 0;
    // Fresh read noise is scaled by sigma when it is added; only whether there is any decides what is
    // prepared.
    if (device.read_noise == ReadNoiseMode::per_read)
        inputs.device.read_noise_sigma = device.read_noise_sigma > 0;
    inputs.crossbar.input_bits = 0;
    inputs.crossbar.input_scale = InputScale::token;
    inputs.crossbar.written_scale = ScaleBlock::tensor;
    return inputs;
}

}  // namespace crossweep::crossbar
