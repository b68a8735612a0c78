// Read noise that is fresh at every read, drawn once per output instead of once per device.
//
// For one column, I_j = sum_i x_i G_ij (1 + sigma xi_ij) with independent standard normal xi is itself normal
// with mean sum x_i G_ij and variance sigma^2 sum x_i^2 G_ij^2, independent between columns and between
// reads. So the product of the squared inputs with the squared conductances gives the variance, and one
// normal per output is exact in law.
#pragma once

#include <span>

#include "crossweep/linalg/matrix.hpp"

namespace crossweep::crossbar {

/// y = x^2, element by element. x and y [rows, columns].
void square(const linalg::ConstMatrixView& x, linalg::MatrixView y);

/// output += sigma sqrt(sum_of_squares) normal, element by element; sum_of_squares = sum_i x_i^2 G_ij^2.
void add_read_noise(std::span<float> output, std::span<const float> sum_of_squares,
                    std::span<const float> normal, float sigma);

}  // namespace crossweep::crossbar
