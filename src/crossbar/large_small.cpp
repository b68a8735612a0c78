#include "crossweep/crossbar/large_small.hpp"

#include <algorithm>

#include "crossweep/device/cell_writer.hpp"
#include "crossweep/device/noise.hpp"

namespace crossweep::crossbar {
namespace {

double largest_digit(std::uint32_t bits) {
    return static_cast<double>((1U << bits) - 1);
}

}  // namespace

std::uint32_t rows_at_once(const CrossbarParams& params, std::uint32_t bits_per_cell) {
    if (params.rows_at_once > 0) return std::min(params.rows_at_once, params.array_rows);
    if (params.adc_bits == 0) return params.array_rows;
    const double rows =
        largest_digit(params.adc_bits) / (largest_digit(bits_per_cell) * largest_digit(params.dac_bits));
    return std::clamp(static_cast<std::uint32_t>(rows), 1U, params.array_rows);
}

bool reads_exactly(const OperandParams& operand, const CrossbarParams& params) {
    const device::DeviceParams& device = operand.device;
    if (device::draws_at_every_read(device)) return false;
    if (params.adc_bits > 0 && (params.adc_gain_sigma > 0 || params.adc_offset_sigma > 0)) return false;
    const double largest_sum = rows_at_once(params, device.bits_per_cell) *
                               largest_digit(device.bits_per_cell) * largest_digit(params.dac_bits);
    if (params.adc_bits > 0 && largest_sum > largest_digit(params.adc_bits)) return false;
    // All cells of the group in the same state: G_min, which the reference column takes off, moves with them.
    const double background = device.on_off_ratio / (device.on_off_ratio - 1);
    const double largest_deviation = device.telegraph_amplitude * largest_sum * background;
    return params.adc_bits > 0 ? largest_deviation < 0.49 : device.telegraph_amplitude == 0;
}

SimulatedOperand simulation_of(linalg::Role role, const OperandParams& operand,
                               const CrossbarParams& params) {
    SimulatedOperand simulated{operand, params};
    if (operand.fidelity != Fidelity::large_small) return simulated;
    const auto storage = linalg::is_written(role) ? device::Storage::written : device::Storage::stationary;
    const bool holds_exactly = !device::CellWriter(operand.device, storage).perturbs();
    simulated.operand.fidelity =
        holds_exactly && reads_exactly(operand, params) ? Fidelity::sliced : Fidelity::circuit;
    simulated.crossbar.array_rows = rows_at_once(params, operand.device.bits_per_cell);
    simulated.crossbar.adc_range = AdcRange::full;
    return simulated;
}

}  // namespace crossweep::crossbar
