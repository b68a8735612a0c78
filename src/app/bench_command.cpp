// crossweep bench: how fast this machine runs a DeiT-S, noise-free and noisy, as ratios within one run.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "crossweep/core/build_info.hpp"
#include "crossweep/crossbar/behavioural_engine.hpp"
#include "crossweep/linalg/gaussian.hpp"
#include "crossweep/linalg/peak.hpp"
#include "synthetic_model.hpp"

namespace crossweep::app {
namespace {

using Clock = std::chrono::steady_clock;

/// Seconds of one call: the least of as many as fit in `budget_s`, at least three.
double least_seconds(double budget_s, const std::function<void()>& call) {
    double best = 1e300, spent = 0;
    for (int calls = 0; calls < 3 || spent < budget_s; ++calls) {
        const auto start = Clock::now();
        call();
        const double taken = std::chrono::duration<double>(Clock::now() - start).count();
        best = std::min(best, taken);
        spent += taken;
    }
    return best;
}

double noisy_seconds(const SyntheticModel& model, device::ReadNoiseMode mode, double budget_s) {
    device::DeviceParams device;
    device.read_noise = mode;
    const crossbar::CrossbarParams crossbar;
    const auto weights = model.network->stationary_weights();
    const auto chip = crossbar::program_weights(weights, device, crossbar, {1, 0});
    crossbar::BehaviouralEngine engine(weights, chip, device, crossbar, {}, {1, 0});
    model::Activations activations;
    std::vector<float> logits(model.network->architecture().classes);
    return least_seconds(budget_s, [&] {
        engine.begin_image(ImageId(0));
        model.network->forward(model.image, engine, activations, {}, logits);
    });
}

}  // namespace

ExitCode bench(const BenchOptions& options) {
    const SyntheticModel model = make_deit_small();
    const double peak = linalg::measure_peak_flops(options.seconds / 2);
    const double flops = 2.0 * static_cast<double>(model.network->architecture().multiply_accumulates());

    linalg::DigitalEngine digital(model.network->stationary_weights());
    model::Activations activations;
    std::vector<float> logits(model.network->architecture().classes);
    const double digital_s = least_seconds(
        options.seconds, [&] { model.network->forward(model.image, digital, activations, {}, logits); });
    const double frozen_s = noisy_seconds(model, device::ReadNoiseMode::frozen, options.seconds);
    const double per_read_s = noisy_seconds(model, device::ReadNoiseMode::per_read, options.seconds);
    std::vector<float> normal(1 << 14);
    const double normal_s = least_seconds(options.seconds / 4, [&] {
        linalg::fill_normal({1, 2}, {3, 4, 5}, normal);
    });

    const nlohmann::ordered_json figures{
        {"instruction_set", instruction_set()},
        {"fma_peak_flop_per_s", peak},
        {"digital_images_per_s", 1 / digital_s},
        {"frozen_images_per_s", 1 / frozen_s},
        {"per_read_images_per_s", 1 / per_read_s},
        {"normals_per_s", static_cast<double>(normal.size()) / normal_s},
        {"digital_per_fma_peak", flops / digital_s / peak},
        {"frozen_per_digital", digital_s / frozen_s},
        {"per_read_per_digital", digital_s / per_read_s},
    };
    if (options.json) {
        fmt::print("{}\n", figures.dump(2));
        return ExitCode::done;
    }
    fmt::print("one core, DeiT-S ({:.2f} GMAC), one image at a time, {}\n", flops / 2e9, instruction_set());
    fmt::print("  fp32 FMA peak                {:8.1f} GFLOP/s\n", peak / 1e9);
    fmt::print("  digital                      {:8.2f} images/s   {:.3f} of the FMA peak\n", 1 / digital_s,
               flops / digital_s / peak);
    fmt::print("  noisy, frozen read noise     {:8.2f} images/s   {:.3f} of digital\n", 1 / frozen_s,
               digital_s / frozen_s);
    fmt::print("  noisy, read noise per read   {:8.2f} images/s   {:.3f} of digital\n", 1 / per_read_s,
               digital_s / per_read_s);
    fmt::print("  normals                      {:8.3f} G/s\n",
               static_cast<double>(normal.size()) / normal_s / 1e9);
    return ExitCode::done;
}

}  // namespace crossweep::app
