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
    return program_weights(weights.all(), params.operands(), params.crossbar, params.key);
}

const LinearMatrix& linear(const StoredMatrix& stored) {
    return std::get<LinearMatrix>(stored);
}

bool equal(const Matrix& a, const Matrix& b) {
    return a.rows() == b.rows() && a.cols() == b.cols() && a == b;
}
bool equal(const StoredMatrix& a, const StoredMatrix& b) {
    if (a.index() != b.index()) return false;
    if (const auto* of_a = std::get_if<LinearMatrix>(&a)) {
        const auto& amplitudes = linear(b).amplitudes;
        return equal(weights_of(*of_a), weights_of(linear(b))) &&
               std::equal(of_a->amplitudes.begin(), of_a->amplitudes.end(), amplitudes.begin(),
                          amplitudes.end(),
                          [](const auto& x, const auto& y) { return equal(decoded(x), decoded(y)); });
    }
    if (const auto* of_a = std::get_if<CircuitMatrix>(&a)) {
        const auto& of_b = std::get<CircuitMatrix>(b);
        if (!equal(of_a->weight_of_code, of_b.weight_of_code) || of_a->input_edges != of_b.input_edges ||
            of_a->array_columns != of_b.array_columns || of_a->planes.size() != of_b.planes.size() ||
            of_a->masks != of_b.masks)
            return false;
        for (std::size_t i = 0; i < of_a->planes.size(); ++i) {
            if (!equal(of_a->planes[i], of_b.planes[i])) return false;
        }
    }
    return true;
}
bool equal(const std::vector<ProgrammedWeight>& a, const std::vector<ProgrammedWeight>& b) {
    for (std::size_t weight = 0; weight < a.size(); ++weight) {
        for (std::size_t part = 0; part < a[weight].size(); ++part) {
            if (!equal(a[weight][part], b[weight][part])) return false;
        }
    }
    return true;
}

