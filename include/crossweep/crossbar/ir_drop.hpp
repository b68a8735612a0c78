// Voltage lost along the lines of one crossbar array, as a change of its conductances. What a cell is set to
// and how it is read stand elsewhere.
#pragma once

#include "crossweep/crossbar/orientation.hpp"
#include "crossweep/linalg/matrix.hpp"

namespace crossweep::crossbar {

/// Replace the conductances of one array, in place, by the effective ones that it shows to its sources and
/// sense amplifiers when every segment of its lines has `wire_resistance_ohm` R. R = 0 leaves every bit.
///
/// Word line i is driven with V_i in front of column 0 and open behind the last; bit line j is sensed at
/// virtual ground below the last row and open above row 0. One segment lies between neighbouring cells, one
/// between a line's end and its first cell; word lines that are not driven are held at 0 V. A matrix smaller
/// than an array is one of its own size, next to sources and amplifiers, the cells beyond it cut off.
///
/// The network is linear, so currents are I_j = sum_i V_i G'_ij exactly, whatever the inputs. With m word
/// lines and n bit lines, cell (i, j) sees V_i less the drop along both lines,
///   I_ij = G_ij (V_i - R sum_l (min(j, l) + 1) I_il - R sum_k (m - max(i, k)) I_kj),
/// because a segment carries the current of all cells behind it: Kirchhoff's laws, as in A. Chen, IEEE Trans.
/// Electron Devices 60 (2013) 1318. I_ij = G_ij V_i on the right and a sum over i give the first order in R,
///   G'_ij = G_ij (1 - a_ij),  a_ij = R (sum_l (min(j, l) + 1) G_il + sum_k (m - max(i, k)) G_kj).
/// The last sum is the rise of bit line j, where the current of V_i lowers that of every other row.
///
/// This function gives G_ij / (1 + a_ij), which agrees to first order and stays positive for conductances
/// that are not negative. Measured against the full network, all cells on or random, N = 4 to 64 lines on the
/// longer side, x = R G_max N^2 up to 2: elements are off by at most 0.12 x^2 G_max (at x = 1 by 0.035
/// G_max), the current of a column with all inputs on by at most 7 x^2 percent (at x = 1 by 3.5 percent,
/// where all cells on lose 40 to 50). A cell that is off gains up to 0.12 x^2 G_max from currents that return
/// through other lines, which this leaves out: much of its own conductance. Other forms of the same first
/// order, one factor 1 / (1 + a) for each line, exp(-a), and exact ladders of single lines, miss 8 to 21
/// percent of a column at x = 1, N = 16. N = 64 and 10 uS have x = 0.1 at 2.4 ohm.
///
/// Linear cells only: selectors, and the change of a cell's conductance with its voltage, are left out.
void apply_ir_drop(linalg::MatrixView conductance_S, Orientation orientation, double wire_resistance_ohm);

}  // namespace crossweep::crossbar
