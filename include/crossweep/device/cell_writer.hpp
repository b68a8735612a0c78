// From the conductance that one wants to the one that a cell holds when it is read: levels, spread, noise of
// writing, faults, ageing, and read noise that lasts. The order of the effects is decided here.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crossweep/core/noise_stream.hpp"
#include "crossweep/device/device_params.hpp"
#include "crossweep/device/noise.hpp"

namespace crossweep::device {

/// What is stored: decides which noise of writing and which age apply, and what a draw belongs to.
enum class Storage {
    stationary,  ///< weights: everything is drawn once per trial
    written,     ///< K and V: spread, faults and drift exponents belong to the chip, the rest to the image
};

/// Write and verify: a cell that missed its aim by more than the tolerance is written again, with new noise,
/// up to `iterations` times. With p the chance that one write lands inside the tolerance, a fraction
/// (1 - p)^(iterations + 1) stays outside; both groups keep the law of one write, cut at the tolerance.
/// assumption: every write aims anew, as if the cell had been erased, and the verifying read has no noise.
struct WriteVerify {
    std::uint32_t iterations = 0;  ///< at most 15: a draw's operand carries the number
    double tolerance = 0.05;       ///< of G_max - G_min
    bool operator==(const WriteVerify&) const = default;
};

/// A row of cells, for naming its draws: the lower three bytes of `row` count rows of one plane of an
/// operand, the upper one names the plane.
struct CellRow {
    StreamKey key;
    LayerId layer;
    std::uint32_t operand = 0;  ///< below 16
    std::uint32_t image = 0;    ///< image index + 1; 0 for stationary weights
    std::uint32_t row = 0;
};

class CellWriter {
  public:
    CellWriter(const DeviceParams& params, Storage storage, const WriteVerify& verify = {});

    /// Replace the conductances wanted (siemens) by those that the cells hold, in this order: nearest level;
    /// the cell's own window; noise of writing (and verifying); drift and retention until the read; stuck
    /// cells, which do not age; read noise that lasts (frozen). The clamp holds after each but the levels.
    /// Draws are those of `row`: cells may be given in any order of rows, and a shorter row is a prefix of a
    /// longer one. Every effect that is on costs one or two passes, and one draw per cell if it is random.
    void operator()(std::span<float> conductance_S, const CellRow& row);

    /// Writes so far beyond one per cell, because a cell had missed its aim.
    std::uint64_t rewrites() const { return rewrites_; }

    /// Whether any effect is on; if not, operator() changes nothing.
    bool perturbs() const;

  private:
    void set_levels(std::span<float> conductance_S) const;
    void spread(std::span<float> conductance_S, const CellRow& row);
    void write(std::span<float> conductance_S, const CellRow& row);
    void write_again_where_missed(std::span<float> conductance_S, const CellRow& row);
    void age(std::span<float> conductance_S, const CellRow& row);
    void stick(std::span<float> conductance_S, const CellRow& row);
    void keep_read_noise(std::span<float> conductance_S, const CellRow& row);
    void clamp(std::span<float> conductance_S) const;

    DeviceParams params_;
    Storage storage_;
    WriteVerify verify_;
    ConductanceWindow window_;
    ConductanceBounds bounds_;
    WriteNoise write_noise_;
    ReadNoise read_noise_;
    float stuck_low_, stuck_high_;  ///< a cell is stuck if its normal is below the one or above the other
    float halvings_;                ///< drift: log2(t / t0), G loses the factor 2^-(nu halvings); 0: none
    float kept_;                    ///< retention: what is left of G - G_min
    std::vector<float> normal_, other_, aim_;
    std::uint64_t rewrites_ = 0;
};

/// How often a cell of K or V is written on average, if each of the conductances aimed at (siemens) is
/// equally frequent: 1 + (1 - p) + ... + (1 - p)^iterations, with p the chance that a write lands inside the
/// tolerance.
double mean_writes(const DeviceParams& params, const WriteVerify& verify,
                   std::span<const float> conductance_S);

/// Whether any draw of these cells belongs to the chip rather than to an image or a read.
bool draws_per_chip(const DeviceParams& params, Storage storage);

}  // namespace crossweep::device
