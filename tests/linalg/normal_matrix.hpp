// Matrices of reproducible normals, as inputs of tests.
#pragma once

#include "crossweep/linalg/gaussian.hpp"
#include "crossweep/linalg/matrix.hpp"

namespace crossweep::linalg {

/// The same numbers for the same `name`; rows of equal index agree, up to the shorter one, for all shapes.
inline Matrix normal_matrix(Eigen::Index rows, Eigen::Index columns, std::uint32_t name) {
    Matrix matrix(rows, columns);
    for (Eigen::Index row = 0; row < rows; ++row) {
        fill_normal({0xfeed, 0}, {name, 0, static_cast<std::uint32_t>(row)}, row_of(matrix, row));
    }
    return matrix;
}

inline double largest_difference(const Matrix& a, const Matrix& b) {
    return static_cast<double>((a - b).cwiseAbs().maxCoeff());
}

}  // namespace crossweep::linalg
