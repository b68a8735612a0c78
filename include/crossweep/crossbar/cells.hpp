// Digits on cells: the one place where the crossbar's digits become siemens for the device, and come back.
#pragma once

#include <span>
#include <vector>

#include "crossweep/core/noise_stream.hpp"
#include "crossweep/crossbar/cell_layout.hpp"
#include "crossweep/crossbar/mapped_operand.hpp"
#include "crossweep/crossbar/mapping.hpp"
#include "crossweep/device/cell_writer.hpp"

namespace crossweep::crossbar {

/// Whose cells they are: names their draws.
struct CellIdentity {
    StreamKey key;
    LayerId layer;
    linalg::Role role;
    std::uint32_t image = 0;  ///< image index + 1; 0 for stationary weights
};

/// The cells of one operand. Digit 0 stands for G_min and the layout's largest for G_max.
class Cells {
  public:
    Cells(const device::DeviceParams& device, device::Storage storage, const device::WriteVerify& verify,
          CellLayout layout, double wire_resistance_ohm);

    const CellLayout& layout() const { return layout_; }

    /// Writes so far beyond one per cell, because a cell had missed its aim.
    std::uint64_t rewrites() const { return writer_.rewrites(); }

    /// Whether cells hold exactly the digits wanted, integers, whatever is written.
    bool are_perfect() const { return !writer_.perturbs() && !drop_voltage(); }

    /// Whether the layout's digits can hold the largest code.
    bool fit(const MappedOperand& mapped) const;

    /// What the cells of one plane hold, [rows, columns] in the operand's stored shape: real numbers in units
    /// of a digit, after everything that happens at or after writing, and with the IR drop of the lines as an
    /// effective value. Digits of perfect cells are exact integers.
    /// Throws InternalError beyond 2^24 rows or 2^8 planes: outside the random stream.
    void hold(const MappedOperand& mapped, const CellIdentity& identity, const Plane& plane,
              const ArrayGrid& grid, linalg::Matrix& held);

    /// Whether the lines drop voltage: then arrays are held as a whole, else row by row just as well.
    bool drop_voltage() const { return wire_resistance_ohm_ > 0; }
    /// The same for one row, without IR drop.
    void hold_row(const MappedOperand& mapped, const CellIdentity& identity, const Plane& plane,
                  Eigen::Index row, std::span<float> held);

    /// (A(G) / S)^2 of cells that hold `held` digits, S the conductance of one digit: times sigma^2 x^2 it is
    /// the variance that read noise adds to a sum of digits, see read_law.hpp.
    void squared_amplitude(std::span<const float> held, std::span<float> squared) const;

    /// By how much a cell that holds `digit` goes up or down by telegraph noise, in digits: amplitude times
    /// G.
    float telegraph_swing(float digit) const {
        return telegraph_amplitude_ * (digit + window_.min_S / siemens_per_digit_);
    }
    float telegraph_amplitude() const { return telegraph_amplitude_; }

    /// Deviation of read noise that is drawn at every read, relative to A(G); 0 if there is none.
    float read_sigma() const { return read_sigma_; }
    /// Of read noise that cells keep once it is drawn; 0 without.
    float frozen_sigma() const { return frozen_sigma_; }

  private:
    /// The conductances of one row after writing; digits if the cells are perfect.
    void write_row(const MappedOperand& mapped, const CellIdentity& identity, const Plane& plane,
                   Eigen::Index row, std::span<float> cells);
    void to_digits(std::span<float> conductance_S) const;
    void apply_ir_drop_to(const ArrayGrid& grid, linalg::MatrixView conductance_S) const;

    CellLayout layout_;
    ConductanceWindow window_;
    float siemens_per_digit_;
    double wire_resistance_ohm_;
    device::CellWriter writer_;
    device::ReadNoise read_noise_;
    float read_sigma_, frozen_sigma_, telegraph_amplitude_;
};

/// The cells of an operand that is not digital. `transform` acts on K and V alone: clipping decides how many
/// slices they have, and write-verify how they are written.
Cells make_cells(linalg::Role role, const OperandParams& operand, const CrossbarParams& crossbar,
                 const transform::TransformParams& transform);

}  // namespace crossweep::crossbar
