// The noise of cells that hold slices, in sums over all of them: against the laws of one cell, and shown to
// fail on a planted error of 5 %. A cell of digit d has the conductance d + d_min in units of a digit, with
// d_min = largest digit / (r - 1) for G_min, r = G_max / G_min = 100.
#include <gtest/gtest.h>

#include <cmath>

#include "crossbar/chip.hpp"
#include "linalg/normal_law.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::is_normal;
using linalg::Matrix;
using Sample = std::vector<double>;

constexpr double ratio = 100;
constexpr Mapping mappings[] = {Mapping::differential, Mapping::offset};

CellLayout layout_of(const ChipParams& params) {
    return cell_layout(Fidelity::sliced, params.crossbar.mapping, params.device.bits_per_cell, 255, 255);
}

/// Sum over the cells of every weight of (significance amplitude(digit))^2, in weight units.
template <class Amplitude>
Matrix variances(const ChipParams& params, const Matrix& weight, Amplitude&& amplitude) {
    const CellLayout layout = layout_of(params);
    const float largest = weight.cwiseAbs().maxCoeff();
    Matrix sum = Matrix::Zero(weight.rows(), weight.cols()), code = sum, digit = sum;
    code = (weight.cwiseAbs() * (255 / largest)).array().round().matrix();
    const auto count = static_cast<std::size_t>(weight.size());
    for (const Plane& plane : layout.planes) {
        to_digit(layout, plane, {code.data(), count}, {weight.data(), count}, {digit.data(), count});
        const float significance = plane.significance * largest / 255;
        sum += digit.unaryExpr([&](float d) {
            const double deviation =
                static_cast<double>(significance) *
                amplitude(static_cast<double>(d), static_cast<double>(layout.largest_digit));
            return static_cast<float>(deviation * deviation);
        });
    }
    return sum;
}

/// Variance of read noise at sigma = 1.
Matrix read_variances(const ChipParams& params, const Matrix& weight) {
    return variances(params, weight,
                     [](double digit, double largest) { return digit + largest / (ratio - 1); });
}

