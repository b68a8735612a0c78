// crossweep bench: how fast this machine runs a DeiT-S, noise-free and noisy, as ratios within one run.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "crossweep/core/build_info.hpp"
#include "crossweep/linalg/gaussian.hpp"
#include "crossweep/linalg/peak.hpp"
#include "crossweep/trial/unit_runner.hpp"
#include "synthetic_deit.hpp"

namespace crossweep::app {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t images = 16;
constexpr std::size_t blocks = 12;  // of a DeiT-S

/// Least value of `measure()`, called for `budget_s` seconds and at least three times.
double least(double budget_s, const std::function<double()>& measure) {
    const auto end = Clock::now() + std::chrono::duration<double>(budget_s);
    double best = measure();
    for (int calls = 1; calls < 3 || Clock::now() < end; ++calls) best = std::min(best, measure());
    return best;
}

/// Memory of this process that no other shares and no file backs, in bytes.
double anonymous_bytes() {
    std::ifstream rollup("/proc/self/smaps_rollup");
    for (std::string word; rollup >> word;) {
        double kilobytes = 0;
        if (word == "Anonymous:" && rollup >> kilobytes) return 1024 * kilobytes;
    }
    return 0;
}

trial::PointParams point_with(crossbar::Fidelity fidelity, device::ReadNoiseMode mode,
                              const std::filesystem::path& weights) {
    trial::PointParams point;
    point.model = {weights, 6};
    point.crossbar.adc_range = crossbar::AdcRange::full;  // needs no calibration and takes as long
    for (auto& operand : point.operands) {
        operand.fidelity = fidelity;
        operand.device.read_noise = mode;
    }
    for (const auto role : {linalg::Role::embedding, linalg::Role::head})
        point.operands[static_cast<std::size_t>(role)].fidelity = crossbar::Fidelity::digital;
    return point;
}

/// Multiply-accumulates per second of one encoder block at circuit level with read noise at every read, on
/// one image: bit-serial, sliced, with ADCs, as by default.
double circuit_rate(double budget_s) {
    const SyntheticDeit synthetic(1, 1);
    trial::DataParams data;
    data.images = synthetic.images();
    const trial::Experiment experiment(
        data, 1,
        {point_with(crossbar::Fidelity::circuit, device::ReadNoiseMode::per_read, synthetic.weights())});
    trial::UnitRunner runner(experiment, 1, 1);
    const double seconds = least(budget_s, [&] {
        return runner.run({TrialId(0), ShardId(0), {PointId(0)}}).front().seconds;
    });
    const auto& network = experiment.model(0).network.architecture();
    const auto tokens = static_cast<double>(network.tokens), width = static_cast<double>(network.width);
    return tokens * width * (4 * width + 2 * static_cast<double>(network.mlp_width) + 2 * tokens) / seconds;
}

double seconds_per_normal(double budget_s) {
    std::vector<float> normal(1 << 14);
    return least(budget_s,
                 [&] {
                     const auto start = Clock::now();
                     linalg::fill_normal({1, 2}, {3, 4, 5}, normal);
                     return std::chrono::duration<double>(Clock::now() - start).count();
                 }) /
           static_cast<double>(normal.size());
}

}  // namespace

ExitCode bench(const BenchOptions& options) {
    const double peak = linalg::measure_peak_flops(options.seconds / 2);
    const double normal_s = seconds_per_normal(options.seconds / 4);

    // The units that a study runs, each with the reference that it is compared with.
    const SyntheticDeit synthetic(images, blocks);
    trial::DataParams data;
    data.images = synthetic.images();
    data.shard_images = images;
    using crossbar::Fidelity;
    using device::ReadNoiseMode;
    const auto weights = synthetic.weights();
    const trial::Experiment experiment(data, 1,
                                       {point_with(Fidelity::behavioural, ReadNoiseMode::frozen, weights),
                                        point_with(Fidelity::behavioural, ReadNoiseMode::per_read, weights),
                                        point_with(Fidelity::sliced, ReadNoiseMode::per_read, weights)});
    trial::UnitRunner runner(experiment, 1, images);
    const auto seconds_per_image = [&](PointId point) {
        return least(options.seconds, [&] {
            return runner.run({TrialId(0), ShardId(0), {point}}).front().seconds / images;
        });
    };
    const double digital_s = seconds_per_image(experiment.reference_point(0));
    const double frozen_s = seconds_per_image(PointId(0));
    const double per_read_s = seconds_per_image(PointId(1));
    const double sliced_s = seconds_per_image(PointId(2));
    const double memory = anonymous_bytes();
    const double circuit = circuit_rate(options.seconds);
    const double flops =
        2.0 * static_cast<double>(experiment.model(0).network.architecture().multiply_accumulates());

    const nlohmann::ordered_json figures{
        {"instruction_set", instruction_set()},
        {"fma_peak_flop_per_s", peak},
        {"digital_images_per_s", 1 / digital_s},
        {"frozen_images_per_s", 1 / frozen_s},
        {"per_read_images_per_s", 1 / per_read_s},
        {"sliced_images_per_s", 1 / sliced_s},
        {"circuit_mac_per_s", circuit},
        {"normals_per_s", 1 / normal_s},
        {"digital_per_fma_peak", flops / digital_s / peak},
        {"frozen_per_digital", digital_s / frozen_s},
        {"per_read_per_digital", digital_s / per_read_s},
        {"sliced_per_digital", digital_s / sliced_s},
        {"circuit_per_digital", 2 * circuit * digital_s / flops},
        {"private_memory_bytes", memory},
    };
    if (options.json) {
        fmt::print("{}\n", figures.dump(2));
        return ExitCode::done;
    }
    fmt::print("one core, DeiT-S ({:.2f} GMAC), units of {} images, {}\n", flops / 2e9, images,
               instruction_set());
    fmt::print("  fp32 FMA peak                {:8.1f} GFLOP/s\n", peak / 1e9);
    fmt::print("  digital                      {:8.2f} images/s   {:.3f} of the FMA peak\n", 1 / digital_s,
               flops / digital_s / peak);
    fmt::print("  noisy, frozen read noise     {:8.2f} images/s   {:.3f} of digital\n", 1 / frozen_s,
               digital_s / frozen_s);
    fmt::print("  noisy, read noise per read   {:8.2f} images/s   {:.3f} of digital\n", 1 / per_read_s,
               digital_s / per_read_s);
    fmt::print("  the same, sliced             {:8.2f} images/s   {:.3f} of digital\n", 1 / sliced_s,
               digital_s / sliced_s);
    fmt::print("  the same, circuit            {:8.3f} GMAC/s     {:.4f} of digital\n", circuit / 1e9,
               2 * circuit * digital_s / flops);
    fmt::print("  normals                      {:8.3f} G/s\n", 1e-9 / normal_s);
    fmt::print("  private memory               {:8.0f} MB         beside the mapped weights\n", memory / 1e6);
    return ExitCode::done;
}

}  // namespace crossweep::app
