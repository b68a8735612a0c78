// Variances from bytes against those in double, for inputs and weights as transformers have them.
#include "crossweep/crossbar/read_variance.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "linalg/normal_matrix.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::Matrix;

enum class Kind { normal, outlier, sparse };

/// Squares of activations: normal ones; with one input 30 deviations large; or mostly small, as behind a
/// GELU.
Matrix squares_of(Kind kind, Index rows, Index inputs, std::uint32_t seed) {
    Matrix x = linalg::normal_matrix(rows, inputs, seed);
    if (kind == Kind::outlier) x.col(inputs / 3).setConstant(30.0F);
    if (kind == Kind::sparse) x = (x.array() < 0.8F).select(0.05F * x, x);
    return x.cwiseAbs2();
}

/// Variances [token, output] as the engine computes them.
Matrix from_bytes(const Matrix& energies, const Matrix& amplitudes, Orientation orientation) {
    Energies x;
    SquaredAmplitudes a;
    x.store(linalg::const_view(energies));
    a.store(linalg::const_view(amplitudes), orientation);
    Matrix variance(energies.rows(), a.codes().outputs());
    std::vector<std::int32_t> sums(static_cast<std::size_t>(energies.rows() * linalg::output_block));
    for (Index output = 0; output < variance.cols(); ++output) {
        const Index column = output % linalg::output_block;
        if (column == 0)
            linalg::multiply_block(x.codes(), a.codes(), output / linalg::output_block, sums.data());
        for (Index token = 0; token < variance.rows(); ++token)
            variance(token, output) =
                x.steps()[static_cast<std::size_t>(token)] * a.steps()[static_cast<std::size_t>(output)] *
                static_cast<float>(sums[static_cast<std::size_t>(token * linalg::output_block + column)]);
    }
    return variance;
}

struct Errors {
    double mean = 0, rms = 0, largest_of_bound = 0;
};

/// Relative errors of all variances, and the largest as a fraction of the bound that the header states.
Errors errors_of(Kind kind, Index inputs, Orientation orientation) {
    constexpr Index tokens = 25, outputs = 150;
    const Matrix energies = squares_of(kind, tokens, inputs, 1);
    const Matrix amplitudes = squares_of(Kind::normal, outputs, inputs, 2);
    const bool by_outputs = orientation == Orientation::outputs_by_inputs;
    const Matrix stored = by_outputs ? amplitudes : Matrix(amplitudes.transpose());
    const Matrix got = from_bytes(energies, stored, orientation);
    Errors errors;
    for (Index token = 0; token < tokens; ++token) {
        for (Index output = 0; output < outputs; ++output) {
            const Eigen::ArrayXd e = energies.row(token).transpose().cast<double>();
            const Eigen::ArrayXd a = amplitudes.row(output).transpose().cast<double>();
            const double step_x = e.maxCoeff() / 254, step_a = a.maxCoeff() / 126;
            const double exact = (e * a).sum(), error = static_cast<double>(got(token, output)) - exact;
            const double bound = (step_x * a + e * step_a + step_x * step_a).sum();
            errors.mean += error / exact / (tokens * outputs);
            errors.rms += error * error / (exact * exact) / (tokens * outputs);
            errors.largest_of_bound = std::max(errors.largest_of_bound, std::abs(error) / bound);
        }
    }
    errors.rms = std::sqrt(errors.rms);
    return errors;
}

TEST(ReadVariance, stays_within_its_bound) {
    for (const Kind kind : {Kind::normal, Kind::outlier, Kind::sparse})
        for (const Index inputs : {3, 64, 197, 384, 1536})
            for (const auto orientation : {Orientation::outputs_by_inputs, Orientation::inputs_by_outputs})
                EXPECT_LE(errors_of(kind, inputs, orientation).largest_of_bound, 1);
}