/// Standard normal, and not so if the deviation that one expects were 5 % off.
void expect_law(const Sample& sample) {
    ASSERT_GT(sample.size(), 20'000U);  // 5 standard errors of the variance: 5 %
    EXPECT_TRUE(is_normal(sample, 0, 1));
    EXPECT_FALSE(is_normal(sample, 0, 1.05));
    EXPECT_FALSE(is_normal(sample, 0, 0.95));
}

/// Errors of a product with weights over many images, over the deviation of sigma = 0.05 that every cell adds
/// in every cycle: the variance of one read of a cell is (what its cycle counts times its digit)^2.
Sample product_noise(ChipParams params, double sigma = 0.05) {
    const BlockInputs in;
    const Matrix exact = noisy_products(params, ImageId(0), in).mlp;
    InputConverter inputs(params.crossbar);
    inputs.convert(linalg::const_view(in.x), InputSign::both);
    const auto cycles = static_cast<Index>(inputs.cycles().size());
    const Matrix digits = inputs.digits();
    Matrix energy = Matrix::Zero(in.x.rows(), in.x.cols());
    for (Index token = 0; token < in.x.rows(); ++token) {
        for (Index c = 0; c < cycles; ++c) {
            const float counts = inputs.cycles()[static_cast<std::size_t>(c)].weight *
                                 inputs.steps()[static_cast<std::size_t>(token)];
            energy.row(token) += (counts * digits.row(token * cycles + c)).cwiseAbs2();
        }
    }
    const Matrix variance = energy * read_variances(params, BlockWeights().mlp()).transpose();
    params.device.read_noise_sigma = sigma;
    Chip chip(params);
    Sample sample;
    for (std::uint32_t image = 0; image < 60; ++image) {
        const Matrix noise = products_of(chip.engine(), in, ImageId(image)).mlp - exact;
        for (Index i = 0; i < noise.size(); ++i) {
            sample.push_back(static_cast<double>(noise.data()[i]) /
                             (0.05 * std::sqrt(static_cast<double>(variance.data()[i]))));
        }
    }
    return sample;
}

TEST(ReadNoiseOfSlices, of_a_product_is_that_of_all_cells_in_all_cycles) {
    for (const Fidelity fidelity : {Fidelity::sliced, Fidelity::circuit}) {
        for (const Mapping mapping : mappings) {
            for (const auto encoding : {InputEncoding::twos_complement, InputEncoding::sign_magnitude}) {
                for (const std::uint32_t dac_bits : {1U, 3U}) {
                    SCOPED_TRACE(testing::Message()
                                 << "fidelity " << static_cast<int>(fidelity) << ", mapping "
                                 << static_cast<int>(mapping) << ", encoding " << static_cast<int>(encoding)
                                 << ", DAC of " << dac_bits);
                    ChipParams params = noiseless_chip(fidelity);
                    params.crossbar.mapping = mapping;
                    params.crossbar.input_encoding = encoding;
                    params.crossbar.dac_bits = dac_bits;
                    params.crossbar.array_rows = 10;  // three arrays, one of them smaller
                    params.crossbar.array_columns = 15;
                    expect_law(product_noise(params));
                }
            }
        }
    }
}

TEST(ReadNoiseOfSlices, planted_error_of_five_percent_in_sigma_is_found) {
    for (const Fidelity fidelity : {Fidelity::sliced, Fidelity::circuit}) {
        EXPECT_FALSE(is_normal(product_noise(noiseless_chip(fidelity), 1.05 * 0.05), 0, 1));
        EXPECT_FALSE(is_normal(product_noise(noiseless_chip(fidelity), 0.95 * 0.05), 0, 1));
    }
}

TEST(ReadNoiseOfSlices, is_independent_between_columns_tokens_and_images) {
    const BlockInputs in;
    const auto columns = static_cast<std::size_t>(in.shape.hidden);
    for (const Fidelity fidelity : {Fidelity::sliced, Fidelity::circuit}) {
        ChipParams params = noiseless_chip(fidelity);
        params.crossbar.array_columns = 15;
        const Sample sample = product_noise(params);
        const std::span<const double> all(sample);
        for (const std::size_t lag :
             {std::size_t{1}, std::size_t{15}, columns, columns * static_cast<std::size_t>(in.shape.tokens)})
            EXPECT_TRUE(linalg::are_uncorrelated(all.first(all.size() - lag), all.subspan(lag))) << lag;
    }
}

/// Noise of K and V, element by element over many images, over the deviation that `variance_of` names.
template <class VarianceOf>
Sample operand_noise(const ChipParams& params, ChipParams without, VarianceOf&& variance_of) {
    const BlockInputs in(BlockShape{.tokens = 25});
    without.device.write_noise_sigma = without.device.read_noise_sigma = 0;
    Chip noisy(params, in.shape), exact(without, in.shape);
    const WrittenOperands wanted = written_operands(exact.engine(), in, ImageId(0));
    const Matrix of_keys = variance_of(in.keys), of_values = variance_of(in.values);
    Sample sample;
    const auto append = [&](const Matrix& noise, const Matrix& variance) {
        for (Index i = 0; i < noise.size(); ++i) {
            const double deviation = std::sqrt(static_cast<double>(variance.data()[i]));
            if (deviation > 1e-3) sample.push_back(static_cast<double>(noise.data()[i]) / deviation);
        }
    };
    for (std::uint32_t image = 0; image < 30; ++image) {
        const WrittenOperands written = written_operands(noisy.engine(), in, ImageId(image));
        append(written.keys - wanted.keys, of_keys);
        append(written.values - wanted.values, of_values);
    }
    return sample;
}

TEST(WriteNoiseOfSlices, is_gamma_sigma_sqrt_of_digit_times_largest_in_every_cell) {
    for (const Fidelity fidelity : {Fidelity::sliced, Fidelity::circuit}) {
        for (const Mapping mapping : mappings) {
            ChipParams params = noiseless_chip(fidelity);
            params.crossbar.mapping = mapping;
            params.device.write_noise_sigma = 0.1;
            expect_law(operand_noise(params, params, [&](const Matrix& operand) {
                return variances(params, operand, [](double digit, double largest) {
                    return 3 * 0.1 * std::sqrt(digit * largest);
                });
            }));
        }
    }
}

TEST(ReadNoiseOfSlices, that_is_frozen_is_sigma_times_the_conductance_of_every_cell) {
    for (const Fidelity fidelity : {Fidelity::sliced, Fidelity::circuit}) {
        for (const Mapping mapping : mappings) {
            ChipParams params = noiseless_chip(fidelity);
            params.crossbar.mapping = mapping;
            params.device.read_noise = device::ReadNoiseMode::frozen;
            params.device.read_noise_sigma = 0.05;
            expect_law(operand_noise(params, params, [&](const Matrix& operand) -> Matrix {
                return 0.05F * 0.05F * read_variances(params, operand);
            }));
        }
    }
}

}  // namespace
}  // namespace crossweep::crossbar
