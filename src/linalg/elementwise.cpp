// Compiled with -ffast-math (cmake: this file and peak.cpp only), so that exp and erf become glibc's vector
// functions and sums may be reordered. Infinities and NaNs are therefore not to be tested for here; the trial
// checks the logits.
#include "crossweep/linalg/elementwise.hpp"

#include <algorithm>
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

/// exp(x) that cannot overflow: beyond, 1 / (1 + exp(x)) is 0 in single precision anyway.
inline float bounded_exp(float x) {
    constexpr float enough = 80;
    return std::exp(x < enough ? x : enough);
}

CROSSWEEP_MULTIVERSION
void gelu_tanh_row(float* __restrict x, const float* __restrict bias, Count width) {
    constexpr float sqrt_2_over_pi = 0.79788456080286536F;
    for (Count i = 0; i < width; ++i) {
        const float v = x[i] + bias[i];
        // (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)), which has a vector form.
        x[i] = v / (1.0F + bounded_exp(-2.0F * sqrt_2_over_pi * (v + 0.044715F * v * v * v)));
    }
}

CROSSWEEP_MULTIVERSION
void tanh_row(float* __restrict x, const float* __restrict bias, Count width) {
    for (Count i = 0; i < width; ++i) x[i] = 1.0F - 2.0F / (1.0F + bounded_exp(2.0F * (x[i] + bias[i])));
}

CROSSWEEP_MULTIVERSION
void relu_row(float* __restrict x, const float* __restrict bias, Count width) {
    for (Count i = 0; i < width; ++i) {
        const float v = x[i] + bias[i];
        x[i] = v > 0 ? v : 0.0F;
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
void scaled_residual_row(const float* __restrict x, const float* __restrict bias, float scale,
                         float* __restrict residual, Count width) {
    for (Count i = 0; i < width; ++i) residual[i] += scale * (x[i] + bias[i]);
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

void causal_softmax(MatrixView x, float scale, Count first) {
    CROSSWEEP_EXPECT(first + x.rows() <= x.cols());
    for (Count row = 0; row < x.rows(); ++row) {
        const auto values = row_of(x, row);
        const Count seen = first + row + 1;
        softmax_row(values.data(), scale, seen);
        std::fill(values.begin() + seen, values.end(), 0.0F);
    }
}

void add_bias_gelu(MatrixView x, std::span<const float> bias, Gelu form) {
    CROSSWEEP_EXPECT(length(bias) == x.cols());
    const auto act = form == Gelu::erf ? gelu_row : gelu_tanh_row;
    for (Count row = 0; row < x.rows(); ++row) act(row_of(x, row).data(), bias.data(), x.cols());
}

void add_bias_tanh(MatrixView x, std::span<const float> bias) {
    CROSSWEEP_EXPECT(length(bias) == x.cols());
    for (Count row = 0; row < x.rows(); ++row) tanh_row(row_of(x, row).data(), bias.data(), x.cols());
}

void add_bias_relu(MatrixView x, std::span<const float> bias) {
    CROSSWEEP_EXPECT(length(bias) == x.cols());
    for (Count row = 0; row < x.rows(); ++row) relu_row(row_of(x, row).data(), bias.data(), x.cols());
}

void add_bias(MatrixView x, std::span<const float> bias) {
    if (bias.empty()) return;
    CROSSWEEP_EXPECT(length(bias) == x.cols());
    for (Count row = 0; row < x.rows(); ++row) add_row(bias.data(), row_of(x, row).data(), x.cols());
}

void add_to_residual(const ConstMatrixView& x, std::span<const float> bias, float scale,
                     MatrixView residual) {
    CROSSWEEP_EXPECT(length(bias) == x.cols() && x.rows() == residual.rows());
    for (Count row = 0; row < x.rows(); ++row) {
        const float* of_x = row_of(x, row).data();
        float* of_residual = row_of(residual, row).data();
        // A factor of 1 would change the order of the sum, and so its last bit.
        if (scale == 1) {
            residual_row(of_x, bias.data(), of_residual, x.cols());
        } else {
            scaled_residual_row(of_x, bias.data(), scale, of_residual, x.cols());
        }
    }
}

double log_sum_exp(std::span<const float> x) {
    const float largest = *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (const float value : x) sum += std::exp(static_cast<double>(value - largest));
    return static_cast<double>(largest) + std::log(sum);
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
