#include "point_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>

#include "crossweep/crossbar/large_small.hpp"
#include "key_path.hpp"
#include "operands.hpp"

namespace crossweep::config {
namespace {

using crossbar::Fidelity;

// A rounding error in beta times the ratio is no reason to refuse beta = 1 / ratio.
constexpr double rounding = 1e-12;

/// The path of a key of a device: device.KEY or devices.NAME.KEY.
std::string device_path(const std::string& name, std::string_view key) {
    const std::string last(key);
    return name == default_device ? join_path(std::array<std::string, 2>{"device", last})
                                  : join_path(std::array<std::string, 3>{"devices", name, last});
}

void report(const Complain& complain, std::initializer_list<std::string> paths, std::string sentence) {
    complain({paths.begin(), paths.size()}, std::move(sentence));
}

/// Index of the first conductance that is not above the one before it, or the number of points.
std::size_t first_unsorted(const std::vector<double>& conductance_S) {
    // In fp32, which is what the table becomes.
    const auto found = std::adjacent_find(conductance_S.begin(), conductance_S.end(), [](double a, double b) {
        return static_cast<float>(a) >= static_cast<float>(b);
    });
    return found == conductance_S.end() ? conductance_S.size()
                                        : static_cast<std::size_t>(found - conductance_S.begin()) + 1;
}

/// `noise` is "read_noise" or "write_noise".
void check_table(const std::string& device, std::string_view noise, const device::NoiseTable& table,
                 bool is_in_force, const Complain& complain) {
    const auto path = [&](std::string_view rest) {
        return device_path(device, fmt::format("{}_{}", noise, rest));
    };
    const auto points = table.conductance_S.size();
    if (table.deviation_S.size() != points) {
        const auto conductance = path("table_conductance_S");
        const auto deviation = path("table_deviation_S");
        report(complain, {deviation, conductance},
               fmt::format("{} has {} and {} {} values (points of one table). Give as many of both.",
                           deviation, table.deviation_S.size(), conductance, points));
    }
    if (const auto unsorted = first_unsorted(table.conductance_S); unsorted < points) {
        const auto conductance = path("table_conductance_S");
        report(complain, {conductance},
               fmt::format("{}[{}] = {} is not above the value before it (ascending points of a table). Sort "
                           "the points, and keep one of each conductance.",
                           conductance, unsorted, table.conductance_S[unsorted]));
    }
    if (is_in_force && points < 2) {
        report(complain, {path("law")},
               fmt::format("{} = \"table\" needs at least 2 points, and {} has {}. Give the table, or choose "
                           "another law.",
                           path("law"), path("table_conductance_S"), points));
    }
}

/// Conductances are fp32: they must not be denormal, and the window must be wider than their rounding.
void check_window(const std::string& name, const device::DeviceParams& params, const Complain& complain) {
    constexpr double least_g_min_S = 1e-30, least_window = 1e-5;
    const double g_min_S = params.g_max_S / params.on_off_ratio;
    if (g_min_S >= least_g_min_S && 1 - 1 / params.on_off_ratio >= least_window) return;
    const auto largest = device_path(name, "g_max_S"), ratio = device_path(name, "on_off_ratio");
    report(complain, {ratio, largest},
           fmt::format(
               "{} = {} and {} = {} give a window that single precision cannot hold (G_min at least {} S, "
               "window at least {} of G_max). Change one of them.",
               largest, params.g_max_S, ratio, params.on_off_ratio, least_g_min_S, least_window));
}

void check_device(const std::string& name, const device::DeviceParams& params, const Complain& complain) {
    check_window(name, params, complain);
    check_table(name, "read_noise", params.read_noise_table,
                params.read_noise_law == device::ReadNoiseLaw::table, complain);
    check_table(name, "write_noise", params.write_noise_table,
                params.write_noise_law == device::WriteNoiseLaw::table, complain);
    if (params.stuck_at_g_min + params.stuck_at_g_max > 1 + rounding) {
        const auto low = device_path(name, "stuck_at_g_min");
        const auto high = device_path(name, "stuck_at_g_max");
        report(complain, {high, low},
               fmt::format("{} = {} and {} = {} are more than all cells (their sum must be at most 1). Lower "
                           "one of them.",
                           low, params.stuck_at_g_min, high, params.stuck_at_g_max));
    }
}

const OperandKey* first_at(Fidelity fidelity, const PerOperand<OperandInForce>& operands) {
    const auto* found = std::find_if(operand_keys.begin(), operand_keys.end(), [&](const OperandKey& key) {
        return operands[static_cast<std::size_t>(key.role)].fidelity == fidelity;
    });
    return found == operand_keys.end() ? nullptr : found;
}

/// Slices, and inputs that come bit by bit, need whole levels. One operand stands for all.
void check_digits(const PerOperand<OperandInForce>& operands, const crossbar::CrossbarParams& params,
                  const Complain& complain) {
    const auto* circuit = first_at(Fidelity::circuit, operands);
    if (circuit == nullptr) circuit = first_at(Fidelity::large_small, operands);
    const auto* operand = circuit != nullptr ? circuit : first_at(Fidelity::sliced, operands);
    if (operand == nullptr) return;
    const std::string_view word = fidelity_word(operands[static_cast<std::size_t>(operand->role)].fidelity);
    if (params.weight_levels == 0) {
        report(
            complain, {"crossbar.weight_levels"},
            fmt::format("crossbar.weight_levels = 0 leaves weights continuous, and at fidelity {} operand {} "
                        "has slices of whole levels. Give at least 2 levels, or make it behavioural.",
                        word, operand->key));
    }
    if (params.input_bits == 0 && circuit != nullptr) {
        report(
            complain, {"crossbar.input_bits"},
            fmt::format("crossbar.input_bits = 0 leaves inputs continuous, and at fidelity {} those of "
                        "operand {} come bit by bit. Give at least 2 bits, or make it sliced or behavioural.",
                        word, operand->key));
    }
    if (params.input_bits > 0 && params.dac_bits > params.input_bits - 1) {
        report(complain, {"crossbar.dac_bits", "crossbar.input_bits"},
               fmt::format("crossbar.dac_bits = {} is more than the {} that crossbar.input_bits = {} leaves "
                           "beside the sign (operand {} is {}). Lower it, or raise crossbar.input_bits.",
                           params.dac_bits, params.input_bits - 1, params.input_bits, operand->key, word));
    }
}

/// What is not simulated at large_small, and what is simulated there alone.
void check_large_small(const PerOperand<OperandInForce>& operands, const crossbar::CrossbarParams& params,
                       const Complain& complain) {
    // A word of random bits has the states of the cells that one conversion sums up.
    constexpr std::uint32_t most_telegraph_rows = 32;
    for (const OperandKey& key : operand_keys) {
        const OperandInForce& operand = operands[static_cast<std::size_t>(key.role)];
        if (operand.device == nullptr || operand.device->telegraph_amplitude == 0) continue;
        const auto path = device_path(*operand.device_name, "telegraph_amplitude");
        if (operand.fidelity != Fidelity::large_small) {
            report(complain, {path, "crossbar.fidelity"},
                   fmt::format(
                       "{} = {} acts at fidelity large_small alone, and operand {} is {}. Set it to 0, or "
                       "make the operand large_small.",
                       path, operand.device->telegraph_amplitude, key.key, fidelity_word(operand.fidelity)));
            return;
        }
        const std::uint32_t rows = crossbar::rows_at_once(params, operand.device->bits_per_cell);
        if (rows <= most_telegraph_rows) continue;
        report(complain, {"crossbar.rows_at_once", "crossbar.adc_bits", path},
               fmt::format(
                   "{} = {} needs at most {} rows at once, and there are {} (crossbar.rows_at_once, or, at "
                   "0, what crossbar.adc_bits = {} resolve). Lower them.",
                   path, operand.device->telegraph_amplitude, most_telegraph_rows, rows, params.adc_bits));
        return;
    }
    if (first_at(Fidelity::large_small, operands) == nullptr) return;
    struct Key {
        std::string path;
        double value;
        const char* why;
    };
    for (const Key& key :
         {Key{"crossbar.wire_resistance_ohm", params.wire_resistance_ohm, "few rows carry current"},
          Key{"crossbar.adc_gain_sigma", params.adc_gain_sigma, "columns share a converter"},
          Key{"crossbar.adc_offset_sigma", params.adc_offset_sigma, "columns share a converter"}}) {
        if (key.value == 0) continue;
        report(complain, {key.path},
               fmt::format("{} = {} is not simulated at fidelity large_small, where {}. Set it to 0.",
                           key.path, key.value, key.why));
    }
    const bool by_tile = params.weight_scale == crossbar::ScaleBlock::tile ||
                         params.written_scale == crossbar::ScaleBlock::tile;
    if (by_tile) {
        report(complain, {"crossbar.weight_scale", "crossbar.written_scale"},
               "a scale of every tile is not possible at fidelity large_small, where arrays are shared. Give "
               "\"tensor\", \"head\" or \"column\".");
    }
}

void check_technology(const Settings& settings, const PerOperand<OperandInForce>& operands,
                      const Complain& complain) {
    const std::uint32_t most = settings.technology.most_bits_per_cell;
    for (const OperandInForce& operand : operands) {
        if (operand.device == nullptr || operand.device->bits_per_cell <= most) continue;
        const auto path = device_path(*operand.device_name, "bits_per_cell");
        report(
            complain, {path, "technology.most_bits_per_cell"},
            fmt::format("{} = {} is more than a cell of {} holds (technology.most_bits_per_cell = {}). Lower "
                        "it, or give another technology.",
                        path, operand.device->bits_per_cell, settings.technology.name, most));
        return;
    }
}

void check_clip(const Settings& settings, const OperandInForce& operand, const Complain& complain) {
    const transform::TransformParams& clip = settings.transforms.at(settings.transform);
    const double ratio = operand.device->on_off_ratio;
    const auto ratio_path = device_path(*operand.device_name, "on_off_ratio");
    const auto clip_path = [&](const char* key) {
        return join_path(std::array<std::string, 3>{"transforms", settings.transform, key});
    };
    if (const auto path = clip_path("alpha"); clip.alpha >= ratio - 1) {
        report(
            complain, {path, ratio_path},
            fmt::format("{} = {} leaves nothing above G_min at {} = {} (it must be below the ratio less 1). "
                        "Lower it.",
                        path, clip.alpha, ratio_path, ratio));
    }
    if (const auto path = clip_path("beta"); clip.beta * ratio < 1 - rounding) {
        report(
            complain, {path, ratio_path},
            fmt::format("{} = {} clips below G_min at {} = {} (their product must be at least 1). Raise one "
                        "of them.",
                        path, clip.beta, ratio_path, ratio));
    }
}

}  // namespace

void check_point(const Settings& settings, const Complain& complain) {
    if (settings.model.weights.empty()) {
        report(
            complain, {"model.weights"},
            "model.weights is empty in a point (safetensors file). Give it in [model] or in every value of "
            "the axis.");
    }
    check_device(std::string(default_device), settings.device, complain);
    for (const auto& [name, params] : settings.devices) check_device(name, params, complain);
    const auto in_force = operands_in_force(settings);
    check_digits(in_force, settings.crossbar, complain);
    check_large_small(in_force, settings.crossbar, complain);
    check_technology(settings, in_force, complain);
    for (const auto role : {linalg::Role::written_keys, linalg::Role::written_values}) {
        const auto& operand = in_force[static_cast<std::size_t>(role)];
        if (operand.device != nullptr) check_clip(settings, operand, complain);
    }
}

}  // namespace crossweep::config
