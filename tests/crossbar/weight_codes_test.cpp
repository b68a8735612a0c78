// Weights as integers: what rounding may cost, and when there is none.
#include "crossweep/crossbar/weight_codes.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "crossbar/chip.hpp"

namespace crossweep::crossbar {
namespace {

using device::ReadNoiseMode;
using linalg::Matrix;

/// `wanted` [outputs, inputs] as a chip holds it.
LinearMatrix held(const Matrix& wanted, const ChipParams& params) {
    const std::vector<linalg::StationaryWeight> weights{{LayerId(0), linalg::Role::mlp_in, 1,
                                                         static_cast<std::size_t>(wanted.cols()),
                                                         linalg::const_view(wanted)}};
    auto programmed = program_weights(weights, params.operands(), params.crossbar, params.key);
    return std::get<LinearMatrix>(std::move(programmed[0][0]));
}

ChipParams frozen(double sigma) {
    ChipParams params;
    params.device.read_noise = ReadNoiseMode::frozen;
    params.device.read_noise_sigma = sigma;
    return params;
}

/// The same without converters of inputs, which is what products of integers need.
ChipParams in_fp32(ChipParams params) {
    params.crossbar.input_bits = 0;
    return params;
}

ChipParams perfect() {
    ChipParams params = frozen(0);
    params.device.write_noise_sigma = 0;
    return params;
}

double norm(const Matrix& m) {
    return std::sqrt(static_cast<double>(m.cast<double>().squaredNorm()));
}

double norm_1(const Matrix& m) {
    return m.cast<double>().lpNorm<1>();
}

TEST(WeightCodes, rounds_weights_of_imperfect_cells_far_below_what_the_cells_deviate_by) {
    struct Flaw {
        const char* name;
        std::function<void(device::DeviceParams&)> add;
    };
    const std::vector<Flaw> flaws{
        {"frozen read noise", [](auto& device) { device.read_noise_sigma = 0.05; }},
        {"strong frozen read noise", [](auto& device) { device.read_noise_sigma = 0.5; }},
        {"programming", [](auto& device) { device.programming_noise_sigma = 0.1; }},
        {"stuck cells", [](auto& device) { device.stuck_at_g_max = 0.01; }},
        {"drift", [](auto& device) { device.drift_exponent = 0.05, device.t_read_s = 3600; }},
    };
    for (const Eigen::Index inputs : {24, 384, 1536, 3072}) {
        const Matrix wanted = linalg::normal_matrix(70, inputs, 7);
        const Matrix ideal = weights_of(held(wanted, perfect()));
        for (const Fidelity fidelity : {Fidelity::behavioural, Fidelity::sliced}) {
            for (const Flaw& flaw : flaws) {
                SCOPED_TRACE(testing::Message() << flaw.name << ", " << inputs << " inputs, level "
                                                << static_cast<int>(fidelity));
                ChipParams params = frozen(0);
                params.fidelity = fidelity;
                flaw.add(params.device);
                const LinearMatrix rounded = held(wanted, params), exact = held(wanted, in_fp32(params));
                ASSERT_TRUE(rounded.codes.has_value());
                ASSERT_FALSE(exact.codes.has_value());
                const Matrix error = weights_of(rounded) - exact.mean;
                const double deviation = norm(exact.mean - ideal) / std::sqrt(error.rows());
                EXPECT_GT(norm(error), 0);
                for (Eigen::Index row = 0; row < error.rows(); ++row)
                    ASSERT_LE(norm(error.row(row)), most_rounding * deviation * (1 + 1e-4))
                        << "output " << row;
            }
        }
    }
}

TEST(WeightCodes, keeps_weights_in_fp32_where_cells_deviate_too_little_to_hide_rounding) {
    const Matrix wanted = linalg::normal_matrix(70, 384, 7);
    for (const double sigma : {1e-6, 1e-5, 1e-4}) {
        const LinearMatrix matrix = held(wanted, frozen(sigma));
        ASSERT_FALSE(matrix.codes.has_value()) << sigma;
        EXPECT_EQ(matrix.mean, held(wanted, in_fp32(frozen(sigma))).mean) << sigma;
    }
}

TEST(WeightCodes, keeps_weights_in_fp32_where_a_large_one_would_cost_its_output_too_much) {
    Matrix wanted = linalg::normal_matrix(70, 1536, 7);
    ASSERT_TRUE(held(wanted, frozen(0.05)).codes.has_value());
    wanted(3, 5) = 200;
    ChipParams params = frozen(0.05);
    params.crossbar.weight_levels = 0;
    EXPECT_FALSE(held(wanted, params).codes.has_value());
}

TEST(WeightCodes, of_perfect_cells_holds_their_codes_exactly) {
    const Matrix wanted = linalg::normal_matrix(70, 384, 7);
    const LinearMatrix matrix = held(wanted, perfect());
    ASSERT_TRUE(matrix.codes.has_value());
    const float largest = wanted.cwiseAbs().maxCoeff();
    for (Eigen::Index i = 0; i < 384; ++i) {
        ASSERT_EQ(matrix.codes->packed.at(3, i),
                  static_cast<std::int16_t>(std::lround(wanted(3, i) * (255.0F / largest))));
    }
}

// Every input at its largest and of the sign of its weight: the sum that the codes must leave room for.
TEST(WeightCodes, have_products_that_fit_32_bits) {
    for (const std::uint32_t input_bits : {2U, 8U, 12U}) {
        for (const Eigen::Index inputs : {1, 70, 384, 1536, 4096}) {
            for (const bool alike : {true, false}) {
                SCOPED_TRACE(testing::Message() << input_bits << " bits, " << inputs << " inputs, " << alike);
                ChipParams params;
                params.device.read_noise_sigma = 0;
                params.device.drift_exponent = 0.05;
                params.device.t_read_s = 3600;  // all cells drift alike
                params.crossbar.input_bits = input_bits;
                const Matrix wanted =
                    alike ? Matrix(Matrix::Constant(1, inputs, -1)) : linalg::normal_matrix(1, inputs, 7);
                const Matrix x = 3 * wanted.cwiseSign();
                const std::vector<linalg::StationaryWeight> weights{
                    {LayerId(0), linalg::Role::mlp_in, 1, 1, linalg::const_view(wanted)}};
                const auto programmed =
                    program_weights(weights, params.operands(), params.crossbar, params.key);
                ASSERT_TRUE(std::get<LinearMatrix>(programmed[0][0]).codes.has_value());
                CrossbarEngine engine(weights, programmed, params.engine(), params.key);
                engine.begin_image(ImageId(0));
                Matrix y(1, 1);
                engine.multiply(0, linalg::const_view(x), linalg::view(y));
                const Matrix exact = held(wanted, in_fp32(params)).mean;
                EXPECT_NEAR(static_cast<double>(y(0, 0)) / (3 * norm_1(exact)), 1, 1e-3);
            }
        }
    }
}

TEST(WeightCodes, keeps_what_is_not_a_number) {
    for (const float value :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        Matrix wanted = linalg::normal_matrix(5, 24, 7);
        wanted(2, 3) = value;
        const LinearMatrix matrix = held(wanted, frozen(0.05));
        ASSERT_FALSE(matrix.codes.has_value());
        EXPECT_FALSE(matrix.mean.allFinite());
    }
}

}  // namespace
}  // namespace crossweep::crossbar
