// The digital operations of a transformer that are not products. All act on rows, in place where they can.
#pragma once

#include <span>

#include "crossweep/linalg/matrix.hpp"

namespace crossweep::linalg {

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias, row by row. x, y [rows, width]; weight, bias
/// [width]. y is not x.
void layer_norm(const ConstMatrixView& x, std::span<const float> weight, std::span<const float> bias,
                float epsilon, MatrixView y);

/// x = softmax(scale x), row by row.
void softmax(MatrixView x, float scale);

/// The same where row i sees columns 0 … first + i alone; the others become 0.
void causal_softmax(MatrixView x, float scale, Eigen::Index first);

/// The Gaussian error linear unit, exact or in the form that GPT-2 was trained with (Hendrycks and Gimpel,
/// arXiv 1606.08415, section 2).
enum class Gelu { erf, tanh };

/// x = gelu(x + bias); bias [columns].
void add_bias_gelu(MatrixView x, std::span<const float> bias, Gelu form);

/// x = tanh(x + bias), x = max(x + bias, 0); bias [columns].
void add_bias_tanh(MatrixView x, std::span<const float> bias);
void add_bias_relu(MatrixView x, std::span<const float> bias);

/// x = x + bias, row by row; an empty bias changes nothing.
void add_bias(MatrixView x, std::span<const float> bias);

/// residual = residual + scale (x + bias), row by row.
void add_to_residual(const ConstMatrixView& x, std::span<const float> bias, float scale, MatrixView residual);

/// log(sum over i of exp(x[i])) in double.
double log_sum_exp(std::span<const float> x);

/// Sum of squares of `a`, and of `a - b`, in double.
struct SquareSums {
    double signal = 0, noise = 0;
};
SquareSums square_sums(const ConstMatrixView& a, const ConstMatrixView& b);

}  // namespace crossweep::linalg
