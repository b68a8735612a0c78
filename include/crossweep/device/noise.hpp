// The laws of read and write noise. Conductances in siemens in and out; every law stands here once.
#pragma once

#include <span>
#include <vector>

#include "crossweep/core/conductance.hpp"
#include "crossweep/device/device_params.hpp"

namespace crossweep::device {

/// G_min and G_max of a device, G_min = G_max / on_off_ratio.
ConductanceWindow conductance_window(const DeviceParams& params);

/// There is read noise, and it is drawn anew at every read.
bool draws_at_every_read(const DeviceParams& params);
/// There is read noise, and a cell keeps its draw: a weight for the trial, K and V until they are written
/// again.
bool keeps_read_noise(const DeviceParams& params);

/// Bounds that a clamp sets; infinite where it sets none.
struct ConductanceBounds {
    float low_S, high_S;
};
ConductanceBounds conductance_bounds(Clamp clamp, ConductanceWindow window);

/// A(G) of a measured table, prepared for vector loops: the first deviation, and what every stretch between
/// two points adds to it. A G outside the table gets the end values.
struct MeasuredAmplitude {
    struct Stretch {
        float start_S, width_S, slope;
    };
    MeasuredAmplitude() = default;
    /// `table` has at least one point, and its conductances rise strictly.
    explicit MeasuredAmplitude(const NoiseTable& table);

    float first_S = 0;
    std::vector<Stretch> stretches;
};

/// Read noise: G' = G + sigma A(G) xi, xi ~ N(0, 1), with A(G) = G in ClipFormer (eq. 8).
class ReadNoise {
  public:
    explicit ReadNoise(const DeviceParams& params);
    /// Perturb `conductance_S` in place with standard normals, one each.
    void operator()(std::span<float> conductance_S, std::span<const float> normal) const;
    /// A(G) in siemens, element by element: what sigma multiplies. In place is allowed.
    void amplitude(std::span<const float> conductance_S, std::span<float> amplitude_S) const;
    float sigma() const { return sigma_; }

  private:
    float sigma_;
    ReadNoiseLaw law_;
    float max_S_;
    MeasuredAmplitude measured_;  // of a law of that kind only
    ConductanceBounds bounds_;
};

/// Write noise: G' = G + sigma A(G) xi, with A(G) = sqrt((G - G_min)(G_max - G_min)) in ClipFormer (eq. 9,
/// sigma = gamma sigma_W), which is independent of the on/off ratio in weight units. There G below G_min
/// counts as G_min.
class WriteNoise {
  public:
    /// The noise of writing K and V: sigma = write_noise_factor write_noise_sigma.
    static WriteNoise of_written_operands(const DeviceParams& params);
    /// The noise of programming stationary weights: sigma = programming_noise_sigma.
    /// assumption: the same law as for K and V, as the cells are the same.
    static WriteNoise of_programming(const DeviceParams& params);

    /// Perturb the conductances aimed at in place with standard normals, one each.
    void operator()(std::span<float> conductance_S, std::span<const float> normal) const;
    float sigma() const { return sigma_; }

  private:
    WriteNoise(double sigma, const DeviceParams& params);
    float sigma_;
    WriteNoiseLaw law_;
    ConductanceWindow window_;
    MeasuredAmplitude measured_;  // of a law of that kind only
    ConductanceBounds bounds_;
};

}  // namespace crossweep::device
