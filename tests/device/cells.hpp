// Cells to try effects on. Samples have 100 000 of them unless a test says otherwise, bounds are five
// standard errors (alpha = 6e-7 each), and seeds are fixed.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "crossweep/device/cell_writer.hpp"

namespace crossweep::device {

inline constexpr std::size_t count = 100'000;
inline constexpr Storage storages[] = {Storage::stationary, Storage::written};
inline constexpr Clamp clamps[] = {Clamp::none, Clamp::non_negative, Clamp::window};

/// A device of which every effect is off; the on/off ratio is small so that G_min counts.
inline DeviceParams quiet() {
    DeviceParams params;
    params.on_off_ratio = 4;
    params.read_noise_sigma = 0;
    params.write_noise_sigma = 0;
    return params;
}

/// A device with every effect at once.
inline DeviceParams all_effects() {
    DeviceParams params;
    params.levels = 16;
    params.clamp = Clamp::window;
    params.read_noise = ReadNoiseMode::frozen;
    params.programming_noise_sigma = 0.2;
    params.g_min_spread_sigma = params.g_max_spread_sigma = 0.1;
    params.stuck_at_g_min = params.stuck_at_g_max = 0.02;
    params.t_read_s = params.written_t_read_s = 100;
    params.drift_exponent = 0.05;
    params.drift_exponent_sigma = 0.02;
    params.retention_s = 1e4;
    return params;
}

inline CellRow row_of(Storage storage, std::uint32_t image = 1, std::uint32_t row = 7,
                      std::uint32_t operand = 2) {
    return {{21, 4}, LayerId(3), operand, storage == Storage::stationary ? 0 : image, row};
}

inline std::vector<float> held(const DeviceParams& params, Storage storage, std::vector<float> wanted,
                               const CellRow& row, const WriteVerify& verify = {}) {
    CellWriter(params, storage, verify)(wanted, row);
    return wanted;
}

/// `size` cells that all want `conductance_S`.
inline std::vector<double> held(const DeviceParams& params, Storage storage, float conductance_S,
                                const WriteVerify& verify = {}, std::size_t size = count) {
    const auto cells =
        held(params, storage, std::vector<float>(size, conductance_S), row_of(storage), verify);
    return {cells.begin(), cells.end()};
}

inline std::vector<float> ramp(const DeviceParams& params, std::size_t steps) {
    const ConductanceWindow window = conductance_window(params);
    std::vector<float> conductance(steps);
    for (std::size_t i = 0; i < steps; ++i) {
        conductance[i] =
            window.min_S + window.span_S() * static_cast<float>(i) / static_cast<float>(steps - 1);
    }
    return conductance;
}

inline float at_fraction(const DeviceParams& params, double fraction) {
    const double min_S = params.g_max_S / params.on_off_ratio;
    return static_cast<float>(min_S + fraction * (params.g_max_S - min_S));
}

inline double mean_square_error(const std::vector<float>& held, const std::vector<float>& wanted) {
    double sum = 0;
    for (std::size_t i = 0; i < held.size(); ++i) {
        sum += std::pow(static_cast<double>(held[i]) - static_cast<double>(wanted[i]), 2);
    }
    return sum / static_cast<double>(held.size());
}

/// Is `hits` of `trials` what a chance of `probability` gives? Five standard errors.
inline bool is_share(std::size_t hits, std::size_t trials, double probability) {
    const auto n = static_cast<double>(trials);
    return std::abs(static_cast<double>(hits) / n - probability) <
           5 * std::sqrt(probability * (1 - probability) / n);
}

}  // namespace crossweep::device
