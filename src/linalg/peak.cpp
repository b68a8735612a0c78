#include "crossweep/linalg/peak.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include "crossweep/core/multiversion.hpp"

namespace crossweep::linalg {
namespace {

constexpr int accumulators = 256;  // 16 vectors of 16: enough independent chains to hide the latency

CROSSWEEP_MULTIVERSION
float multiply_add(long rounds) {
    std::array<float, accumulators> sums;
    for (int i = 0; i < accumulators; ++i) sums[static_cast<std::size_t>(i)] = static_cast<float>(i);
    for (long round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < accumulators; ++i) sums[i] = sums[i] * 0.999F + 0.001F;
    }
    float sum = 0;
    for (const float value : sums) sum += value;
    return sum;
}

}  // namespace

double measure_peak_flops(double seconds) {
    using Clock = std::chrono::steady_clock;
    // A tenth of a second each: what the processor sustains, as in the products that are a fraction of it,
    // not what its clock reaches for a moment.
    constexpr long rounds = 50'000'000;
    const auto end = Clock::now() + std::chrono::duration<double>(seconds);
    double best = 0;
    volatile float sink = 0;
    while (Clock::now() < end) {
        const auto start = Clock::now();
        sink = multiply_add(rounds);
        const double taken = std::chrono::duration<double>(Clock::now() - start).count();
        best = std::max(best, 2.0 * accumulators * rounds / taken);
    }
    (void)sink;
    return best;
}

}  // namespace crossweep::linalg
