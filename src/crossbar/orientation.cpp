#include "crossweep/crossbar/orientation.hpp"

#include "crossweep/linalg/gemm.hpp"

namespace crossweep::crossbar {

void multiply(Orientation orientation, const linalg::ConstMatrixView& x,
              const linalg::ConstMatrixView& stored, linalg::MatrixView y) {
    if (orientation == Orientation::outputs_by_inputs) {
        linalg::multiply_transposed(x, stored, y);
    } else {
        linalg::multiply(x, stored, y);
    }
}

}  // namespace crossweep::crossbar
