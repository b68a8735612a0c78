#include "crossweep/device/noise.hpp"

#include <cstddef>
#include <limits>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"

namespace crossweep::device {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

CROSSWEEP_MULTIVERSION
void read_kernel(float* __restrict g, const float* __restrict normal, float sigma, float low, float high,
                 std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float noisy = g[i] * (1.0F + sigma * normal[i]);
        const float raised = noisy < low ? low : noisy;
        g[i] = raised > high ? high : raised;
    }
}

CROSSWEEP_MULTIVERSION
void write_kernel(float* __restrict g, const float* __restrict normal, float sigma, float min, float span,
                  float low, float high, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float above = g[i] > min ? g[i] - min : 0.0F;
        const float noisy = g[i] + sigma * __builtin_sqrtf(above * span) * normal[i];
        const float raised = noisy < low ? low : noisy;
        g[i] = raised > high ? high : raised;
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

ReadNoise::ReadNoise(const DeviceParams& params)
    : sigma_(static_cast<float>(params.read_noise_sigma)),
      bounds_(conductance_bounds(params.clamp, conductance_window(params))) {}

void ReadNoise::operator()(std::span<float> conductance_S, std::span<const float> normal) const {
    CROSSWEEP_EXPECT(conductance_S.size() == normal.size());
    read_kernel(conductance_S.data(), normal.data(), sigma_, bounds_.low_S, bounds_.high_S, normal.size());
}

WriteNoise::WriteNoise(double sigma, const DeviceParams& params)
    : sigma_(static_cast<float>(sigma)),
      window_(conductance_window(params)),
      bounds_(conductance_bounds(params.clamp, window_)) {}

WriteNoise WriteNoise::of_written_operands(const DeviceParams& params) {
    return {params.write_noise_factor * params.write_noise_sigma, params};
}

WriteNoise WriteNoise::of_programming(const DeviceParams& params) {
    return {params.programming_noise_sigma, params};
}

void WriteNoise::operator()(std::span<float> conductance_S, std::span<const float> normal) const {
    CROSSWEEP_EXPECT(conductance_S.size() == normal.size());
    write_kernel(conductance_S.data(), normal.data(), sigma_, window_.min_S, window_.span_S(), bounds_.low_S,
                 bounds_.high_S, normal.size());
}

}  // namespace crossweep::device
