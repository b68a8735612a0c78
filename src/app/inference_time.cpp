#include "inference_time.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <vector>

#include "crossweep/core/error.hpp"
#include "crossweep/crossbar/cells.hpp"
#include "crossweep/crossbar/large_small.hpp"
#include "crossweep/device/noise.hpp"
#include "crossweep/io/atomic_file.hpp"
#include "crossweep/trial/unit_runner.hpp"
#include "timed_case.hpp"

namespace crossweep::app {
namespace {

/// What the time of a point depends on.
struct PointKind {
    std::size_t reference;
    crossbar::CrossbarParams crossbar;
    /// Fidelity, read noise and telegraph noise at every read, bits per cell, whether cells are perfect, and
    /// the power of two below frozen read noise, whose strength decides whether weights are rounded.
    std::vector<std::tuple<crossbar::Fidelity, bool, bool, std::uint32_t, bool, std::optional<int>>> operands;
    bool operator==(const PointKind&) const = default;
};

PointKind kind_of(const trial::Experiment& experiment, PointId point) {
    const trial::PointParams& params = experiment.params(point);
    PointKind kind{experiment.reference_of(point), params.crossbar, {}};
    // Where the ranges of ADCs end changes no time.
    const crossbar::CrossbarParams defaults;
    kind.crossbar.adc_bits = std::min(kind.crossbar.adc_bits, 1U);
    kind.crossbar.adc_range = defaults.adc_range;
    kind.crossbar.adc_range_top = defaults.adc_range_top;
    kind.crossbar.adc_percentile = defaults.adc_percentile;
    for (std::size_t i = 0; i < params.operands.size(); ++i) {
        const auto role = static_cast<linalg::Role>(i);
        const auto simulated = crossbar::simulation_of(role, params.operands[i], params.crossbar);
        const crossbar::OperandParams& operand = simulated.operand;
        const bool perfect =
            operand.fidelity != crossbar::Fidelity::digital &&
            crossbar::make_cells(role, operand, simulated.crossbar, params.transform).are_perfect();
        std::optional<int> frozen;
        if (device::keeps_read_noise(operand.device)) frozen = std::ilogb(operand.device.read_noise_sigma);
        kind.operands.emplace_back(operand.fidelity, device::draws_at_every_read(operand.device),
                                   operand.device.telegraph_amplitude > 0, operand.device.bits_per_cell,
                                   perfect, frozen);
    }
    return kind;
}

/// Seconds per image of one point, measured here: on eight images, or, where one takes long, on one.
double measured_seconds(const config::Study& study, trial::PointParams params) {
    params.crossbar.adc_range = crossbar::AdcRange::full;  // needs no calibration and takes as long
    double seconds = 0;
    for (const std::uint32_t images : {1U, 8U}) {
        trial::DataParams data = study.base.data;
        if (data.count != 0 && images > data.count) break;
        data.count = data.shard_images = images;
        const trial::Experiment sample(data, study.base.study.seed, {params});
        trial::UnitRunner runner(sample, study.base.study.seed, study.base.run.batch_images);
        const WorkUnit unit{TrialId(0), ShardId(0), {PointId(0)}};
        runner.run(unit);  // the first makes the chip and warms the caches
        seconds = runner.run(unit).front().seconds / images;
        if (seconds > 0.1) break;
    }
    return seconds;
}

/// Seconds per noisy image, times `factor(point)`, mean over the points; each kind of point measured once.
double mean_seconds(const config::Study& study, const trial::Experiment& experiment,
                    const std::function<double(const trial::PointParams&)>& factor) {
    std::vector<std::pair<PointKind, double>> measured;
    double sum = 0;
    for (std::uint32_t p = 0; p < experiment.points(); ++p) {
        const trial::PointParams& params = experiment.params(PointId(p));
        const PointKind kind = kind_of(experiment, PointId(p));
        auto found =
            std::find_if(measured.begin(), measured.end(), [&](const auto& m) { return m.first == kind; });
        if (found == measured.end()) {
            measured.emplace_back(kind, measured_seconds(study, params) * factor(params));
            found = std::prev(measured.end());
        }
        sum += found->second;
    }
    return sum / static_cast<double>(experiment.points());
}

}  // namespace

double measured_seconds_per_image(const config::Study& study, const trial::Experiment& experiment) {
    return mean_seconds(study, experiment, [](const auto&) { return 1.0; });
}

BenchFigures read_figures(const std::filesystem::path& path) {
    BenchFigures figures;
    const auto read = nlohmann::json::parse(io::read_text(path), nullptr, false);
    if (read.is_object()) {
        for (const auto& [name, value] : read.items())
            if (value.is_number()) figures[name] = value.get<double>();
    }
    for (const char* name : {"digital_mac_per_s", "frozen_mac_per_s", "per_read_mac_per_s",
                             "sliced_mac_per_s", "circuit_mac_per_s"}) {
        if (figures.contains(name) && figures[name] > 0) continue;
        throw DataError(fmt::format(
            "{}: has no positive number {} (it is not what crossweep bench prints). Make it on the "
            "machine that will run the study: crossweep bench --json > node.json",
            path.string(), name));
    }
    return figures;
}

double seconds_per_image_on(const BenchFigures& figures, const config::Study& study,
                            const trial::Experiment& experiment) {
    constexpr double budget_s = 1;
    std::map<std::string, double> ratio;  // of the other machine's speed to this one's, by case
    const auto slower_by = [&](const trial::PointParams& point) {
        const Case& timed = case_of(point);
        const std::string rate = fmt::format("{}_mac_per_s", timed.name);
        const auto [found, is_new] = ratio.try_emplace(rate, 0);
        if (is_new) found->second = TimedCase(timed).mac_per_s(budget_s) / figures.at(rate);
        return found->second;
    };
    return mean_seconds(study, experiment, slower_by);
}

}  // namespace crossweep::app
