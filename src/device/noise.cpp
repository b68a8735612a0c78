#include "crossweep/device/noise.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"

namespace crossweep::device {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

CROSSWEEP_MULTIVERSION
void proportional_kernel(float* __restrict g, const float* __restrict normal, float sigma, float low,
                         float high, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float noisy = g[i] * (1.0F + sigma * normal[i]);
        const float raised = noisy < low ? low : noisy;
        g[i] = raised > high ? high : raised;
    }
}

CROSSWEEP_MULTIVERSION
void clipformer_kernel(float* __restrict g, const float* __restrict normal, float sigma, float min,
                       float span, float low, float high, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float above = g[i] > min ? g[i] - min : 0.0F;
        const float noisy = g[i] + sigma * __builtin_sqrtf(above * span) * normal[i];
        const float raised = noisy < low ? low : noisy;
        g[i] = raised > high ? high : raised;
    }
}

CROSSWEEP_MULTIVERSION
void constant_kernel(float* __restrict g, const float* __restrict normal, float deviation, float low,
                     float high, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float noisy = g[i] + deviation * normal[i];
        const float raised = noisy < low ? low : noisy;
        g[i] = raised > high ? high : raised;
    }
}

CROSSWEEP_MULTIVERSION
void amplitude_kernel(float* __restrict g, const float* __restrict normal, const float* __restrict amplitude,
                      float sigma, float low, float high, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float noisy = g[i] + sigma * amplitude[i] * normal[i];
        const float raised = noisy < low ? low : noisy;
        g[i] = raised > high ? high : raised;
    }
}

// Stretches outside and cells inside: every stretch adds its slope times the part of it that lies below G, so
// that no cell has to search the table.
CROSSWEEP_MULTIVERSION
void measured_kernel(const float* __restrict g, float* __restrict amplitude, float first,
                     const MeasuredAmplitude::Stretch* __restrict stretch, std::size_t stretches,
                     std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) amplitude[i] = first;
    for (std::size_t s = 0; s < stretches; ++s) {
        const float start = stretch[s].start_S, width = stretch[s].width_S, slope = stretch[s].slope;
        for (std::size_t i = 0; i < count; ++i) {
            const float above = g[i] - start;
            const float risen = above < 0.0F ? 0.0F : above;  // not a number stays so
            amplitude[i] += slope * (risen > width ? width : risen);
        }
    }
}

/// A block of cells whose amplitudes stay in the first cache.
constexpr std::size_t block = 512;

void measure(std::span<const float> g, const MeasuredAmplitude& measured, std::span<float> amplitude) {
    measured_kernel(g.data(), amplitude.data(), measured.first_S, measured.stretches.data(),
                    measured.stretches.size(), g.size());
}

void perturb_as_measured(std::span<float> g, std::span<const float> normal, float sigma,
                         const MeasuredAmplitude& measured, ConductanceBounds bounds) {
    std::array<float, block> amplitude;
    for (std::size_t begin = 0; begin < g.size(); begin += block) {
        const std::size_t size = std::min(block, g.size() - begin);
        measure(g.subspan(begin, size), measured, amplitude);
        amplitude_kernel(g.data() + begin, normal.data() + begin, amplitude.data(), sigma, bounds.low_S,
                         bounds.high_S, size);
    }
}

}  // namespace

ConductanceWindow conductance_window(const DeviceParams& params) {
    return {static_cast<float>(params.g_max_S / params.on_off_ratio), static_cast<float>(params.g_max_S)};
}

bool draws_at_every_read(const DeviceParams& params) {
    return params.read_noise == ReadNoiseMode::per_read && params.read_noise_sigma > 0;
}

bool keeps_read_noise(const DeviceParams& params) {
    return params.read_noise == ReadNoiseMode::frozen && params.read_noise_sigma > 0;
}

ConductanceBounds conductance_bounds(Clamp clamp, ConductanceWindow window) {
    switch (clamp) {
        case Clamp::none:
            return {-infinity, infinity};
        case Clamp::non_negative:
            return {0.0F, infinity};
        case Clamp::window:
            return {window.min_S, window.max_S};
    }
    throw InternalError("unknown clamp");
}

