// crossweep bench: how fast this machine runs a DeiT-S, noise-free and noisy, as ratios within one run.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "crossweep/core/build_info.hpp"
#include "crossweep/core/error.hpp"
#include "crossweep/linalg/gaussian.hpp"
#include "crossweep/linalg/gemm.hpp"
#include "crossweep/linalg/peak.hpp"
#include "timed_case.hpp"

namespace crossweep::app {
namespace {

using Clock = std::chrono::steady_clock;

/// Memory of this process that no other shares and no file backs, in bytes.
double anonymous_bytes() {
    std::ifstream rollup("/proc/self/smaps_rollup");
    for (std::string word; rollup >> word;) {
        double kilobytes = 0;
        if (word == "Anonymous:" && rollup >> kilobytes) return 1024 * kilobytes;
    }
    return 0;
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

/// Run one case over and over, for profilers.
ExitCode run_one(const BenchOptions& options) {
    const auto found = std::find_if(cases().begin(), cases().end(),
                                    [&](const Case& timed) { return timed.name == options.only; });
    if (found == cases().end()) {
        std::vector<std::string_view> names;
        for (const Case& timed : cases()) names.push_back(timed.name);
        throw UsageError(fmt::format("bench --only {}: there is no such case. Choose one of {}.",
                                     options.only, fmt::join(names, ", ")));
    }
    constexpr std::size_t repeats = 50;  // the reference takes 2 % of the time or less
    TimedCase timed(*found);
    const double rate = timed.mac_per_s(options.seconds, repeats);
    fmt::print("{}: {:.3f} GMAC/s, {:.3f} ms per image\n", found->title, rate / 1e9,
               1e3 * timed.macs_per_image() / rate);
    return ExitCode::done;
}

/// Rates of a case, and of the peak and the digital forward as they were beside it.
struct Rates {
    double peak_flops = 0, digital_mac_per_s = 0, mac_per_s = 0;
};

/// In turns, so that a processor whose clock or neighbours change gives fair ratios.
Rates measure_in_turns(TimedCase& digital, TimedCase& timed, double seconds) {
    constexpr int turns = 4;
    Rates best;
    for (int turn = 0; turn < turns; ++turn) {
        best.peak_flops = std::max(best.peak_flops, linalg::measure_peak_flops(seconds / 2 / turns));
        best.digital_mac_per_s = std::max(best.digital_mac_per_s, digital.mac_per_s(seconds / turns));
        best.mac_per_s = std::max(best.mac_per_s, timed.mac_per_s(seconds / turns));
    }
    return best;
}

nlohmann::ordered_json measure(const BenchOptions& options) {
    nlohmann::ordered_json figures{{"instruction_set", instruction_set()},
                                   {"arithmetic_path", linalg::arithmetic_path()},
                                   {"fma_peak_flop_per_s", 0.0},
                                   {"normals_per_s", 1 / seconds_per_normal(options.seconds / 4)}};
    TimedCase digital(cases().front());
    const double macs = digital.macs_per_image();
    figures["image_mac"] = macs;
    for (const Case& timed : cases()) {
        const std::string name(timed.name);
        malloc_trim(0);  // memory of earlier cases would serve this one unseen
        const double before = anonymous_bytes();
        TimedCase run(timed);
        const Rates rates = measure_in_turns(digital, run, options.seconds);
        figures["fma_peak_flop_per_s"] =
            std::max(figures["fma_peak_flop_per_s"].get<double>(), rates.peak_flops);
        figures[name + "_mac_per_s"] = rates.mac_per_s;
        if (timed.depth > 1) figures[name + "_images_per_s"] = rates.mac_per_s / macs;
        figures[name + "_per_fma_peak"] = 2 * rates.mac_per_s / rates.peak_flops;
        figures[name + "_per_digital"] = rates.mac_per_s / rates.digital_mac_per_s;
        if (name == "per_read") figures["private_memory_bytes"] = anonymous_bytes() - before;
    }
    return figures;
}

}  // namespace

ExitCode bench(const BenchOptions& options) {
    if (!options.only.empty()) return run_one(options);
    const nlohmann::ordered_json figures = measure(options);
    if (options.json) {
        fmt::print("{}\n", figures.dump(2));
        return ExitCode::done;
    }
    const auto figure = [&](const std::string& name) { return figures.at(name).get<double>(); };
    const double peak = figure("fma_peak_flop_per_s"), macs = figure("image_mac");
    fmt::print("one core, DeiT-S ({:.2f} GMAC an image), {}\n", macs / 1e9,
               figures.at("arithmetic_path").get<std::string>());
    fmt::print("{:36}{:>9}{:>10}{:>14}{:>12}\n", "", "GMAC/s", "images/s", "of FMA peak", "of digital");
    fmt::print("{:36}{:9.3f}{:10.2f}{:14.3f}\n", "fused multiply-adds in fp32, peak", peak / 2e9,
               peak / 2 / macs, 1.0);
    for (const Case& timed : cases()) {
        const std::string name(timed.name);
        const double rate = figure(name + "_mac_per_s");
        fmt::print("{:36}{:9.3f}{:10.2f}{:14.3f}{:12.3f}\n", timed.title, rate / 1e9, rate / macs,
                   figure(name + "_per_fma_peak"), figure(name + "_per_digital"));
    }
    fmt::print("{:36}{:9.3f} G/s\n", "normals", figure("normals_per_s") / 1e9);
    fmt::print("{:36}{:9.0f} MB beside the mapped weights\n", "private memory",
               figure("private_memory_bytes") / 1e6);
    return ExitCode::done;
}

}  // namespace crossweep::app