// The deviation of the noise is off by half of what its variance is off by.
TEST(ReadVariance, of_the_products_of_a_deit_is_right_on_average_and_within_a_few_percent) {
    struct Expected {
        Kind kind;
        Index inputs;
        double mean, rms;
    };
    for (const Expected& expected :
         {Expected{Kind::normal, 64, 0.004, 0.02}, Expected{Kind::normal, 197, 0.002, 0.012},
          Expected{Kind::normal, 384, 0.002, 0.01}, Expected{Kind::normal, 1536, 0.001, 0.005},
          Expected{Kind::outlier, 384, 0.01, 0.1}, Expected{Kind::outlier, 1536, 0.005, 0.05},
          Expected{Kind::sparse, 1536, 0.002, 0.01}}) {
        for (const auto orientation : {Orientation::outputs_by_inputs, Orientation::inputs_by_outputs}) {
            const Errors errors = errors_of(expected.kind, expected.inputs, orientation);
            const auto name = testing::Message() << "kind " << int(expected.kind) << ", " << expected.inputs
                                                 << " inputs: mean " << errors.mean << ", rms " << errors.rms;
            EXPECT_LE(std::abs(errors.mean), expected.mean) << name;
            EXPECT_LE(errors.rms, expected.rms) << name;
        }
    }
}

// Converted inputs take the same way without their squares, whatever the scale of the token.
TEST(ReadVariance, of_codes_is_that_of_their_squares) {
    for (const float largest : {127.0F, 7.0F, 1.0F}) {
        const Matrix codes = (largest / 4 * linalg::normal_matrix(25, 384, 5))
                                 .cwiseMin(largest)
                                 .cwiseMax(-largest)
                                 .array()
                                 .round();
        const std::vector<float> steps(25, 0.125F);
        const Matrix squares = 0.125F * 0.125F * codes.cwiseAbs2();
        Energies of_codes, of_squares;
        of_codes.store_squares_of(linalg::const_view(codes), steps);
        of_squares.store(linalg::const_view(squares));
        for (Index token = 0; token < 25; ++token) {
            const auto number = static_cast<std::size_t>(token);
            EXPECT_FLOAT_EQ(of_codes.steps()[number], of_squares.steps()[number]);
            double sum = 0;
            for (Index i = 0; i < 384; ++i) {
                EXPECT_NEAR(of_codes.codes().row(token)[i], of_squares.codes().row(token)[i], 1);
                sum += of_codes.codes().row(token)[i];
            }
            const auto exact = static_cast<double>(squares.row(token).sum() / of_codes.steps()[number]);
            EXPECT_NEAR(sum, exact, 0.02 * exact) << "codes up to " << largest;
        }
    }
}

// Weights far below their output's largest have squares far below one step. Their noise must not be lost: 383
// inputs whose weights are a twentieth of the largest, which sees no input.
TEST(ReadVariance, of_many_small_cells_is_right_in_sum) {
    Matrix energies = Matrix::Ones(1, 384), amplitudes = Matrix::Constant(150, 384, 0.0025F);
    energies(0, 100) = 0;
    amplitudes.col(100).setOnes();
    const Matrix variance = from_bytes(energies, amplitudes, Orientation::outputs_by_inputs);
    EXPECT_NEAR(variance.mean(), 383 * 0.0025F, 0.01F * 383 * 0.0025F);
    EXPECT_NEAR((variance.array() / (383 * 0.0025F) - 1).abs().mean(), 0, 0.05);
}

// Why thresholds are spread: rounded to the nearest, most energies beside an outlier vanish, 8 % of all here.
TEST(ReadVariance, to_the_nearest_would_lose_the_noise_beside_an_outlier) {
    const Matrix energies = squares_of(Kind::outlier, 25, 384, 1);
    const float step = 900.0F / 254;
    const Matrix nearest = (energies.array() / step).round() * step;
    EXPECT_LT(nearest.sum(), 0.95F * energies.sum());
}

TEST(ReadVariance, of_nothing_is_nothing_and_of_what_is_no_number_is_none) {
    Matrix energies = Matrix::Zero(2, 8);
    energies(1, 3) = std::numeric_limits<float>::quiet_NaN();
    const Matrix variance =
        from_bytes(energies, squares_of(Kind::normal, 5, 8, 2), Orientation::outputs_by_inputs);
    EXPECT_EQ(variance.row(0).cwiseAbs().maxCoeff(), 0);
    for (Index output = 0; output < 5; ++output) EXPECT_TRUE(std::isnan(variance(1, output)));
    const Matrix ones = Matrix::Ones(1, 8);
    EXPECT_EQ(from_bytes(ones, Matrix::Zero(5, 8), Orientation::outputs_by_inputs).maxCoeff(), 0);
}

}  // namespace
}  // namespace crossweep::crossbar
