#include <new>

#include "crossweep/linalg/gemm.hpp"
#include "crossweep/linalg/matmul_engine.hpp"

namespace crossweep::linalg {

void DigitalEngine::multiply(std::size_t weight, const ConstMatrixView& x, MatrixView y) {
    multiply_transposed(x, weights_[weight].matrix, y);
}

void DigitalEngine::write(LayerId, std::size_t, const ConstMatrixView& keys, const ConstMatrixView& values) {
    // An Eigen::Map is pointed elsewhere by constructing it anew.
    new (&keys_) ConstMatrixView(keys);
    new (&values_) ConstMatrixView(values);
}

void DigitalEngine::read_keys(std::size_t head, const ConstMatrixView& queries, MatrixView scores) {
    const auto width = queries.cols();
    multiply_transposed(queries, columns_of(keys_, static_cast<Eigen::Index>(head) * width, width), scores);
}

void DigitalEngine::read_values(std::size_t head, const ConstMatrixView& probabilities, MatrixView context) {
    const auto width = context.cols();
    linalg::multiply(probabilities, columns_of(values_, static_cast<Eigen::Index>(head) * width, width),
                     context);
}

}  // namespace crossweep::linalg