MeasuredAmplitude::MeasuredAmplitude(const NoiseTable& table) {
    const auto& conductance = table.conductance_S;
    const auto& deviation = table.deviation_S;
    CROSSWEEP_EXPECT(!conductance.empty() && conductance.size() == deviation.size());
    first_S = static_cast<float>(deviation.front());
    for (std::size_t i = 1; i < conductance.size(); ++i) {
        const double width = conductance[i] - conductance[i - 1];
        CROSSWEEP_EXPECT(width > 0);
        stretches.push_back({static_cast<float>(conductance[i - 1]), static_cast<float>(width),
                             static_cast<float>((deviation[i] - deviation[i - 1]) / width)});
    }
}

ReadNoise::ReadNoise(const DeviceParams& params)
    : sigma_(static_cast<float>(params.read_noise_sigma)),
      law_(params.read_noise_law),
      max_S_(conductance_window(params).max_S),
      measured_(law_ == ReadNoiseLaw::table ? MeasuredAmplitude(params.read_noise_table)
                                            : MeasuredAmplitude()),
      bounds_(conductance_bounds(params.clamp, conductance_window(params))) {}

void ReadNoise::operator()(std::span<float> conductance_S, std::span<const float> normal) const {
    CROSSWEEP_EXPECT(conductance_S.size() == normal.size());
    float* const g = conductance_S.data();
    const auto [low, high] = bounds_;
    switch (law_) {
        case ReadNoiseLaw::proportional:
            return proportional_kernel(g, normal.data(), sigma_, low, high, normal.size());
        case ReadNoiseLaw::constant:
            return constant_kernel(g, normal.data(), sigma_ * max_S_, low, high, normal.size());
        case ReadNoiseLaw::table:
            return perturb_as_measured(conductance_S, normal, sigma_, measured_, bounds_);
    }
    throw InternalError("unknown law of read noise");
}

void ReadNoise::amplitude(std::span<const float> conductance_S, std::span<float> amplitude_S) const {
    CROSSWEEP_EXPECT(conductance_S.size() == amplitude_S.size());
    switch (law_) {
        case ReadNoiseLaw::proportional:
            if (conductance_S.data() != amplitude_S.data()) {
                std::copy(conductance_S.begin(), conductance_S.end(), amplitude_S.begin());
            }
            return;
        case ReadNoiseLaw::constant:
            return std::fill(amplitude_S.begin(), amplitude_S.end(), max_S_);
        case ReadNoiseLaw::table:
            std::array<float, block> of_block;
            for (std::size_t begin = 0; begin < conductance_S.size(); begin += block) {
                const std::size_t size = std::min(block, conductance_S.size() - begin);
                measure(conductance_S.subspan(begin, size), measured_, of_block);
                std::copy_n(of_block.data(), size, amplitude_S.data() + begin);
            }
            return;
    }
    throw InternalError("unknown law of read noise");
}

WriteNoise::WriteNoise(double sigma, const DeviceParams& params)
    : sigma_(static_cast<float>(sigma)),
      law_(params.write_noise_law),
      window_(conductance_window(params)),
      measured_(law_ == WriteNoiseLaw::table ? MeasuredAmplitude(params.write_noise_table)
                                             : MeasuredAmplitude()),
      bounds_(conductance_bounds(params.clamp, window_)) {}

WriteNoise WriteNoise::of_written_operands(const DeviceParams& params) {
    return {params.write_noise_factor * params.write_noise_sigma, params};
}

WriteNoise WriteNoise::of_programming(const DeviceParams& params) {
    return {params.programming_noise_sigma, params};
}

void WriteNoise::operator()(std::span<float> conductance_S, std::span<const float> normal) const {
    CROSSWEEP_EXPECT(conductance_S.size() == normal.size());
    float* const g = conductance_S.data();
    const float span_S = window_.span_S();
    const auto [low, high] = bounds_;
    switch (law_) {
        case WriteNoiseLaw::clipformer:
            return clipformer_kernel(g, normal.data(), sigma_, window_.min_S, span_S, low, high,
                                     normal.size());
        case WriteNoiseLaw::proportional:
            return proportional_kernel(g, normal.data(), sigma_, low, high, normal.size());
        case WriteNoiseLaw::constant:
            return constant_kernel(g, normal.data(), sigma_ * span_S, low, high, normal.size());
        case WriteNoiseLaw::table:
            return perturb_as_measured(conductance_S, normal, sigma_, measured_, bounds_);
    }
    throw InternalError("unknown law of write noise");
}

}  // namespace crossweep::device