TEST(ProgramWeights, maps_each_part_of_qkv_with_its_own_largest_weight) {
    const BlockWeights weights;
    ChipParams params = ideal_chip();
    params.crossbar.weight_levels = 16;
    const ProgrammedWeight qkv = programmed(params, weights)[0];
    ASSERT_EQ(qkv.size(), 3U);
    std::vector<double> largest_of_parts;
    for (std::size_t part = 0; part < 3; ++part) {
        const Matrix wanted = part_of(weights.all()[0], part);
        const double largest = static_cast<double>(wanted.cwiseAbs().maxCoeff()), step = largest / 15;
        const Matrix got = weights_of(linear(qkv[part]));
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
    EXPECT_TRUE(linear(programmed(params, weights)[0][0]).amplitudes.empty());
    params.device.read_noise_sigma = 0.05;
    const auto fresh = programmed(params, weights);
    const double largest = static_cast<double>(weights.mlp().cwiseAbs().maxCoeff());
    const auto& amplitudes = linear(fresh[1][0]).amplitudes;
    ASSERT_EQ(amplitudes.size(), 1U);
    const Matrix squares = decoded(amplitudes[0]);
    for (Index row = 0; row < squares.rows(); ++row) {
        const double step = static_cast<double>(amplitudes[0].steps()[static_cast<std::size_t>(row)]);
        for (Index i = 0; i < squares.cols(); ++i) {
            const double amplitude = std::abs(static_cast<double>(weights.mlp()(row, i))) + largest / 99;
            // To one step, and to half a level of the weight.
            ASSERT_NEAR(squares(row, i), amplitude * amplitude, step + largest / 255 * amplitude);
        }
    }
    params.device.read_noise = ReadNoiseMode::frozen;
    EXPECT_TRUE(linear(programmed(params, weights)[0][0]).amplitudes.empty());
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
    const auto chip = program_weights(weights, params.operands(), params.crossbar, params.key);
    EXPECT_EQ(weights_of(linear(chip[0][0])), zero);
    EXPECT_EQ(decoded(linear(chip[0][0]).amplitudes.at(0)), zero);
}

// At an on/off ratio of 2, drift by 2^-2 takes G_max to G_max / 4: half a window below G_min.
TEST(ProgramWeights, keeps_signs_where_a_conductance_falls_below_g_min) {
    Matrix wanted(1, 2);
    wanted << 1.0F, -1.0F;
    const std::vector<linalg::StationaryWeight> weights{
        {LayerId(0), linalg::Role::mlp_in, 1, 1, linalg::const_view(wanted)}};
    ChipParams params = ideal_chip();
    params.device.on_off_ratio = 2;
    params.device.drift_exponent = 1;
    params.device.t_read_s = 4;
    const auto chip = program_weights(weights, params.operands(), params.crossbar, params.key);
    EXPECT_NEAR(weights_of(linear(chip[0][0]))(0, 0), -0.5F, 1e-6F);
    EXPECT_NEAR(weights_of(linear(chip[0][0]))(0, 1), 0.5F, 1e-6F);
}

TEST(ProgramWeights, holds_what_every_fidelity_needs_part_by_part) {
    const BlockWeights weights;
    ChipParams params;
    for (const auto& [fidelity, index] :
         {std::pair(Fidelity::digital, 0U), std::pair(Fidelity::behavioural, 1U),
          std::pair(Fidelity::sliced, 1U), std::pair(Fidelity::circuit, 2U)}) {
        params.fidelity = fidelity;
        params.digital = {linalg::Role::key};
        const ProgrammedWeight qkv = programmed(params, weights)[0];
        EXPECT_EQ(qkv[0].index(), index);
        EXPECT_EQ(qkv[1].index(), 0U);
        EXPECT_EQ(qkv[2].index(), index);
    }
}

TEST(ProgramWeights, of_perfect_cells_of_two_bits_at_most_are_masks_at_circuit_level) {
    const BlockWeights weights;
    const auto stored = [&](const std::function<void(ChipParams&)>& change) {
        ChipParams params;
        params.fidelity = Fidelity::circuit;
        change(params);
        const auto chip = programmed(params, weights);
        const auto& circuit = std::get<CircuitMatrix>(chip[0][0]);
        return std::pair(circuit.masks.size(), circuit.planes.size());
    };
    using Sizes = std::pair<std::size_t, std::size_t>;
    EXPECT_EQ(stored([](ChipParams&) {}), Sizes(8, 0));
    EXPECT_EQ(stored([](ChipParams& p) { p.device.bits_per_cell = 1; }), Sizes(16, 0));
    EXPECT_EQ(stored([](ChipParams& p) { p.device.bits_per_cell = 4; }), Sizes(0, 4));
    EXPECT_EQ(stored([](ChipParams& p) { p.device.programming_noise_sigma = 0.1; }), Sizes(0, 8));
    EXPECT_EQ(stored([](ChipParams& p) { p.crossbar.wire_resistance_ohm = 1; }), Sizes(0, 8));
}

/// Ways in which points of a study differ; at the sliced fidelities each is one more way.
const std::vector<std::function<void(ChipParams&)>> changes{
    [](ChipParams&) {},
    [](ChipParams& p) { p.device.g_max_S = 2e-5; },
    [](ChipParams& p) { p.device.on_off_ratio = 50; },
    [](ChipParams& p) { p.device.bits_per_cell = 4; },
    [](ChipParams& p) { p.device.levels = 8; },
    [](ChipParams& p) { p.device.read_noise_sigma = 0; },
    [](ChipParams& p) { p.device.read_noise_sigma = 0.1; },
    [](ChipParams& p) { p.device.read_noise_law = device::ReadNoiseLaw::constant; },
    [](ChipParams& p) { p.device.read_noise = ReadNoiseMode::frozen; },
    [](ChipParams& p) { p.device.read_noise = ReadNoiseMode::frozen, p.device.read_noise_sigma = 0.1; },
    [](ChipParams& p) { p.device.read_noise = ReadNoiseMode::frozen, p.device.read_noise_sigma = 0; },
    [](ChipParams& p) { p.device.read_noise = ReadNoiseMode::frozen, p.crossbar.weight_rounding = 0; },
    [](ChipParams& p) { p.device.write_noise_sigma = 0.2; },
    [](ChipParams& p) { p.device.write_noise_factor = 5; },
    [](ChipParams& p) { p.device.programming_noise_sigma = 0.1; },
    [](ChipParams& p) { p.device.programming_noise_sigma = 0.3, p.device.clamp = Clamp::none; },
    [](ChipParams& p) { p.device.programming_noise_sigma = 0.3, p.device.clamp = Clamp::window; },
    [](ChipParams& p) { p.device.programming_noise_sigma = 0.3, p.device.clamp = Clamp::non_negative; },
    [](ChipParams& p) { p.device.stuck_at_g_max = 0.1; },
    [](ChipParams& p) { p.device.drift_exponent = 0.1, p.device.t_read_s = 100; },
    [](ChipParams& p) { p.device.written_t_read_s = 100; },
    [](ChipParams& p) { p.crossbar.weight_levels = 64; },
    [](ChipParams& p) { p.crossbar.input_bits = 6; },
    [](ChipParams& p) { p.crossbar.input_scale = InputScale::tensor; },
    [](ChipParams& p) { p.crossbar.input_encoding = InputEncoding::sign_magnitude; },
    [](ChipParams& p) { p.crossbar.dac_bits = 2; },
    [](ChipParams& p) { p.crossbar.adc_bits = 8, p.crossbar.adc_range = AdcRange::full; },
    [](ChipParams& p) { p.crossbar.adc_gain_sigma = p.crossbar.adc_offset_sigma = 0.1; },
    [](ChipParams& p) { p.crossbar.mapping = Mapping::offset; },
    [](ChipParams& p) { p.crossbar.wire_resistance_ohm = 2; },
    [](ChipParams& p) { p.crossbar.array_rows = 5, p.crossbar.array_columns = 7; },
    [](ChipParams& p) { p.crossbar.weight_scale = ScaleBlock::head; },
    [](ChipParams& p) { p.crossbar.weight_scale = ScaleBlock::column; },
    [](ChipParams& p) { p.crossbar.weight_scale = ScaleBlock::tile; },
    [](ChipParams& p) { p.crossbar.weight_scale = ScaleBlock::tile, p.crossbar.array_rows = 5; },
    [](ChipParams& p) { p.crossbar.weight_scale = ScaleBlock::tile, p.crossbar.array_columns = 5; },
    [](ChipParams& p) { p.crossbar.written_scale = ScaleBlock::head; },
    [](ChipParams& p) { p.transform.alpha = 2, p.transform.beta = 0.25; },
    [](ChipParams& p) { p.digital = {linalg::Role::written_keys}; },
    [](ChipParams& p) { p.digital = {linalg::Role::key}; },
};

class StationaryInputsTest : public testing::TestWithParam<Fidelity> {};

TEST_P(StationaryInputsTest, equal_values_mean_equal_weights) {
    const BlockWeights weights;
    std::vector<StationaryInputs> inputs;
    std::vector<std::vector<ProgrammedWeight>> chips;
    for (const auto& change : changes) {
        ChipParams params;
        params.fidelity = GetParam();
        change(params);
        inputs.push_back(stationary_inputs(params.operands(), params.crossbar));
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
    // None, sigma_R 0.1, sigma_W, gamma, age of K and V, input scale, encoding and DAC, both of the ADC,
    // written scale, transform, digital K: 13 points, 78 pairs.
    EXPECT_EQ(shared, 78);
}

INSTANTIATE_TEST_SUITE_P(All, StationaryInputsTest,
                         testing::Values(Fidelity::behavioural, Fidelity::sliced, Fidelity::circuit));

}  // namespace
}  // namespace crossweep::crossbar
