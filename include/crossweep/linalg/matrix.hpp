// Row-major fp32 matrices and views; the shapes that cross module boundaries.
#pragma once

#include <Eigen/Core>
#include <span>
#include <vector>

namespace crossweep::linalg {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
/// Views of row-major blocks: rows may be further apart than they are long.
using MatrixView = Eigen::Map<Matrix, Eigen::Unaligned, Eigen::OuterStride<>>;
using ConstMatrixView = Eigen::Map<const Matrix, Eigen::Unaligned, Eigen::OuterStride<>>;

/// View of `columns` columns of a matrix (or view) from `first` on.
template <class M>
auto columns_of(M& matrix, Eigen::Index first, Eigen::Index columns) {
    using View = std::conditional_t<std::is_const_v<std::remove_pointer_t<decltype(matrix.data())>>,
                                    ConstMatrixView, MatrixView>;
    return View(matrix.data() + first, matrix.rows(), columns, Eigen::OuterStride<>(matrix.outerStride()));
}

/// View of `rows` rows of a matrix (or view) from `first` on.
template <class M>
auto rows_of(M& matrix, Eigen::Index first, Eigen::Index rows) {
    using View = decltype(columns_of(matrix, 0, 0));
    return View(matrix.data() + first * matrix.outerStride(), rows, matrix.cols(),
                Eigen::OuterStride<>(matrix.outerStride()));
}

template <class M>
auto view(M& matrix) {
    return columns_of(matrix, 0, matrix.cols());
}

inline ConstMatrixView const_view(const Matrix& matrix) {
    return {matrix.data(), matrix.rows(), matrix.cols(), Eigen::OuterStride<>(matrix.outerStride())};
}

inline ConstMatrixView const_view(const MatrixView& matrix) {
    return {matrix.data(), matrix.rows(), matrix.cols(), Eigen::OuterStride<>(matrix.outerStride())};
}

/// Memory for a matrix that is computed, used and forgotten: grows to the largest shape asked for, then
/// stays.
class Scratch {
  public:
    /// A view [rows, columns] with unspecified elements; invalidates earlier views.
    MatrixView shaped(Eigen::Index rows, Eigen::Index columns) {
        const auto size = static_cast<std::size_t>(rows * columns);
        if (buffer_.size() < size) buffer_.resize(size);
        return {buffer_.data(), rows, columns, Eigen::OuterStride<>(columns)};
    }

  private:
    std::vector<float> buffer_;
};

/// The elements of one row.
inline std::span<const float> row_of(const ConstMatrixView& matrix, Eigen::Index row) {
    return {matrix.data() + row * matrix.outerStride(), static_cast<std::size_t>(matrix.cols())};
}

inline std::span<float> row_of(MatrixView& matrix, Eigen::Index row) {
    return {matrix.data() + row * matrix.outerStride(), static_cast<std::size_t>(matrix.cols())};
}

inline std::span<float> row_of(Matrix& matrix, Eigen::Index row) {
    return {matrix.data() + row * matrix.outerStride(), static_cast<std::size_t>(matrix.cols())};
}

}  // namespace crossweep::linalg
