// More of a non-ideality is not better: errors of circuits grow with what is wrong, on average over chips.
#include <gtest/gtest.h>

#include <functional>

#include "crossbar/chip.hpp"

namespace crossweep::crossbar {
namespace {

/// A block that fills two arrays of 64 rows.
constexpr BlockShape shape{.tokens = 16, .width = 128, .hidden = 40, .heads = 2};

/// Error of a circuit's products against those of the same circuit with nothing wrong, averaged over four
/// chips of 16 x (384 + 40 + 32 + 128) outputs each.
double mean_error(const std::function<void(ChipParams&)>& damage) {
    static const BlockInputs in(shape);
    static const Products undamaged = noisy_products(noiseless_chip(Fidelity::circuit), ImageId(0), in);
    double sum = 0;
    for (std::uint32_t trial = 0; trial < 4; ++trial) {
        ChipParams params = noiseless_chip(Fidelity::circuit);
        params.key.trial = trial;
        damage(params);
        sum += relative_error(noisy_products(params, ImageId(0), in), undamaged);
    }
    return sum / 4;
}

/// Amounts in ascending order of damage; the first does none.
void expect_growth(const std::vector<double>& amounts,
                   const std::function<void(ChipParams&, double)>& damage) {
    double less = -1;
    for (const double amount : amounts) {
        const double error = mean_error([&](ChipParams& params) { damage(params, amount); });
        if (less < 0) {
            EXPECT_EQ(error, 0) << "at " << amount;
        } else {
            EXPECT_GT(error, less) << "at " << amount;
        }
        less = error;
    }
}

// Down to 4 bits, where the error (1.7 of the product) is already larger than the product itself; 3 bits
// give 1.6.
TEST(MoreIsNotBetter, of_missing_adc_bits) {
    expect_growth({8, 7, 6, 5, 4}, [](ChipParams& params, double bits) {
        params.crossbar.adc_bits = static_cast<std::uint32_t>(bits);
    });
}

TEST(MoreIsNotBetter, of_gain_errors) {
    expect_growth({0, 0.02, 0.05, 0.1, 0.2}, [](ChipParams& params, double sigma) {
        params.crossbar.adc_bits = 8;
        params.crossbar.adc_gain_sigma = sigma;
    });
}

TEST(MoreIsNotBetter, of_offset_errors) {
    expect_growth({0, 0.5, 1, 2, 4}, [](ChipParams& params, double sigma) {
        params.crossbar.adc_bits = 8;
        params.crossbar.adc_offset_sigma = sigma;
    });
}

TEST(MoreIsNotBetter, of_wire_resistance) {
    expect_growth({0, 0.5, 1, 2, 5, 10},
                  [](ChipParams& params, double ohm) { params.crossbar.wire_resistance_ohm = ohm; });
}

TEST(MoreIsNotBetter, of_cells_stuck_at_g_min) {
    expect_growth({0, 0.001, 0.01, 0.03, 0.1},
                  [](ChipParams& params, double fraction) { params.device.stuck_at_g_min = fraction; });
}

TEST(MoreIsNotBetter, of_cells_stuck_at_g_max) {
    expect_growth({0, 0.001, 0.01, 0.03, 0.1},
                  [](ChipParams& params, double fraction) { params.device.stuck_at_g_max = fraction; });
}

TEST(MoreIsNotBetter, of_read_noise) {
    expect_growth({0, 0.01, 0.03, 0.1, 0.3},
                  [](ChipParams& params, double sigma) { params.device.read_noise_sigma = sigma; });
}

TEST(MoreIsNotBetter, of_write_noise) {
    expect_growth({0, 0.01, 0.03, 0.1, 0.3},
                  [](ChipParams& params, double sigma) { params.device.write_noise_sigma = sigma; });
}

}  // namespace
}  // namespace crossweep::crossbar
