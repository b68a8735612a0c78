// Weights as integers: what rounding may cost, and when there is none.
#include "crossweep/crossbar/linear_matrix.hpp"

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

TEST(LinearMatrix, rounds_weights_of_imperfect_cells_far_below_what_the_cells_deviate_by) {
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
                ASSERT_TRUE(rounded.has_codes());
                ASSERT_FALSE(exact.has_codes());
                const double deviation = norm(exact.mean - ideal),
                             error = norm(weights_of(rounded) - exact.mean);
                EXPECT_GT(error, 0);
                EXPECT_LE(error, most_rounding * deviation * (1 + 1e-4));
            }
        }
    }
}

TEST(LinearMatrix, keeps_weights_in_fp32_where_cells_deviate_too_little_to_hide_rounding) {
    const Matrix wanted = linalg::normal_matrix(70, 384, 7);
    for (const double sigma : {1e-6, 1e-5, 1e-4}) {
        const LinearMatrix matrix = held(wanted, frozen(sigma));
        EXPECT_FALSE(matrix.has_codes()) << sigma;
        EXPECT_EQ(matrix.mean, held(wanted, in_fp32(frozen(sigma))).mean) << sigma;
    }
}

TEST(LinearMatrix, of_perfect_cells_holds_their_codes_exactly) {
    const Matrix wanted = linalg::normal_matrix(70, 384, 7);
    const LinearMatrix matrix = held(wanted, perfect());
    ASSERT_TRUE(matrix.has_codes());
    const float largest = wanted.cwiseAbs().maxCoeff();
    for (Eigen::Index i = 0; i < 384; ++i) {
        ASSERT_EQ(matrix.codes.at(3, i),
                  static_cast<std::int16_t>(std::lround(wanted(3, i) * (255.0F / largest))));
    }
}

// Every input and every weight at its largest: the sum that the codes must leave room for.
TEST(LinearMatrix, of_rounded_weights_has_products_that_fit_32_bits) {
    for (const std::uint32_t input_bits : {2U, 8U, 12U}) {
        for (const Eigen::Index inputs : {1, 70, 384, 1536, 4096}) {
            SCOPED_TRACE(testing::Message() << input_bits << " bits, " << inputs << " inputs");
            ChipParams params;
            params.device.read_noise_sigma = 0;
            params.device.drift_exponent = 0.05;
            params.device.t_read_s = 3600;  // all cells drift alike
            params.crossbar.input_bits = input_bits;
            const Matrix wanted = Matrix::Constant(1, inputs, -1), x = Matrix::Constant(1, inputs, 3);
            const std::vector<linalg::StationaryWeight> weights{
                {LayerId(0), linalg::Role::mlp_in, 1, 1, linalg::const_view(wanted)}};
            const auto programmed = program_weights(weights, params.operands(), params.crossbar, params.key);
            ASSERT_TRUE(std::get<LinearMatrix>(programmed[0][0]).has_codes());
            CrossbarEngine engine(weights, programmed, params.engine(), params.key);
            engine.begin_image(ImageId(0));
            Matrix y(1, 1);
            engine.multiply(0, linalg::const_view(x), linalg::view(y));
            const Matrix exact = held(wanted, in_fp32(params)).mean;
            EXPECT_NEAR(y(0, 0) / (3 * exact.sum()), 1, 1e-4);
        }
    }
}

TEST(LinearMatrix, keeps_what_is_not_a_number) {
    for (const float value :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        Matrix wanted = linalg::normal_matrix(5, 24, 7);
        wanted(2, 3) = value;
        EXPECT_FALSE(weights_of(held(wanted, frozen(0.05))).allFinite());
    }
}

}  // namespace
}  // namespace crossweep::crossbar
