#include "crossweep/trial/calibration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

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
    crossbar::EngineParams params{ideal_crossbar(point.crossbar), point.transform, point.operands, nullptr,
                                  &histograms};
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
    return calibration_images(experiment.images(), experiment.image_set().count, count);
}

Calibrator::Calibrator(const Experiment& experiment, PointId point)
    : experiment_(experiment),
      model_(experiment.model(experiment.reference_of(point))),
      params_(ideal(experiment.params(point), histograms_)),
      chip_(crossbar::program_weights(model_.network.stationary_weights(), params_.operands, params_.crossbar,
                                      StreamKey{})),
      engine_(model_.network.stationary_weights(), chip_, params_, StreamKey{}),
      logits_(model_.network.architecture().classes) {}

void Calibrator::add(std::uint32_t image) {
    experiment_.normalise(image, model_, pixels_);
    const auto classes = static_cast<Eigen::Index>(logits_.size());
    const model::Image whole{ImageId(image), pixels_};
    model_.network.forward(std::span(&whole, 1), engine_, activations_, {},
                           linalg::MatrixView(logits_.data(), 1, classes, Eigen::OuterStride<>(classes)));
    if (std::all_of(logits_.begin(), logits_.end(), [](float v) { return std::isfinite(v); })) return;
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

std::string complaint(const Experiment& experiment, PointId point, const crossbar::AdcRanges& ranges) {
    const PointParams& params = experiment.params(point);
    const auto& network = experiment.model(experiment.reference_of(point)).network.architecture();
    for (std::size_t i = 0; i < linalg::role_count; ++i) {
        const auto role = static_cast<linalg::Role>(i);
        const auto& operand = params.operands[i];
        if (operand.fidelity != crossbar::Fidelity::circuit) continue;
        const auto layout = crossbar::make_cells(role, operand, params.crossbar, params.transform).layout();
        const double full = crossbar::full_range(params.crossbar, layout.largest_digit);
        const bool once = role == linalg::Role::embedding || role == linalg::Role::head;
        for (std::uint32_t layer = 0; layer < (once ? 1 : network.depth); ++layer) {
            const auto found = ranges.all().find({layer, static_cast<std::uint32_t>(i)});
            if (found == ranges.all().end() || found->second.size() != layout.slices)
                return fmt::format("lacks slices of an operand of layer {}", layer);
            const bool fits = std::all_of(found->second.begin(), found->second.end(),
                                          [&](double top) { return top >= 0 && top <= full; });
            if (!fits) return fmt::format("has a range beyond {} in layer {}", full, layer);
        }
    }
    return "";
}

}  // namespace crossweep::trial
