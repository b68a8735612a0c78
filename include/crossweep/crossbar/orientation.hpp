// Which way a stored matrix lies on its arrays.
#pragma once

namespace crossweep::crossbar {

/// Inputs drive the rows of an array (word lines), outputs are its columns (bit lines).
enum class Orientation {
    outputs_by_inputs,  ///< weights, and K [tokens, width]: a matrix row is an array column
    inputs_by_outputs,  ///< V [tokens, width]: a matrix row is an array row
};

}  // namespace crossweep::crossbar
