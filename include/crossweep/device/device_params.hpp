// Parameters of one NVM cell. Defaults: ClipFormer (arXiv 2402.02586), Table I; what it leaves open is
// marked.
#pragma once

namespace crossweep::device {

/// How long one draw of read noise lasts.
enum class ReadNoiseMode {
    per_read,  ///< fresh at every read
    frozen,    ///< drawn once per trial (weights) or once per write (K, V)
};

/// What keeps a noisy conductance physical. Noise that is fresh at every read is drawn per output and never
/// limited.
enum class Clamp {
    none,          ///< nothing (assumption: the paper does not say)
    non_negative,  ///< never below zero
    window,        ///< never outside [G_min, G_max]
};

struct DeviceParams {
    double g_max_S = 1e-5;           ///< largest conductance
    double on_off_ratio = 100;       ///< G_max / G_min
    double read_noise_sigma = 0.05;  ///< relative to the conductance; assumption: see PHYSICS
    ReadNoiseMode read_noise = ReadNoiseMode::per_read;
    double write_noise_sigma = 0.1;      ///< relative to sqrt((G - G_min)(G_max - G_min)); assumption
    double write_noise_factor = 3;       ///< gamma, multiplies write_noise_sigma
    double programming_noise_sigma = 0;  ///< of stationary weights, same law as write noise with gamma = 1
    Clamp clamp = Clamp::none;

    bool operator==(const DeviceParams&) const = default;
};

}  // namespace crossweep::device
