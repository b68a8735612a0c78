// Weights on a chip: each part mapped on its own, and when two points may share them.
#include "crossweep/crossbar/programmed_weights.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "crossbar/chip.hpp"

namespace crossweep::crossbar {
namespace {

using device::Clamp;
using device::ReadNoiseMode;
using Eigen::Index;
using linalg::Matrix;

std::vector<ProgrammedWeight> programmed(const ChipParams& params, const BlockWeights& weights) {
    return program_weights(weights.all(), params.device, params.crossbar, params.key);
}

bool equal(const std::vector<ProgrammedWeight>& a, const std::vector<ProgrammedWeight>& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
        const Matrix &mean = a[i].mean, &squares = a[i].squared_amplitude;
        if (mean != b[i].mean || squares.size() != b[i].squared_amplitude.size()) return false;
        if (squares.size() > 0 && squares != b[i].squared_amplitude) return false;
    }
    return true;
}

TEST(ProgramWeights, maps_each_part_of_qkv_with_its_own_largest_weight) {
    const BlockWeights weights;
    ChipParams params = ideal_chip();
    params.crossbar.weight_levels = 16;
    const Matrix mean = programmed(params, weights)[0].mean;
    const Index outputs = mean.rows() / 3;
    std::vector<double> largest_of_parts;
    for (Index part = 0; part < 3; ++part) {
        const Matrix wanted = weights.qkv().middleRows(part * outputs, outputs);
        const double largest = static_cast<double>(wanted.cwiseAbs().maxCoeff()), step = largest / 15;
        const Matrix got = mean.middleRows(part * outputs, outputs);
        double worst = 0;
        for (Index i = 0; i < got.size(); ++i) {
            const double level = static_cast<double>(got.data()[i]) / step;
            ASSERT_NEAR(level, std::round(level), 1e-3) << "part " << part;
            worst = std::max(worst, std::abs(static_cast<double>(got.data()[i] - wanted.data()[i])) / step);
        }
        EXPECT_LE(worst, 0.5 + 1e-3) << "part " << part;
        EXPECT_GT(worst, 0.45) << "part " << part;
        largest_of_parts.push_back(largest);
    }
    EXPECT_GT(largest_of_parts[1], 5 * largest_of_parts[0]);
    EXPECT_LT(largest_of_parts[2], 0.2 * largest_of_parts[0]);
}

TEST(ProgramWeights, prepares_squares_where_fresh_read_noise_needs_them) {
    const BlockWeights weights;
    ChipParams params = ideal_chip();
    EXPECT_EQ(programmed(params, weights)[0].squared_amplitude.size(), 0);
    params.device.read_noise_sigma = 0.05;
    const auto fresh = programmed(params, weights);
    const double largest = static_cast<double>(weights.mlp().cwiseAbs().maxCoeff());
    for (Index i = 0; i < weights.mlp().size(); ++i) {
        const double amplitude = std::abs(static_cast<double>(weights.mlp().data()[i])) + largest / 99;
        ASSERT_NEAR(fresh[1].squared_amplitude.data()[i], amplitude * amplitude, 1e-5 * largest * amplitude);
    }
    params.device.read_noise = ReadNoiseMode::frozen;
    EXPECT_EQ(programmed(params, weights)[0].squared_amplitude.size(), 0);
}

TEST(ProgramWeights, repeats_to_the_bit_for_one_chip_and_differs_for_another) {
    const BlockWeights weights;
    ChipParams params;
    params.device.programming_noise_sigma = 0.1;
    const auto original = programmed(params, weights);
    EXPECT_TRUE(equal(programmed(params, weights), original));
    params.key.trial = 1;
    EXPECT_FALSE(equal(programmed(params, weights), original));
}

TEST(ProgramWeights, of_a_zero_matrix_is_zero_whatever_the_programming_noise) {
    const Matrix zero = Matrix::Zero(6, 8);
    const std::vector<linalg::StationaryWeight> weights{
        {LayerId(0), linalg::Role::mlp_in, 1, 4, linalg::const_view(zero)}};
    ChipParams params;
    params.device.programming_noise_sigma = 0.5;
    const auto chip = program_weights(weights, params.device, params.crossbar, params.key);
    EXPECT_EQ(chip[0].mean, zero);
    EXPECT_EQ(chip[0].squared_amplitude, zero);
}

/// Ways in which points of a study differ.
const std::vector<std::function<void(ChipParams&)>> changes{
    [](ChipParams&) {},
    [](ChipParams& p) { p.device.g_max_S = 2e-5; },
    [](ChipParams& p) { p.device.on_off_ratio = 50; },
    [](ChipParams& p) { p.device.read_noise_sigma = 0; },
    [](ChipParams& p) { p.device.read_noise_sigma = 0.1; },
    [](ChipParams& p) { p.device.read_noise = ReadNoiseMode::frozen; },
    [](ChipParams& p) { p.device.read_noise = ReadNoiseMode::frozen, p.device.read_noise_sigma = 0.1; },
    [](ChipParams& p) { p.device.read_noise = ReadNoiseMode::frozen, p.device.read_noise_sigma = 0; },
    [](ChipParams& p) { p.device.write_noise_sigma = 0.2; },
    [](ChipParams& p) { p.device.write_noise_factor = 5; },
    [](ChipParams& p) { p.device.programming_noise_sigma = 0.1; },
    [](ChipParams& p) { p.device.programming_noise_sigma = 0.3, p.device.clamp = Clamp::none; },
    [](ChipParams& p) { p.device.programming_noise_sigma = 0.3, p.device.clamp = Clamp::window; },
    [](ChipParams& p) { p.device.programming_noise_sigma = 0.3, p.device.clamp = Clamp::non_negative; },
    [](ChipParams& p) { p.crossbar.weight_levels = 64; },
    [](ChipParams& p) { p.crossbar.weight_levels = 0; },
    [](ChipParams& p) { p.crossbar.input_bits = 6; },
    [](ChipParams& p) { p.crossbar.input_scale = InputScale::tensor; },
    [](ChipParams& p) { p.crossbar.weight_scale = ScaleBlock::head; },
    [](ChipParams& p) { p.crossbar.weight_scale = ScaleBlock::column; },
    [](ChipParams& p) { p.crossbar.weight_scale = ScaleBlock::tile; },
    [](ChipParams& p) { p.crossbar.weight_scale = ScaleBlock::tile, p.crossbar.array_rows = 5; },
    [](ChipParams& p) { p.crossbar.weight_scale = ScaleBlock::tile, p.crossbar.array_columns = 5; },
    [](ChipParams& p) { p.crossbar.written_scale = ScaleBlock::head; },
};

TEST(StationaryInputs, equal_values_mean_equal_weights) {
    const BlockWeights weights;
    std::vector<StationaryInputs> inputs;
    std::vector<std::vector<ProgrammedWeight>> chips;
    for (const auto& change : changes) {
        ChipParams params;
        change(params);
        inputs.push_back(stationary_inputs(params.device, params.crossbar));
        chips.push_back(programmed(params, weights));
    }
    int shared = 0;
    for (std::size_t a = 0; a < changes.size(); ++a) {
        for (std::size_t b = a + 1; b < changes.size(); ++b) {
            if (inputs[a] != inputs[b]) continue;
            ++shared;
            EXPECT_TRUE(equal(chips[a], chips[b])) << "changes " << a << " and " << b;
        }
    }
    // None, sigma_R 0.1, sigma_W, gamma, input bits and scale, written scale: 7 points, 21 pairs.
    EXPECT_EQ(shared, 21);
}

}  // namespace
}  // namespace crossweep::crossbar
