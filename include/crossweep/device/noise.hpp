// What a cell does to the conductance that one wanted. Conductances in siemens in and out; every law stands
// here once.
#pragma once

#include <span>

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

/// Read noise: G' = G (1 + sigma xi), xi ~ N(0, 1). ClipFormer eq. 8 in weight units.
class ReadNoise {
  public:
    explicit ReadNoise(const DeviceParams& params);
    /// Perturb `conductance_S` in place with standard normals, one each.
    void operator()(std::span<float> conductance_S, std::span<const float> normal) const;
    float sigma() const { return sigma_; }

  private:
    float sigma_;
    ConductanceBounds bounds_;
};

/// Write noise: G' = G + sigma sqrt((G - G_min)(G_max - G_min)) xi. ClipFormer eq. 9 with sigma = gamma
/// sigma_W; independent of the on/off ratio in weight units. G below G_min counts as G_min.
class WriteNoise {
  public:
    /// The noise of writing K and V: sigma = write_noise_factor write_noise_sigma.
    static WriteNoise of_written_operands(const DeviceParams& params);
    /// The noise of programming stationary weights: sigma = programming_noise_sigma.
    /// assumption: the same law as for K and V, as the cells are the same.
    static WriteNoise of_programming(const DeviceParams& params);

    void operator()(std::span<float> conductance_S, std::span<const float> normal) const;
    float sigma() const { return sigma_; }

  private:
    WriteNoise(double sigma, const DeviceParams& params);
    float sigma_;
    ConductanceWindow window_;
    ConductanceBounds bounds_;
};

}  // namespace crossweep::device
