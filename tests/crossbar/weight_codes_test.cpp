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

/// The same without rounding.
ChipParams in_fp32(ChipParams params) {
    params.crossbar.weight_rounding = 0;
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

struct Flaw {
    const char* name;
    std::function<void(device::DeviceParams&)> add;
};

const std::vector<Flaw> flaws{
    {"none", [](auto&) {}},
    {"programming", [](auto& device) { device.programming_noise_sigma = 0.1; }},
    {"stuck cells", [](auto& device) { device.stuck_at_g_max = 0.01; }},
    {"drift", [](auto& device) { device.drift_exponent = 0.05, device.t_read_s = 3600; }},
    {"levels", [](auto& device) { device.levels = 16; }},
};

TEST(WeightCodes, cost_no_output_more_than_the_permitted_share_of_its_frozen_read_noise) {
    for (const Eigen::Index inputs : {24, 384, 1536, 3072}) {
        const Matrix wanted = linalg::normal_matrix(70, inputs, 7);
        for (const Fidelity fidelity : {Fidelity::behavioural, Fidelity::sliced}) {
            for (const Flaw& flaw : flaws) {
                SCOPED_TRACE(testing::Message() << flaw.name << ", " << inputs << " inputs, level "
                                                << static_cast<int>(fidelity));
                ChipParams params = frozen(0.05);
                params.fidelity = fidelity;
                flaw.add(params.device);
                const LinearMatrix rounded = held(wanted, params), exact = held(wanted, in_fp32(params));
                ASSERT_TRUE(rounded.codes.has_value());
                ASSERT_FALSE(exact.codes.has_value());
                params.device.read_noise_sigma = 0;
                const Matrix noise = exact.mean - weights_of(held(wanted, params));
                const Matrix error = weights_of(rounded) - exact.mean;
                EXPECT_GT(norm(error), 0);
                for (Eigen::Index row = 0; row < error.rows(); ++row)
                    ASSERT_LE(norm(error.row(row)), params.crossbar.weight_rounding * norm(noise.row(row)))
                        << "output " << row;
            }
        }
    }
}

TEST(WeightCodes, are_the_finest_that_words_hold) {
    const Matrix wanted = linalg::normal_matrix(70, 1536, 7);
    const LinearMatrix exact = held(wanted, in_fp32(frozen(0.05))), rounded = held(wanted, frozen(0.05));
    ASSERT_TRUE(rounded.codes.has_value());
    for (Eigen::Index row = 0; row < wanted.rows(); ++row) {
        EXPECT_FLOAT_EQ(rounded.codes->steps[static_cast<std::size_t>(row)],
                        exact.mean.row(row).cwiseAbs().maxCoeff() / 32767);
    }
}

// A step of a row of 384 normal numbers is a 32767th of 3.5 or so, its rounding 3e-5, the noise sigma.
TEST(WeightCodes, leave_weights_in_fp32_where_frozen_read_noise_is_too_weak_to_hide_rounding) {
    const Matrix wanted = linalg::normal_matrix(70, 384, 7);
    EXPECT_TRUE(held(wanted, frozen(0.005)).codes.has_value());
    for (const Flaw& flaw : flaws) {
        for (const double sigma : {0.0025, 1e-4, 1e-6}) {
            SCOPED_TRACE(testing::Message() << flaw.name << ", sigma " << sigma);
            ChipParams params = frozen(sigma);
            flaw.add(params.device);
            const LinearMatrix matrix = held(wanted, params);
            ASSERT_FALSE(matrix.codes.has_value());
            EXPECT_EQ(matrix.mean, held(wanted, in_fp32(params)).mean);
        }
    }
}

// One output whose noise is weaker beside its largest weight than that of all others.
TEST(WeightCodes, leave_weights_in_fp32_where_one_output_cannot_hide_rounding) {
    Matrix wanted = linalg::normal_matrix(70, 384, 7);
    EXPECT_TRUE(held(wanted, frozen(0.01)).codes.has_value());
    wanted.row(31) *= 1e-3F;
    wanted(31, 100) = wanted.cwiseAbs().maxCoeff();
    EXPECT_FALSE(held(wanted, frozen(0.01)).codes.has_value());
    EXPECT_TRUE(held(wanted, frozen(0.05)).codes.has_value());
}

// Just where weights begin to be rounded, rounding is the permitted share of the noise, as both are measured.
TEST(WeightCodes, begin_where_rounding_is_the_permitted_share_of_the_noise) {
    const Matrix wanted = linalg::normal_matrix(1, 16384, 7);
    struct Case {
        Fidelity fidelity;
        Mapping mapping;
        device::ReadNoiseLaw law;
    };
    using device::ReadNoiseLaw;
    for (const Case& c : {Case{Fidelity::behavioural, Mapping::differential, ReadNoiseLaw::proportional},
                          Case{Fidelity::behavioural, Mapping::differential, ReadNoiseLaw::constant},
                          Case{Fidelity::sliced, Mapping::differential, ReadNoiseLaw::proportional},
                          Case{Fidelity::sliced, Mapping::offset, ReadNoiseLaw::proportional},
                          Case{Fidelity::sliced, Mapping::offset, ReadNoiseLaw::constant}}) {
        SCOPED_TRACE(testing::Message() << static_cast<int>(c.fidelity) << static_cast<int>(c.mapping)
                                        << static_cast<int>(c.law));
        ChipParams params = frozen(0);
        params.fidelity = c.fidelity;
        params.crossbar.mapping = c.mapping;
        params.device.read_noise_law = c.law;
        double too_weak = 1e-7, enough = 1;
        while (enough / too_weak > 1.01) {
            params.device.read_noise_sigma = std::sqrt(too_weak * enough);
            (held(wanted, params).codes ? enough : too_weak) = params.device.read_noise_sigma;
        }
        params.device.read_noise_sigma = enough;
        const LinearMatrix rounded = held(wanted, params);
        ASSERT_TRUE(rounded.codes.has_value());
        const Matrix exact = held(wanted, in_fp32(params)).mean;
        params.device.read_noise_sigma = 0;
        const Matrix noise = exact - weights_of(held(wanted, params));
        EXPECT_NEAR(norm(weights_of(rounded) - exact) / norm(noise), params.crossbar.weight_rounding, 4e-4);
    }
}

TEST(WeightCodes, leave_weights_in_fp32_without_frozen_read_noise) {
    const Matrix wanted = linalg::normal_matrix(70, 384, 7);
    for (const Flaw& flaw : flaws) {
        if (flaw.name == flaws.front().name) continue;
        for (const auto mode : {ReadNoiseMode::frozen, ReadNoiseMode::per_read}) {
            ChipParams params = frozen(mode == ReadNoiseMode::frozen ? 0 : 0.05);
            params.device.read_noise = mode;
            flaw.add(params.device);
            EXPECT_FALSE(held(wanted, params).codes.has_value()) << flaw.name;
        }
    }
}

TEST(WeightCodes, are_as_coarse_as_the_study_permits) {
    const Matrix wanted = linalg::normal_matrix(70, 384, 7);
    ChipParams params = frozen(0.05);
    for (const double rounding : {0.0, 1e-4}) {
        params.crossbar.weight_rounding = rounding;
        EXPECT_FALSE(held(wanted, params).codes.has_value()) << rounding;
    }
    params = frozen(1e-4);
    params.crossbar.weight_rounding = 0.5;
    EXPECT_TRUE(held(wanted, params).codes.has_value());
}

TEST(WeightCodes, leave_weights_in_fp32_where_inputs_are_no_codes) {
    ChipParams params = frozen(0.05);
    params.crossbar.input_bits = 0;
    const Matrix wanted = linalg::normal_matrix(70, 384, 7);
    EXPECT_FALSE(held(wanted, params).codes.has_value());
}

// Their squares are no numbers of single precision.
TEST(WeightCodes, leave_tiny_and_huge_weights_in_fp32) {
    for (const float scale : {1e-35F, 1e-21F, 1e25F})
        EXPECT_FALSE(held(scale * linalg::normal_matrix(70, 384, 7), frozen(1e-6)).codes.has_value())
            << scale;
}

// Infinity, the square of the scale, times a cell that is off.
TEST(WeightCodes, leave_weights_in_fp32_where_their_noise_is_not_a_number) {
    ChipParams params = frozen(0.05);
    params.device.on_off_ratio = std::numeric_limits<double>::infinity();
    Matrix wanted = 1e22F * linalg::normal_matrix(1, 24, 7);
    wanted(0, 3) = 0;
    EXPECT_FALSE(held(wanted, params).codes.has_value());
}

// Whether or not cells of the lowest conductance are noisy.
TEST(WeightCodes, of_outputs_without_weights_are_finite) {
    for (const double on_off_ratio : {10.0, std::numeric_limits<double>::infinity()}) {
        Matrix wanted = linalg::normal_matrix(5, 24, 7);
        wanted.row(2).setZero();
        ChipParams params = frozen(0.05);
        params.device.on_off_ratio = on_off_ratio;
        const LinearMatrix exact = held(wanted, in_fp32(params)), rounded = held(wanted, params);
        ASSERT_TRUE(rounded.codes.has_value()) << on_off_ratio;
        const Matrix weights = weights_of(rounded);
        EXPECT_TRUE(weights.allFinite()) << on_off_ratio;
        EXPECT_LE(norm(weights.row(2) - exact.mean.row(2)), 0.01 * norm(exact.mean.row(2))) << on_off_ratio;
    }
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
                params.device.read_noise = ReadNoiseMode::frozen;
                params.device.read_noise_sigma = alike && input_bits <= 8 ? 0.05 : 0.3;
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
