// Compiled with -ffast-math (cmake: this file and peak.cpp only), so that exp and erf become glibc's vector
// functions and sums may be reordered. Infinities and NaNs are therefore not to be tested for here; the trial
// checks the logits.
#include "crossweep/linalg/elementwise.hpp"

#include <cmath>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"

namespace crossweep::linalg {
namespace {

using Count = Eigen::Index;

CROSSWEEP_MULTIVERSION
void layer_norm_row(const float* __restrict x, const float* __restrict weight, const float* __restrict bias,
                    float epsilon, float* __restrict y, Count width) {
    float sum = 0;
    for (Count i = 0; i < width; ++i) sum += x[i];
    const float mean = sum / static_cast<float>(width);
    float squares = 0;
    for (Count i = 0; i < width; ++i) squares += (x[i] - mean) * (x[i] - mean);
    const float scale = 1.0F / std::sqrt(squares / static_cast<float>(width) + epsilon);
    for (Count i = 0; i < width; ++i) y[i] = (x[i] - mean) * scale * weight[i] + bias[i];
}

CROSSWEEP_MULTIVERSION
void softmax_row(float* __restrict x, float scale, Count width) {
    float largest = x[0];
    for (Count i = 1; i < width; ++i) largest = x[i] > largest ? x[i] : largest;
    float sum = 0;
    for (Count i = 0; i < width; ++i) {
        x[i] = std::exp(scale * (x[i] - largest));
        sum += x[i];
    }
    const float inverse = 1.0F / sum;
    for (Count i = 0; i < width; ++i) x[i] *= inverse;
}

CROSSWEEP_MULTIVERSION
void gelu_row(float* __restrict x, const float* __restrict bias, Count width) {
    constexpr float inverse_sqrt2 = 0.70710678118654752F;
    for (Count i = 0; i < width; ++i) {
        const float v = x[i] + bias[i];
        x[i] = 0.5F * v * (1.0F + std::erf(v * inverse_sqrt2));
    }
}

CROSSWEEP_MULTIVERSION
void add_row(const float* __restrict bias, float* __restrict x, Count width) {
    for (Count i = 0; i < width; ++i) x[i] += bias[i];
}

CROSSWEEP_MULTIVERSION
void residual_row(const float* __restrict x, const float* __restrict bias, float* __restrict residual,
                  Count width) {
    for (Count i = 0; i < width; ++i) residual[i] += x[i] + bias[i];
}

CROSSWEEP_MULTIVERSION
SquareSums square_sums_row(const float* __restrict a, const float* __restrict b, Count width) {
    SquareSums sums;
    for (Count i = 0; i < width; ++i) {
        const double value = static_cast<double>(a[i]);
        const double error = value - static_cast<double>(b[i]);
        sums.signal += value * value;
        sums.noise += error * error;
    }
    return sums;
}

[[maybe_unused]] Count length(std::span<const float> values) {
    return static_cast<Count>(values.size());
}

}  // namespace

void layer_norm(const ConstMatrixView& x, std::span<const float> weight, std::span<const float> bias,
                float epsilon, MatrixView y) {
    CROSSWEEP_EXPECT(length(weight) == x.cols() && length(bias) == x.cols() && y.cols() == x.cols());
    for (Count row = 0; row < x.rows(); ++row) {
        layer_norm_row(row_of(x, row).data(), weight.data(), bias.data(), epsilon, row_of(y, row).data(),
                       x.cols());
    }
}

void softmax(MatrixView x, float scale) {
    for (Count row = 0; row < x.rows(); ++row) softmax_row(row_of(x, row).data(), scale, x.cols());
}

void add_bias_gelu(MatrixView x, std::span<const float> bias) {
    CROSSWEEP_EXPECT(length(bias) == x.cols());
    for (Count row = 0; row < x.rows(); ++row) gelu_row(row_of(x, row).data(), bias.data(), x.cols());
}

void add_bias(MatrixView x, std::span<const float> bias) {
    if (bias.empty()) return;
    CROSSWEEP_EXPECT(length(bias) == x.cols());
    for (Count row = 0; row < x.rows(); ++row) add_row(bias.data(), row_of(x, row).data(), x.cols());
}

void add_to_residual(const ConstMatrixView& x, std::span<const float> bias, MatrixView residual) {
    CROSSWEEP_EXPECT(length(bias) == x.cols() && x.rows() == residual.rows());
    for (Count row = 0; row < x.rows(); ++row)
        residual_row(row_of(x, row).data(), bias.data(), row_of(residual, row).data(), x.cols());
}

SquareSums square_sums(const ConstMatrixView& a, const ConstMatrixView& b) {
    CROSSWEEP_EXPECT(a.rows() == b.rows() && a.cols() == b.cols());
    SquareSums sums;
    for (Count row = 0; row < a.rows(); ++row) {
        const SquareSums part = square_sums_row(row_of(a, row).data(), row_of(b, row).data(), a.cols());
        sums.signal += part.signal;
        sums.noise += part.noise;
    }
    return sums;
}

}  // namespace crossweep::linalg
