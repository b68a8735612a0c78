// What happens to a cell after it is written: faults, drift, loss of retention, read noise that lasts. Every
// law with a twin that has an error of 5 % and is found.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "crossweep/device/cell_writer.hpp"
#include "crossweep/linalg/gaussian.hpp"
#include "device/cells.hpp"
#include "linalg/normal_law.hpp"

namespace crossweep::device {
namespace {

using linalg::is_normal;

/// How many of 400 000 cells stick at either end; 5 % of a tenth are 10 standard errors.
struct Stuck {
    std::size_t low = 0, high = 0;
};
constexpr std::size_t many = 400'000;

Stuck stuck(const DeviceParams& params, Storage storage) {
    const ConductanceWindow window = conductance_window(params);
    const auto cells = held(params, storage, at_fraction(params, 0.5), {}, many);
    const auto at = [&](float end) {
        return static_cast<std::size_t>(std::count(cells.begin(), cells.end(), static_cast<double>(end)));
    };
    return {at(window.min_S), at(window.max_S)};
}

TEST(CellWriter, stuck_cells_are_a_fraction_of_all) {
    for (const auto& [low, high] : {std::pair{0.1, 0.0}, {0.0, 0.1}, {0.1, 0.2}}) {
        DeviceParams params = quiet();
        params.stuck_at_g_min = low;
        params.stuck_at_g_max = high;
        for (const Storage storage : storages) {
            const Stuck cells = stuck(params, storage);
            if (low > 0) {
                EXPECT_TRUE(is_share(cells.low, many, low));
                EXPECT_FALSE(is_share(cells.low, many, 1.05 * low));
                EXPECT_FALSE(is_share(cells.low, many, 0.95 * low));
            }
            if (high > 0) {
                EXPECT_TRUE(is_share(cells.high, many, high));
                EXPECT_FALSE(is_share(cells.high, many, 1.05 * high));
                EXPECT_FALSE(is_share(cells.high, many, 0.95 * high));
            }
            EXPECT_EQ(cells.low == 0, low == 0);
            EXPECT_EQ(cells.high == 0, high == 0);
        }
    }
}

TEST(CellWriter, all_cells_can_be_stuck) {
    DeviceParams params = quiet();
    params.stuck_at_g_min = 1;
    EXPECT_EQ(stuck(params, Storage::written).low, many);
    params.stuck_at_g_min = 0;
    params.stuck_at_g_max = 1;
    EXPECT_EQ(stuck(params, Storage::written).high, many);
}

TEST(CellWriter, cells_stuck_at_a_lower_fraction_stay_stuck_at_a_higher_one) {
    DeviceParams params = quiet();
    std::vector<double> fewer;
    double error = 0;
    for (const double fraction : {0.01, 0.05, 0.2}) {
        params.stuck_at_g_max = fraction;
        const auto cells = held(params, Storage::stationary, at_fraction(params, 0.5));
        const double stuck_S = static_cast<double>(conductance_window(params).max_S);
        for (std::size_t i = 0; i < fewer.size(); ++i) {
            if (fewer[i] == stuck_S) {
                ASSERT_EQ(cells[i], stuck_S);
            }
        }
        const double more = mean_square_error({cells.begin(), cells.end()},
                                              std::vector<float>(count, at_fraction(params, 0.5)));
        EXPECT_GT(more, error);
        error = more;
        fewer = cells;
    }
}

TEST(CellWriter, stuck_cells_neither_age_nor_spread) {
    DeviceParams params = all_effects();
    params.clamp = Clamp::none;
    params.read_noise_sigma = 0;
    for (const Storage storage : storages) {
        const ConductanceWindow window = conductance_window(params);
        const auto cells = held(params, storage, std::vector<float>(many, 5e-6F), row_of(storage));
        EXPECT_TRUE(is_share(static_cast<std::size_t>(std::count(cells.begin(), cells.end(), window.min_S)),
                             many, 0.02));
        EXPECT_TRUE(is_share(static_cast<std::size_t>(std::count(cells.begin(), cells.end(), window.max_S)),
                             many, 0.02));
    }
}

/// Cells that are a hundred times older than drift_t0_s.
DeviceParams drifting(double exponent, double sigma) {
    DeviceParams params = quiet();
    params.drift_t0_s = 20;
    params.t_read_s = params.written_t_read_s = 2000;
    params.drift_exponent = exponent;
    params.drift_exponent_sigma = sigma;
    return params;
}

std::vector<double> drift_exponents(const DeviceParams& params, Storage storage) {
    auto cells = held(params, storage, 5e-6F);
    for (double& cell : cells) cell = -std::log(cell / static_cast<double>(5e-6F)) / std::log(100.0);
    return cells;
}

TEST(CellWriter, drift_is_a_power_law_with_normal_exponents) {
    const double mean = 0.05, sigma = 0.008;  // six deviations from 0, beyond every draw
    for (const Storage storage : storages) {
        const auto exponents = drift_exponents(drifting(mean, sigma), storage);
        EXPECT_TRUE(is_normal(exponents, mean, sigma));
        EXPECT_FALSE(is_normal(exponents, 1.05 * mean, sigma));
        EXPECT_FALSE(is_normal(exponents, 0.95 * mean, sigma));
        EXPECT_FALSE(is_normal(exponents, mean, 1.05 * sigma));
        EXPECT_FALSE(is_normal(exponents, mean, 0.95 * sigma));
    }
}

TEST(CellWriter, drift_without_scatter_is_the_same_for_all_cells) {
    for (const double exponent : {0.01, 0.1, 1.0}) {
        DeviceParams params = drifting(exponent, 0);
        const auto wanted = ramp(params, 1001);
        for (const double age_s : {20.0, 21.0, 3600.0, 1e8}) {
            params.t_read_s = age_s;
            const auto cells = held(params, Storage::stationary, wanted, row_of(Storage::stationary));
            const double factor = std::pow(age_s / 20, -exponent);
            for (std::size_t i = 0; i < cells.size(); ++i) {
                const double expected_S = factor * static_cast<double>(wanted[i]);
                ASSERT_NEAR(static_cast<double>(cells[i]), expected_S, 1e-6 * expected_S);
            }
        }
    }
}

// The vectorised power against the C library's, over many octaves and both sides of every rounding.
TEST(CellWriter, drift_of_scattered_cells_is_exact) {
    for (const double age_s : {21.0, 3600.0, 1e12}) {
        DeviceParams params = drifting(0.5, 0.4);
        params.t_read_s = age_s;
        const auto row = row_of(Storage::stationary);
        std::vector<float> normal(10'000);
        linalg::fill_normal(row.key, draw_identity(NoiseSite::cell_drift, row.layer, row.operand, 0, row.row),
                            normal);
        const auto cells = held(params, Storage::stationary, 5e-6F, {}, normal.size());
        for (std::size_t i = 0; i < cells.size(); ++i) {
            const double exponent = std::max(0.0, 0.5 + 0.4 * static_cast<double>(normal[i]));
            const double expected_S = 5e-6 * std::pow(age_s / 20, -exponent);
            ASSERT_NEAR(cells[i], expected_S, 1e-5 * expected_S) << exponent;
        }
    }
}

TEST(CellWriter, drift_never_raises_a_conductance) {
    const auto exponents = drift_exponents(drifting(0, 0.05), Storage::written);
    const auto none = static_cast<std::size_t>(std::count(exponents.begin(), exponents.end(), 0.0));
    EXPECT_TRUE(is_share(none, count, 0.5));
    EXPECT_GE(*std::min_element(exponents.begin(), exponents.end()), 0);
}

TEST(CellWriter, ageing_more_is_never_better_on_average) {
    const auto error = [](DeviceParams params, double age_s) {
        params.t_read_s = age_s;
        const auto wanted = ramp(params, 1001);
        return mean_square_error(held(params, Storage::stationary, wanted, row_of(Storage::stationary)),
                                 wanted);
    };
    DeviceParams losing = quiet();
    losing.retention_s = 1000;
    for (const DeviceParams& params : {drifting(0.05, 0), drifting(0.05, 0.01), losing}) {
        double smaller = -1;
        for (const double age_s : {0.0, 100.0, 1e3, 1e4}) {
            EXPECT_GT(error(params, age_s), smaller);
            smaller = error(params, age_s);
        }
    }
    EXPECT_LT(error(drifting(0.05, 0.01), 1e4), error(drifting(0.1, 0.01), 1e4));
}

TEST(CellWriter, retention_is_an_exponential_decay_to_g_min) {
    DeviceParams params = quiet();
    params.retention_s = 1000;
    const auto wanted = ramp(params, 1001);
    const double min_S = params.g_max_S / params.on_off_ratio;
    const auto decays = [&](double age_s, double retention_s) {
        params.written_t_read_s = age_s;
        const auto cells = held(params, Storage::written, wanted, row_of(Storage::written));
        double largest_S = 0;
        for (std::size_t i = 0; i < cells.size(); ++i) {
            const double excess_S = static_cast<double>(wanted[i]) - min_S;
            const double expected_S = min_S + excess_S * std::exp(-age_s / retention_s);
            largest_S = std::max(largest_S, std::abs(static_cast<double>(cells[i]) - expected_S));
        }
        return largest_S < 1e-6 * params.g_max_S;
    };
    for (const double age_s : {1.0, 300.0, 5000.0}) {
        EXPECT_TRUE(decays(age_s, 1000)) << age_s;
        EXPECT_FALSE(decays(age_s, 1050)) << age_s;
        EXPECT_FALSE(decays(age_s, 950)) << age_s;
    }
    EXPECT_TRUE(decays(1e9, 1000));
}

TEST(CellWriter, drift_comes_before_retention) {
    DeviceParams params = drifting(0.1, 0);
    params.retention_s = 3000;
    const double min_S = params.g_max_S / params.on_off_ratio;
    const double drifted_S = 8e-6 * std::pow(100.0, -0.1);
    const double expected_S = min_S + (drifted_S - min_S) * std::exp(-2.0 / 3);
    EXPECT_NEAR(held(params, Storage::stationary, 8e-6F, {}, 1).front(), expected_S, 1e-6 * expected_S);
    params.drift_exponent_sigma = 1e-9;  // the way of scattered cells
    EXPECT_NEAR(held(params, Storage::stationary, 8e-6F, {}, 1).front(), expected_S, 1e-6 * expected_S);
}

TEST(CellWriter, keeps_frozen_read_noise_of_its_storage) {
    DeviceParams params = quiet();
    params.read_noise_sigma = 0.1;
    params.read_noise = ReadNoiseMode::frozen;
    for (const Storage storage : storages) {
        const CellRow row = row_of(storage);
        auto expected = ramp(params, 1001);
        const auto wanted = expected;
        std::vector<float> normal(expected.size());
        const NoiseSite site =
            storage == Storage::stationary ? NoiseSite::weight_read : NoiseSite::operand_read;
        linalg::fill_normal(row.key, draw_identity(site, row.layer, row.operand, row.image, row.row), normal);
        const ReadNoise read(params);
        read(expected, normal);
        EXPECT_EQ(held(params, storage, wanted, row), expected);
    }
}

TEST(CellWriter, more_noise_of_any_kind_is_worse_on_average) {
    const auto grows = [](const std::function<void(DeviceParams&, double)>& set) {
        double smaller = -1;
        for (const double sigma : {0.0, 0.02, 0.1, 0.3}) {
            DeviceParams params = quiet();
            params.read_noise = ReadNoiseMode::frozen;
            set(params, sigma);
            const auto wanted = ramp(params, 10'001);
            const double error =
                mean_square_error(held(params, Storage::written, wanted, row_of(Storage::written)), wanted);
            EXPECT_GT(error, smaller);
            smaller = error;
        }
    };
    grows([](DeviceParams& p, double sigma) { p.g_min_spread_sigma = sigma; });
    grows([](DeviceParams& p, double sigma) { p.g_max_spread_sigma = sigma; });
    grows([](DeviceParams& p, double sigma) { p.write_noise_sigma = sigma; });
    grows([](DeviceParams& p, double sigma) { p.read_noise_sigma = sigma; });
    grows([](DeviceParams& p, double sigma) { p.stuck_at_g_min = sigma; });
}

}  // namespace
}  // namespace crossweep::device
