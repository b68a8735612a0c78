// Matrix products in fp32, single-threaded, by oneDNN's matmul primitive.
// It picks its instruction set at run time and reaches 80 to 90 % of the FMA peak on the products of a DeiT-S
// without packed copies of the weights, which would be a second model in memory for another 7 %. Its sgemm,
// the simpler call, is 15 % slower where the weights come from memory.
#pragma once

#include <string>

#include "crossweep/linalg/matrix.hpp"

namespace crossweep::linalg {

/// y = x wᵀ with x [m, k], w [n, k], y [m, n]. Throws InternalError if the shapes do not fit.
void multiply_transposed(const ConstMatrixView& x, const ConstMatrixView& w, MatrixView y);

/// y = x w with x [m, k], w [k, n], y [m, n]. Throws InternalError if the shapes do not fit.
void multiply(const ConstMatrixView& x, const ConstMatrixView& w, MatrixView y);

/// Name and version of the library that multiplies.
std::string gemm_version();

/// What decides the last bits of a result on this processor: the versions of our vectorised loops and of
/// oneDNN that it selects, e.g. "x86-64-v4 + oneDNN avx512_core_bf16". Results are reproducible bit for bit
/// on one path.
std::string arithmetic_path();

}  // namespace crossweep::linalg
