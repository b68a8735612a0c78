#include "crossweep/trial/calibration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "crossweep/core/error.hpp"

namespace crossweep::trial {
namespace {

/// `count` elements of `pool` at equal distances; all of them if there are no more.
std::vector<std::uint32_t> spread(const std::vector<std::uint32_t>& pool, std::size_t count) {
    if (count >= pool.size()) return pool;
    std::vector<std::uint32_t> chosen;
    for (std::size_t i = 0; i < count; ++i) chosen.push_back(pool[i * pool.size() / count]);
    return chosen;
}

crossbar::EngineParams ideal(const PointParams& point, crossbar::SumHistograms& histograms) {
    crossbar::EngineParams params{
        ideal_crossbar(point.crossbar), point.transform, point.operands, nullptr, &histograms, nullptr};
    for (auto& operand : params.operands) operand.device = ideal_device(operand.device);
    return params;
}

}  // namespace

bool needs_calibration(const PointParams& point) {
    const bool calibrated =
        point.crossbar.adc_bits > 0 && point.crossbar.adc_range == crossbar::AdcRange::calibrated;
    return calibrated && std::any_of(point.operands.begin(), point.operands.end(), [](const auto& operand) {
               return operand.fidelity == crossbar::Fidelity::circuit;
           });
}

device::DeviceParams ideal_device(const device::DeviceParams& device) {
    device::DeviceParams ideal;
    ideal.g_max_S = device.g_max_S;
    ideal.on_off_ratio = device.on_off_ratio;
    ideal.bits_per_cell = device.bits_per_cell;
    ideal.levels = device.levels;
    ideal.read_noise_sigma = 0;
    ideal.write_noise_sigma = 0;
    return ideal;
}

crossbar::CrossbarParams ideal_crossbar(const crossbar::CrossbarParams& crossbar) {
    const crossbar::CrossbarParams defaults;
    crossbar::CrossbarParams ideal = crossbar;
    ideal.wire_resistance_ohm = 0;
    ideal.adc_bits = 0;
    ideal.adc_gain_sigma = 0;
    ideal.adc_offset_sigma = 0;
    ideal.adc_range = defaults.adc_range;
    ideal.adc_range_top = defaults.adc_range_top;
    return ideal;
}

std::vector<std::uint32_t> calibration_images(std::span<const std::uint32_t> used, std::size_t available,
                                              std::size_t count) {
    if (count > available) {
        throw DataError(
            fmt::format("crossbar.adc_calibration_images = {} is more than the {} images of the data set. "
                        "Lower it.",
                        count, available));
    }
    std::vector<std::uint32_t> all(available), others;
    std::iota(all.begin(), all.end(), 0U);
    std::set_difference(all.begin(), all.end(), used.begin(), used.end(), std::back_inserter(others));
    std::vector<std::uint32_t> chosen = spread(others, count);
    const auto more = spread({used.begin(), used.end()}, count - chosen.size());
    chosen.insert(chosen.end(), more.begin(), more.end());
    return chosen;
}

std::vector<std::uint32_t> calibration_images(const Experiment& experiment, std::size_t count) {
    return calibration_images(experiment.images(), experiment.inputs().count(), count);
}

Calibrator::Calibrator(const Experiment& experiment, PointId point)
    : experiment_(experiment),
      model_(experiment.model(experiment.reference_of(point))),
      params_(ideal(experiment.params(point), histograms_)),
      chip_(crossbar::program_weights(model_.network.stationary_weights(), params_.operands, params_.crossbar,
                                      StreamKey{})),
      engine_(model_.network.stationary_weights(), chip_, params_, StreamKey{}) {}

void Calibrator::add(std::uint32_t image) {
    experiment_.inputs().prepare(image, model_.normalisation, prepared_);
    bool finite = true;
    model_.network.forward(
        std::span(&prepared_.input, 1), engine_, activations_, {},
        [&](std::size_t, const linalg::MatrixView& logits) { finite = logits.allFinite(); });
    if (finite) return;
    throw DataError(
        fmt::format("{}: image {} gives logits that are not finite in the calibration of the ADCs. "
                    "Check the weights, the normalisation, and the device's conductances.",
                    model_.params.weights.string(), image));
}

crossbar::AdcRanges ranges_of(const crossbar::SumHistograms& histograms, double percentile) {
    crossbar::AdcRanges ranges;
    for (const auto& [key, histogram] : histograms)
        ranges.set(LayerId(key.first), static_cast<linalg::Role>(key.second), histogram.tops(percentile));
    return ranges;
}

void merge(const crossbar::SumHistograms& other, crossbar::SumHistograms& sum) {
    for (const auto& [key, histogram] : other) {
        const auto [found, is_new] = sum.try_emplace(key, histogram);
        if (!is_new) found->second.add(histogram);
    }
}

namespace {

/// Layer and role of everything that `network` multiplies by.
std::set<std::pair<LayerId, linalg::Role>> places_of(const model::Transformer& network) {
    std::set<std::pair<LayerId, linalg::Role>> places;
    for (const linalg::StationaryWeight& weight : network.stationary_weights()) {
        for (std::size_t part = 0; part < weight.parts; ++part)
            places.emplace(weight.layer, role_of_part(weight, part));
    }
    for (std::uint32_t layer = 0; layer < network.architecture().depth; ++layer) {
        places.emplace(LayerId(layer), linalg::Role::written_keys);
        places.emplace(LayerId(layer), linalg::Role::written_values);
    }
    return places;
}

}  // namespace

std::string complaint(const Experiment& experiment, PointId point, const crossbar::AdcRanges& ranges) {
    const PointParams& params = experiment.params(point);
    for (const auto& [layer, role] : places_of(experiment.model(experiment.reference_of(point)).network)) {
        const auto number = static_cast<std::uint32_t>(role);
        const auto& operand = params.operands[number];
        if (operand.fidelity != crossbar::Fidelity::circuit) continue;
        const auto layout = crossbar::make_cells(role, operand, params.crossbar, params.transform).layout();
        const double full = crossbar::full_range(params.crossbar, layout.largest_digit);
        const auto found = ranges.all().find({layer.value(), number});
        if (found == ranges.all().end() || found->second.size() != layout.slices)
            return fmt::format("lacks slices of an operand of layer {}", layer.value());
        const bool fits = std::all_of(found->second.begin(), found->second.end(),
                                      [&](double top) { return top >= 0 && top <= full; });
        if (!fits) return fmt::format("has a range beyond {} in layer {}", full, layer.value());
    }
    return "";
}

}  // namespace crossweep::trial
