// Parameters of one NVM cell. Defaults: ClipFormer (arXiv 2402.02586), Table I; what it leaves open is
// marked. Everything beside read and write noise is off by default.
#pragma once

#include <cstdint>
#include <vector>

namespace crossweep::device {

/// How long one draw of read noise lasts.
enum class ReadNoiseMode {
    per_read,  ///< fresh at every read
    frozen,    ///< drawn once per trial (weights) or once per write (K, V)
};

/// How the deviation of read noise depends on the conductance; read_noise_sigma multiplies it.
enum class ReadNoiseLaw {
    proportional,  ///< G (ClipFormer eq. 8)
    constant,      ///< G_max, whatever the state
    table,         ///< read_noise_table, measured points
};

/// How the deviation of write noise depends on the conductance aimed at; sigma multiplies it.
enum class WriteNoiseLaw {
    clipformer,    ///< sqrt((G - G_min)(G_max - G_min)) (ClipFormer eq. 9)
    proportional,  ///< G
    constant,      ///< G_max - G_min, whatever the state
    table,         ///< write_noise_table, measured points
};

/// What keeps a noisy conductance physical. Noise that is fresh at every read is drawn per output and never
/// limited.
enum class Clamp {
    none,          ///< nothing (assumption: the paper does not say)
    non_negative,  ///< never below zero
    window,        ///< never outside [G_min, G_max]
};

/// Measured deviations of a conductance; straight lines between the points, the end values outside them.
struct NoiseTable {
    std::vector<double> conductance_S;  ///< ascending
    std::vector<double> deviation_S;    ///< as many
    bool operator==(const NoiseTable&) const = default;
};

struct DeviceParams {
    double g_max_S = 1e-5;            ///< largest conductance
    double on_off_ratio = 100;        ///< G_max / G_min
    std::uint32_t bits_per_cell = 2;  ///< of the slices at fidelity sliced and circuit
    std::uint32_t levels = 0;         ///< equidistant conductances that a cell can be set to; 0: any
    Clamp clamp = Clamp::none;

    ReadNoiseMode read_noise = ReadNoiseMode::per_read;
    ReadNoiseLaw read_noise_law = ReadNoiseLaw::proportional;
    double read_noise_sigma = 0.05;  ///< times what the law says; assumption: see PHYSICS
    NoiseTable read_noise_table;
    /// Random telegraph noise: at every read a cell is at G (1 + amplitude) or G (1 - amplitude), either
    /// state as likely (assumption). At level large_small alone.
    double telegraph_amplitude = 0;

    WriteNoiseLaw write_noise_law = WriteNoiseLaw::clipformer;
    double write_noise_sigma = 0.1;      ///< of writing K and V, times what the law says; assumption
    double write_noise_factor = 3;       ///< gamma, multiplies write_noise_sigma
    double programming_noise_sigma = 0;  ///< of stationary weights, same law, gamma = 1
    NoiseTable write_noise_table;

    // Once per chip. A conductance at fraction f of the window lands at fraction f of the cell's own window
    // G_min (1 + s_min xi_1) ... G_max (1 + s_max xi_2). assumption: both deviations are normal and
    // independent.
    double g_min_spread_sigma = 0;  ///< device to device, relative to G_min
    double g_max_spread_sigma = 0;  ///< device to device, relative to G_max
    double stuck_at_g_min = 0;      ///< fraction of the cells
    double stuck_at_g_max = 0;      ///< fraction of the cells

    // Ageing. Drift: the power law of structural relaxation in phase-change memory, nu normal from cell to
    // cell (Joshi et al. 2020, Nat. Commun. 11, 2473). Structural relaxation only lowers the conductance, so
    // a nu drawn below 0 counts as 0 (assumption; aihwkit takes its magnitude). Retention: G - G_min decays
    // with exp(-t / retention_s) (assumption: every cell alike, towards G_min).
    double t_read_s = 0;              ///< age of the stationary weights when they are read
    double written_t_read_s = 0;      ///< age of K and V when they are read
    double drift_t0_s = 1;            ///< age at which drift sets in
    double drift_exponent = 0;        ///< mean nu of G(t) = G (t / t0)^-nu, from t0 on
    double drift_exponent_sigma = 0;  ///< its deviation from cell to cell
    double retention_s = 0;           ///< time constant of the decay to G_min; 0: no decay

    bool operator==(const DeviceParams&) const = default;
};

}  // namespace crossweep::device
