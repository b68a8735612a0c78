// The digital operations of a transformer that are not products. All act on rows, in place where they can.
#pragma once

#include <span>

#include "crossweep/linalg/matrix.hpp"

namespace crossweep::linalg {

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias, row by row. x, y [rows, width]; weight, bias
/// [width].
void layer_norm(const ConstMatrixView& x, std::span<const float> weight, std::span<const float> bias,
                float epsilon, MatrixView y);

/// x = softmax(scale x), row by row.
void softmax(MatrixView x, float scale);

/// x = gelu(x + bias) with the exact (erf) form; bias [columns].
void add_bias_gelu(MatrixView x, std::span<const float> bias);

/// x = x + bias, row by row; an empty bias changes nothing.
void add_bias(MatrixView x, std::span<const float> bias);

/// residual = residual + x + bias, row by row.
void add_to_residual(const ConstMatrixView& x, std::span<const float> bias, MatrixView residual);

/// Sum of squares of `a`, and of `a - b`, in double.
struct SquareSums {
    double signal = 0, noise = 0;
};
SquareSums square_sums(const ConstMatrixView& a, const ConstMatrixView& b);

}  // namespace crossweep::linalg
