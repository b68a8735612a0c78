#include "crossweep/crossbar/read_law.hpp"

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"

namespace crossweep::crossbar {
namespace {

CROSSWEEP_MULTIVERSION
void square_kernel(const float* __restrict x, float* __restrict y, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) y[i] = x[i] * x[i];
}

CROSSWEEP_MULTIVERSION
void add_kernel(float* __restrict y, const float* __restrict squares, const float* __restrict normal,
                float sigma, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) y[i] += sigma * __builtin_sqrtf(squares[i]) * normal[i];
}

}  // namespace

void square(const linalg::ConstMatrixView& x, linalg::MatrixView y) {
    CROSSWEEP_EXPECT(x.rows() == y.rows() && x.cols() == y.cols());
    for (Eigen::Index row = 0; row < x.rows(); ++row) {
        const auto from = linalg::row_of(x, row);
        square_kernel(from.data(), linalg::row_of(y, row).data(), from.size());
    }
}

void add_read_noise(std::span<float> output, std::span<const float> sum_of_squares,
                    std::span<const float> normal, float sigma) {
    CROSSWEEP_EXPECT(output.size() == sum_of_squares.size() && output.size() == normal.size());
    add_kernel(output.data(), sum_of_squares.data(), normal.data(), sigma, output.size());
}

}  // namespace crossweep::crossbar
