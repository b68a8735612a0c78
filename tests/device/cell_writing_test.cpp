// What writing does to a cell: levels, spread of the window, noise, verifying. Every law with its mean and
// variance, and a twin with an error of 5 % that is found.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "crossweep/device/cell_writer.hpp"
#include "crossweep/linalg/gaussian.hpp"
#include "device/cells.hpp"
#include "linalg/normal_law.hpp"

namespace crossweep::device {
namespace {

using linalg::is_normal;

TEST(CellWriter, levels_are_equidistant_and_the_nearest_is_taken) {
    for (const std::uint32_t levels : {2U, 3U, 16U, 32U, 256U}) {
        DeviceParams params = quiet();
        params.levels = levels;
        const ConductanceWindow window = conductance_window(params);
        const auto wanted = ramp(params, 10'001);
        const auto cells = held(params, Storage::stationary, wanted, row_of(Storage::stationary));
        const double min_S = static_cast<double>(window.min_S);
        const double step_S = static_cast<double>(window.span_S()) / (levels - 1);
        for (std::size_t i = 0; i < cells.size(); ++i) {
            const double level = (static_cast<double>(cells[i]) - min_S) / step_S;
            ASSERT_NEAR(level, std::round(level), 1e-4);
            const double missed_S = std::abs(static_cast<double>(cells[i]) - static_cast<double>(wanted[i]));
            ASSERT_LE(missed_S, 0.5001 * step_S);
        }
        EXPECT_EQ(cells.front(), window.min_S);
        EXPECT_EQ(cells.back(), window.max_S);
        EXPECT_EQ(held(params, Storage::stationary, cells, row_of(Storage::stationary)), cells);
    }
}

// A uniform error of one step has variance step^2 / 12; the ramp is a uniform sample up to its own step.
TEST(CellWriter, levels_leave_the_error_of_a_uniform_quantiser) {
    double larger = 1;
    for (const std::uint32_t levels : {2U, 3U, 16U, 32U, 256U}) {
        DeviceParams params = quiet();
        params.levels = levels;
        const auto wanted = ramp(params, 100'001);
        const double error =
            mean_square_error(held(params, Storage::stationary, wanted, row_of(Storage::stationary)), wanted);
        const double step_S = 0.75 * params.g_max_S / (levels - 1);
        EXPECT_NEAR(error, step_S * step_S / 12, 0.01 * step_S * step_S / 12);
        const double planted_S = 1.05 * step_S;
        EXPECT_GT(std::abs(error - planted_S * planted_S / 12), 0.01 * planted_S * planted_S / 12);
        EXPECT_LT(error, larger);
        larger = error;
    }
}

TEST(CellWriter, levels_outside_the_window_are_its_ends) {
    DeviceParams params = quiet();
    params.levels = 9;
    const ConductanceWindow window = conductance_window(params);
    const auto cells = held(params, Storage::written, {-1e-5F, 0.0F, 2e-5F}, row_of(Storage::written));
    EXPECT_EQ(cells, (std::vector<float>{window.min_S, window.min_S, window.max_S}));
}

/// Deviation of a cell at `fraction` of the window: both ends of its own window contribute.
double spread_S(const DeviceParams& params, double fraction) {
    return std::hypot((1 - fraction) * params.g_min_spread_sigma * params.g_max_S / params.on_off_ratio,
                      fraction * params.g_max_spread_sigma * params.g_max_S);
}

TEST(CellWriter, spread_has_the_mean_and_the_variance_of_two_window_ends) {
    for (const auto& [of_min, of_max] : {std::pair{0.1, 0.0}, {0.0, 0.05}, {0.2, 0.05}}) {
        DeviceParams params = quiet();
        params.g_min_spread_sigma = of_min;
        params.g_max_spread_sigma = of_max;
        for (const double fraction : {0.1, 0.4, 0.9}) {
            const float wanted_S = at_fraction(params, fraction);
            const double mean_S = static_cast<double>(wanted_S), deviation_S = spread_S(params, fraction);
            const auto cells = held(params, Storage::stationary, wanted_S);
            EXPECT_TRUE(is_normal(cells, mean_S, deviation_S)) << fraction;
            EXPECT_FALSE(is_normal(cells, mean_S, 1.05 * deviation_S)) << fraction;
            EXPECT_FALSE(is_normal(cells, 1.05 * mean_S, deviation_S)) << fraction;
        }
    }
}

TEST(CellWriter, spread_of_one_end_leaves_the_other_end_alone) {
    for (const bool of_min : {true, false}) {
        DeviceParams params = quiet();
        (of_min ? params.g_min_spread_sigma : params.g_max_spread_sigma) = 0.1;
        const ConductanceWindow window = conductance_window(params);
        const std::vector<float> low(100, window.min_S), high(100, window.max_S);
        EXPECT_EQ(held(params, Storage::written, low, row_of(Storage::written)) == low, !of_min);
        EXPECT_EQ(held(params, Storage::written, high, row_of(Storage::written)) == high, of_min);
    }
}

TEST(CellWriter, spread_puts_a_cell_at_the_same_fraction_of_its_own_window) {
    DeviceParams params = quiet();
    params.g_min_spread_sigma = params.g_max_spread_sigma = 0.1;
    const auto own = [&](double fraction) {
        return held(params, Storage::written, at_fraction(params, fraction), {}, 1000);
    };
    const auto low = own(0), high = own(1), between = own(0.3);
    for (std::size_t i = 0; i < low.size(); ++i) {
        ASSERT_NEAR(between[i], 0.7 * low[i] + 0.3 * high[i], 1e-6 * params.g_max_S);
    }
}

TEST(CellWriter, writes_with_the_noise_of_its_storage) {
    DeviceParams params = quiet();
    params.write_noise_sigma = 0.1;
    params.programming_noise_sigma = 0.04;
    for (const Storage storage : storages) {
        const bool stationary = storage == Storage::stationary;
        const CellRow row = row_of(storage);
        auto expected = ramp(params, 1001);
        const auto wanted = expected;
        std::vector<float> normal(expected.size());
        const NoiseSite site = stationary ? NoiseSite::weight_programming : NoiseSite::operand_write;
        linalg::fill_normal(row.key, draw_identity(site, row.layer, row.operand, row.image, row.row), normal);
        (stationary ? WriteNoise::of_programming(params) : WriteNoise::of_written_operands(params))(expected,
                                                                                                    normal);
        EXPECT_EQ(held(params, storage, wanted, row), expected);
    }
}

TEST(CellWriter, write_noise_is_that_of_the_conductance_in_the_own_window) {
    DeviceParams params = quiet();
    params.write_noise_law = WriteNoiseLaw::proportional;
    params.write_noise_factor = 1;
    params.g_max_spread_sigma = 0.1;
    const float wanted_S = conductance_window(params).max_S;
    const auto aims = held(params, Storage::written, wanted_S);
    params.write_noise_sigma = 0.1;
    auto cells = held(params, Storage::written, wanted_S);
    for (std::size_t i = 0; i < count; ++i) cells[i] = cells[i] / aims[i] - 1;
    EXPECT_TRUE(is_normal(cells, 0, 0.1));
    EXPECT_FALSE(is_normal(cells, 0, 1.05 * 0.1));
}

/// Cells with write noise of a constant deviation, `sigma` of the span.
DeviceParams constantly_noisy(double sigma) {
    DeviceParams params = quiet();
    params.write_noise_law = WriteNoiseLaw::constant;
    params.write_noise_factor = 1;
    params.write_noise_sigma = params.programming_noise_sigma = sigma;
    return params;
}

/// Errors of cells in units of the span, after writing and verifying.
std::vector<double> errors(double sigma, Storage storage, const WriteVerify& verify) {
    const DeviceParams params = constantly_noisy(sigma);
    const float wanted_S = at_fraction(params, 0.5);
    auto cells = held(params, storage, wanted_S, verify);
    for (double& cell : cells) cell = (cell - static_cast<double>(wanted_S)) / (0.75 * params.g_max_S);
    return cells;
}

std::size_t outside(const std::vector<double>& error, double tolerance) {
    return static_cast<std::size_t>(
        std::count_if(error.begin(), error.end(), [=](double e) { return std::abs(e) > tolerance; }));
}

// p = erf(tolerance / (sigma sqrt 2)) is the chance that one write lands inside; n repeats leave (1 - p)^(n +
// 1).
TEST(CellWriter, verifying_leaves_the_cells_outside_that_miss_every_time) {
    const double sigma = 0.1, tolerance = 0.1;
    const auto left = [&](double of_sigma, std::uint32_t iterations) {
        return std::pow(std::erfc(tolerance / of_sigma / std::numbers::sqrt2), iterations + 1.0);
    };
    for (const Storage storage : storages) {
        for (const std::uint32_t iterations : {0U, 1U, 3U}) {
            const auto missed = outside(errors(sigma, storage, {iterations, tolerance}), tolerance);
            EXPECT_TRUE(is_share(missed, count, left(sigma, iterations))) << iterations;
            EXPECT_FALSE(is_share(missed, count, left(1.05 * sigma, iterations))) << iterations;
            EXPECT_FALSE(is_share(missed, count, left(0.95 * sigma, iterations))) << iterations;
        }
    }
}

// With a = tolerance / sigma, phi its density and q = 1 - p: sigma^2 (1 - 2 a phi / p) inside the tolerance
// and sigma^2 (1 + 2 a phi / q) outside (moments of the truncated normal law), mixed by the shares of both.
double verified_variance(double sigma, const WriteVerify& verify) {
    const double a = verify.tolerance / sigma, q = std::erfc(a / std::numbers::sqrt2), p = 1 - q;
    const double phi = std::exp(-a * a / 2) / std::sqrt(2 * std::numbers::pi);
    const double missed = std::pow(q, verify.iterations + 1.0);
    return sigma * sigma * ((1 - missed) * (1 - 2 * a * phi / p) + missed * (1 + 2 * a * phi / q));
}

/// Mean and variance of `error` against `variance`, with the sample's own kurtosis in the standard error.
bool has_variance(const std::vector<double>& error, double variance) {
    const auto moments = linalg::moments_of(error);
    const auto n = static_cast<double>(error.size());
    return std::abs(moments.mean) < 5 * std::sqrt(variance / n) &&
           std::abs(moments.variance - variance) < 5 * variance * std::sqrt((moments.kurtosis - 1) / n);
}

TEST(CellWriter, verifying_gives_the_variance_of_truncated_normal_laws) {
    for (const std::uint32_t iterations : {0U, 1U, 2U, 15U}) {
        const WriteVerify verify{iterations, 0.1};
        const auto error = errors(0.1, Storage::written, verify);
        EXPECT_TRUE(has_variance(error, verified_variance(0.1, verify))) << iterations;
        EXPECT_FALSE(has_variance(error, 1.05 * 1.05 * verified_variance(0.1, verify))) << iterations;
        EXPECT_FALSE(has_variance(error, 0.95 * 0.95 * verified_variance(0.1, verify))) << iterations;
    }
}

TEST(CellWriter, verifying_more_often_is_never_worse_on_average) {
    double larger = 1;
    for (const std::uint32_t iterations : {0U, 1U, 2U, 4U, 8U}) {
        const double variance =
            linalg::moments_of(errors(0.1, Storage::written, {iterations, 0.05})).variance;
        EXPECT_LT(variance, larger) << iterations;
        larger = variance;
    }
}

TEST(CellWriter, verifying_leaves_cells_alone_that_were_written_well) {
    const auto once = errors(0.1, Storage::written, {});
    const auto verified = errors(0.1, Storage::written, {15, 0.1});
    for (std::size_t i = 0; i < count; ++i) {
        if (std::abs(once[i]) < 0.0999) {
            ASSERT_EQ(verified[i], once[i]);
        }
    }
    EXPECT_EQ(errors(0.1, Storage::written, {15, 1.0}), once);
}

TEST(CellWriter, rewrites_do_not_depend_on_the_neighbours) {
    const DeviceParams params = constantly_noisy(0.1);
    const WriteVerify verify{4, 0.05};
    const auto row = row_of(Storage::written);
    const auto wanted = ramp(params, 512);
    const auto together = held(params, Storage::written, wanted, row, verify);
    for (const std::size_t changed : {0U, 100U, 511U}) {
        auto others = wanted;
        others[changed] = 0.5F * wanted[changed];
        auto cells = held(params, Storage::written, others, row, verify);
        cells[changed] = together[changed];
        EXPECT_EQ(cells, together);
    }
}

}  // namespace
}  // namespace crossweep::device
