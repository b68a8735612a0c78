// An operand whose products need no converters: however many cells hold a weight, their sum is one weight,
// and one normal per output stands for the read noise of all of them. Behavioural and sliced level.
#pragma once

#include "crossweep/crossbar/cells.hpp"
#include "crossweep/crossbar/mapped_operand.hpp"
#include "crossweep/linalg/matrix.hpp"

namespace crossweep::crossbar {

/// Both matrices in weight units and in the operand's stored shape.
struct LinearMatrix {
    linalg::Matrix mean;               ///< what the cells of a weight stand for together
    linalg::Matrix squared_amplitude;  ///< sum over its cells of (significance A(G))^2; empty without read
                                       ///< noise that is drawn at every read
};

/// Put `mapped` onto `cells` plane by plane and add the planes up.
void store(MappedOperand& mapped, const ArrayGrid& grid, const CellIdentity& identity, Cells& cells,
           LinearMatrix& matrix);

}  // namespace crossweep::crossbar
