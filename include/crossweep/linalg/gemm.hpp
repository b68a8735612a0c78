// Matrix products in fp32, single-threaded, by oneDNN's matmul primitive, which picks its instruction set at
// run time. Its sgemm, the simpler call, is 15 % slower where the weights come from memory.
#pragma once

#include <boost/align/aligned_allocator.hpp>
#include <string>
#include <vector>

#include "crossweep/linalg/matrix.hpp"

namespace crossweep::linalg {

/// y = x wᵀ with x [m, k], w [n, k], y [m, n]. Throws InternalError if the shapes do not fit.
void multiply_transposed(const ConstMatrixView& x, const ConstMatrixView& w, MatrixView y);

/// y = x w with x [m, k], w [k, n], y [m, n]. Throws InternalError if the shapes do not fit.
void multiply(const ConstMatrixView& x, const ConstMatrixView& w, MatrixView y);

/// fp32 numbers from the beginning of a cache line on.
using AlignedFloats = std::vector<float, boost::alignment::aligned_allocator<float, 64>>;

/// A weight matrix [n, k] copied into the order in which products of a certain number of rows read it
/// fastest: 7 % faster than `multiply_transposed`, with the same results (tested, not promised by oneDNN).
class PackedMatrix {
  public:
    PackedMatrix() = default;
    PackedMatrix(const ConstMatrixView& w, Eigen::Index rows);

    /// Nothing was packed, as products on this processor read a matrix fastest as it is.
    bool empty() const { return packed_.empty(); }
    /// y = x wᵀ with x [rows, k], y [rows, n]. Throws InternalError if the shapes do not fit.
    void multiply(const ConstMatrixView& x, MatrixView y) const;

  private:
    Eigen::Index rows_ = 0, outputs_ = 0, inputs_ = 0;
    AlignedFloats packed_;
};

/// Name and version of the library that multiplies.
std::string gemm_version();

/// What decides the last bits of a result on this processor: the versions of our vectorised loops and of
/// oneDNN that it selects, e.g. "x86-64-v4 + oneDNN avx512_core_bf16". Results are reproducible bit for bit
/// on one path.
std::string arithmetic_path();

}  // namespace crossweep::linalg
