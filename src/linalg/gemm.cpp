#include "crossweep/linalg/gemm.hpp"

#include <dnnl.h>
#include <fmt/format.h>
#include <omp.h>

#include "crossweep/core/error.hpp"

namespace crossweep::linalg {
namespace {

/// One rank is one core: ranks that each start a thread per core would fight.
void use_one_thread() {
    thread_local const bool done = [] {
        omp_set_num_threads(1);
        return true;
    }();
    (void)done;
}

void sgemm(char transpose_w, const ConstMatrixView& x, const ConstMatrixView& w, MatrixView& y) {
    use_one_thread();
    const dnnl_status_t status =
        dnnl_sgemm('N', transpose_w, y.rows(), y.cols(), x.cols(), 1.0F, x.data(), x.outerStride(), w.data(),
                   w.outerStride(), 0.0F, y.data(), y.outerStride());
    if (status != dnnl_success)
        throw InternalError(fmt::format("oneDNN's sgemm failed with status {}", int(status)));
}

void expect_shapes(bool fit, const ConstMatrixView& x, const ConstMatrixView& w, const MatrixView& y) {
    if (fit) return;
    throw InternalError(fmt::format("product of [{}, {}] and [{}, {}] does not give [{}, {}]", x.rows(),
                                    x.cols(), w.rows(), w.cols(), y.rows(), y.cols()));
}

}  // namespace

void multiply_transposed(const ConstMatrixView& x, const ConstMatrixView& w, MatrixView y) {
    expect_shapes(x.cols() == w.cols() && y.rows() == x.rows() && y.cols() == w.rows(), x, w, y);
    sgemm('T', x, w, y);
}

void multiply(const ConstMatrixView& x, const ConstMatrixView& w, MatrixView y) {
    expect_shapes(x.cols() == w.rows() && y.rows() == x.rows() && y.cols() == w.cols(), x, w, y);
    sgemm('N', x, w, y);
}

std::string gemm_version() {
    const dnnl_version_t* version = dnnl_version();
    return fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
}

}  // namespace crossweep::linalg
