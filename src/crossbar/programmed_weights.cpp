#include "crossweep/crossbar/programmed_weights.hpp"

#include <algorithm>

#include "crossweep/crossbar/large_small.hpp"

namespace crossweep::crossbar {

using Eigen::Index;
using linalg::Role;

namespace {

StoredMatrix program(const linalg::StationaryWeight& weight, std::size_t part, const OperandTable& operands,
                     const CrossbarParams& params, StreamKey key) {
    const Role role = role_of_part(weight, part);
    const auto [operand, crossbar] = simulation_of(role, operands[static_cast<std::size_t>(role)], params);
    if (operand.fidelity == Fidelity::digital) return {};
    const linalg::ConstMatrixView matrix = part_of(weight, part);
    const auto head_width = static_cast<Index>(weight.head_width);
    MappedOperand mapped;
    map_weight(crossbar, role, matrix, head_width, mapped);
    Cells cells = make_cells(role, operand, crossbar, {});
    const ArrayGrid grid = grid_of_weight(crossbar, role, matrix.cols(), head_width);
    const CellIdentity identity{key, weight.layer, role, 0};
    if (operand.fidelity == Fidelity::circuit) {
        CircuitMatrix circuit;
        store(mapped, grid, identity, cells, circuit);
        return circuit;
    }
    LinearMatrix linear;
    const CodeLimits limits{largest_input_code(crossbar.input_bits), crossbar.weight_rounding};
    store(mapped, grid, matrix.cols(), limits, identity, cells, linear);
    pack(weight.rows, linear);
    return linear;
}

}  // namespace

std::vector<ProgrammedWeight> program_weights(std::span<const linalg::StationaryWeight> weights,
                                              const OperandTable& operands, const CrossbarParams& crossbar,
                                              StreamKey key) {
    std::vector<ProgrammedWeight> programmed;
    programmed.reserve(weights.size());
    for (const auto& weight : weights) {
        ProgrammedWeight& parts = programmed.emplace_back();
        for (std::size_t part = 0; part < weight.parts; ++part) {
            parts.push_back(program(weight, part, operands, crossbar, key));
        }
    }
    return programmed;
}

StationaryInputs stationary_inputs(const OperandTable& operands, const CrossbarParams& crossbar) {
    StationaryInputs inputs{operands, {}};
    for (std::size_t role = 0; role < operands.size(); ++role) {
        OperandParams& operand = inputs.operands[role];
        if (linalg::is_written(static_cast<Role>(role)) || operand.fidelity == Fidelity::digital) {
            operand = {Fidelity::digital, {}};
            continue;
        }
        operand.device.write_noise_sigma = 0;
        operand.device.write_noise_factor = 0;
        operand.device.written_t_read_s = 0;
        // Fresh read noise is scaled by sigma when it is added; only whether there is any decides what is
        // prepared.
        if (operand.device.read_noise == device::ReadNoiseMode::per_read)
            operand.device.read_noise_sigma = operand.device.read_noise_sigma > 0;
    }
    inputs.crossbar.input_bits = crossbar.input_bits;
    inputs.crossbar.weight_levels = crossbar.weight_levels;
    inputs.crossbar.weight_scale = crossbar.weight_scale;
    inputs.crossbar.array_rows = crossbar.array_rows;
    inputs.crossbar.array_columns = crossbar.array_columns;
    inputs.crossbar.wire_resistance_ohm = crossbar.wire_resistance_ohm;
    inputs.crossbar.weight_rounding = crossbar.weight_rounding;
    inputs.crossbar.mapping = crossbar.mapping;
    const bool has_groups = std::ranges::any_of(
        operands, [](const OperandParams& operand) { return operand.fidelity == Fidelity::large_small; });
    if (has_groups) {
        inputs.crossbar.rows_at_once = crossbar.rows_at_once;
        inputs.crossbar.dac_bits = crossbar.dac_bits;
        inputs.crossbar.adc_bits = crossbar.adc_bits;
        inputs.crossbar.adc_gain_sigma = crossbar.adc_gain_sigma;
        inputs.crossbar.adc_offset_sigma = crossbar.adc_offset_sigma;
    }
    return inputs;
}

}  // namespace crossweep::crossbar
