// Which way a stored matrix lies on its arrays, and products with it.
#pragma once

#include "crossweep/linalg/matrix.hpp"

namespace crossweep::crossbar {

/// Inputs drive the rows of an array (word lines), outputs are its columns (bit lines).
enum class Orientation {
    outputs_by_inputs,  ///< weights, and K [tokens, width]: a matrix row is an array column
    inputs_by_outputs,  ///< V [tokens, width]: a matrix row is an array row
};

/// y [rows, outputs] = x [rows, inputs] times `stored`. Throws InternalError if the shapes do not fit.
void multiply(Orientation orientation, const linalg::ConstMatrixView& x,
              const linalg::ConstMatrixView& stored, linalg::MatrixView y);

}  // namespace crossweep::crossbar
