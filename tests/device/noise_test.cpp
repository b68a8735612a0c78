// The laws of one cell: ideal limits, means and variances, clamps. Each check is shown to fail on a 5 %
// error.
#include "crossweep/device/noise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "crossweep/linalg/gaussian.hpp"
#include "linalg/normal_law.hpp"

namespace crossweep::device {
namespace {

using linalg::is_normal;

constexpr std::size_t count = 100'000;  // 5 standard errors of the variance: 2.2 %

std::vector<float> normals(std::size_t size, std::uint32_t name = 0) {
    std::vector<float> normal(size);
    linalg::fill_normal({11, 3}, {name, 0, 0}, normal);
    return normal;
}

/// `count` cells that want `conductance_S`, after `noise`.
template <class Noise>
std::vector<double> noisy(const Noise& noise, float conductance_S) {
    std::vector<float> cells(count, conductance_S);
    noise(cells, normals(count));
    return {cells.begin(), cells.end()};
}

/// Conductances from G_min to G_max.
std::vector<float> ramp(ConductanceWindow window, std::size_t steps) {
    std::vector<float> conductance(steps);
    for (std::size_t i = 0; i < steps; ++i) {
        conductance[i] =
            window.min_S + window.span_S() * static_cast<float>(i) / static_cast<float>(steps - 1);
    }
    return conductance;
}

/// Read noise of cells at `conductance_S` has mean G and deviation sigma G.
bool has_read_law(const std::vector<double>& cells, double conductance_S, double sigma) {
    return is_normal(cells, conductance_S, sigma * conductance_S);
}

/// Write noise has mean G and deviation gamma sigma_W sqrt((G - G_min)(G_max - G_min)).
bool has_write_law(const std::vector<double>& cells, double conductance_S, ConductanceWindow window,
                   double sigma) {
    const double min_S = static_cast<double>(window.min_S), span_S = static_cast<double>(window.span_S());
    return is_normal(cells, conductance_S, sigma * std::sqrt((conductance_S - min_S) * span_S));
}

TEST(ConductanceWindow, follows_from_g_max_and_the_ratio) {
    DeviceParams params;
    params.g_max_S = 4e-5;
    params.on_off_ratio = 50;
    const ConductanceWindow window = conductance_window(params);
    EXPECT_FLOAT_EQ(window.max_S, 4e-5F);
    EXPECT_FLOAT_EQ(window.min_S, 8e-7F);
    EXPECT_FLOAT_EQ(window.span_S(), 3.92e-5F);
}

TEST(ConductanceBounds, are_those_of_the_clamp) {
    const ConductanceWindow window{1e-7F, 1e-5F};
    constexpr float infinity = std::numeric_limits<float>::infinity();
    EXPECT_EQ(conductance_bounds(Clamp::none, window).low_S, -infinity);
    EXPECT_EQ(conductance_bounds(Clamp::none, window).high_S, infinity);
    EXPECT_EQ(conductance_bounds(Clamp::non_negative, window).low_S, 0.0F);
    EXPECT_EQ(conductance_bounds(Clamp::non_negative, window).high_S, infinity);
    EXPECT_EQ(conductance_bounds(Clamp::window, window).low_S, window.min_S);
    EXPECT_EQ(conductance_bounds(Clamp::window, window).high_S, window.max_S);
}

TEST(ReadNoise, without_sigma_changes_nothing) {
    DeviceParams params;
    params.read_noise_sigma = 0;
    for (const Clamp clamp : {Clamp::none, Clamp::non_negative, Clamp::window}) {
        params.clamp = clamp;
        const auto wanted = ramp(conductance_window(params), 1001);
        auto cells = wanted;
        ReadNoise perturb(params);
        perturb(cells, normals(cells.size()));
        EXPECT_EQ(cells, wanted);
    }
}

TEST(ReadNoise, has_the_mean_and_the_variance_of_its_law) {
    for (const double sigma : {0.01, 0.05, 0.3}) {
        DeviceParams params;
        params.read_noise_sigma = sigma;
        for (const float conductance_S : {1e-7F, 3e-6F, 1e-5F}) {
            const double wanted_S = static_cast<double>(conductance_S);
            const auto cells = noisy(ReadNoise(params), conductance_S);
            EXPECT_TRUE(has_read_law(cells, wanted_S, sigma));
            EXPECT_FALSE(has_read_law(cells, wanted_S, 1.05 * sigma));
            EXPECT_FALSE(has_read_law(cells, 1.05 * wanted_S, sigma));
        }
    }
}

TEST(ReadNoise, planted_error_of_five_percent_is_found) {
    DeviceParams params;
    const float wanted_S = 3e-6F;
    const double sigma = params.read_noise_sigma;
    params.read_noise_sigma = 1.05 * sigma;
    EXPECT_FALSE(has_read_law(noisy(ReadNoise(params), wanted_S), static_cast<double>(wanted_S), sigma));
    params.read_noise_sigma = 0.95 * sigma;
    EXPECT_FALSE(has_read_law(noisy(ReadNoise(params), wanted_S), static_cast<double>(wanted_S), sigma));
}

TEST(ReadNoise, perturbs_each_cell_by_its_own_number) {
    DeviceParams params;
    params.read_noise_sigma = 0.1;
    std::vector<float> cells{1e-6F, 2e-6F, 3e-6F};
    const std::vector<float> normal{1.0F, 0.0F, -2.0F};
    ReadNoise perturb(params);
    perturb(cells, normal);
    EXPECT_FLOAT_EQ(cells[0], 1.1e-6F);
    EXPECT_FLOAT_EQ(cells[1], 2e-6F);
    EXPECT_FLOAT_EQ(cells[2], 2.4e-6F);
}

TEST(WriteNoise, without_factor_or_sigma_changes_nothing) {
    for (const bool without_factor : {true, false}) {
        DeviceParams params;
        (without_factor ? params.write_noise_factor : params.write_noise_sigma) = 0;
        for (const Clamp clamp : {Clamp::none, Clamp::non_negative, Clamp::window}) {
            params.clamp = clamp;
            const auto wanted = ramp(conductance_window(params), 1001);
            auto cells = wanted;
            WriteNoise::of_written_operands(params)(cells, normals(cells.size()));
            EXPECT_EQ(cells, wanted);
        }
    }
}

TEST(WriteNoise, sigma_is_the_product_of_factor_and_sigma_for_written_operands_alone) {
    DeviceParams params;
    params.write_noise_sigma = 0.1;
    params.write_noise_factor = 5;
    params.programming_noise_sigma = 0.02;
    EXPECT_FLOAT_EQ(WriteNoise::of_written_operands(params).sigma(), 0.5F);
    EXPECT_FLOAT_EQ(WriteNoise::of_programming(params).sigma(), 0.02F);
    EXPECT_EQ(WriteNoise::of_programming(DeviceParams{}).sigma(), 0.0F);
}

TEST(WriteNoise, has_the_mean_and_the_variance_of_its_law_at_every_conductance) {
    for (const double factor : {1.0, 3.0, 5.0}) {
        DeviceParams params;
        params.write_noise_factor = factor;
        const double sigma = factor * params.write_noise_sigma;
        const ConductanceWindow window = conductance_window(params);
        for (const float conductance_S : {2e-7F, 1e-6F, 5e-6F, 1e-5F}) {
            const double wanted_S = static_cast<double>(conductance_S);
            const auto cells = noisy(WriteNoise::of_written_operands(params), conductance_S);
            EXPECT_TRUE(has_write_law(cells, wanted_S, window, sigma)) << conductance_S;
            EXPECT_FALSE(has_write_law(cells, wanted_S, window, 1.05 * sigma)) << conductance_S;
        }
    }
}

TEST(WriteNoise, planted_error_of_five_percent_is_found) {
    const DeviceParams right;
    const double sigma = right.write_noise_factor * right.write_noise_sigma;
    const float wanted_S = 2e-6F;
    const auto fails = [&](const DeviceParams& planted) {
        const auto cells = noisy(WriteNoise::of_written_operands(planted), wanted_S);
        return !has_write_law(cells, static_cast<double>(wanted_S), conductance_window(right), sigma);
    };
    EXPECT_FALSE(fails(right));
    DeviceParams planted = right;
    planted.write_noise_factor *= 1.05;
    EXPECT_TRUE(fails(planted));
    planted = right;
    planted.write_noise_sigma *= 0.95;
    EXPECT_TRUE(fails(planted));
    planted = right;
    planted.g_max_S *= 1.1;  // the deviation goes with the square root
    EXPECT_TRUE(fails(planted));
}

TEST(WriteNoise, of_programming_has_the_same_law) {
    DeviceParams params;
    params.programming_noise_sigma = 0.04;
    const auto cells = noisy(WriteNoise::of_programming(params), 6e-6F);
    EXPECT_TRUE(has_write_law(cells, 6e-6, conductance_window(params), 0.04));
    EXPECT_FALSE(has_write_law(cells, 6e-6, conductance_window(params), 1.05 * 0.04));
}

TEST(WriteNoise, vanishes_at_g_min_and_below) {
    const DeviceParams params;
    const ConductanceWindow window = conductance_window(params);
    for (const float wanted_S : {window.min_S, 0.5F * window.min_S, 0.0F}) {
        std::vector<float> cells(100, wanted_S);
        WriteNoise::of_written_operands(params)(cells, normals(100));
        EXPECT_EQ(cells, std::vector<float>(100, wanted_S));
    }
}

// G - G_min = |W| (G_max - G_min) / W_max gives dW = sigma sqrt(|W| W_max) xi: no ratio in it (ClipFormer,
// Fig. 9).
TEST(WriteNoise, does_not_depend_on_on_off_ratio) {
    constexpr std::size_t cells = 1000;
    const auto noise_in_weight_units = [](double ratio) {
        DeviceParams params;
        params.on_off_ratio = ratio;
        const ConductanceWindow window = conductance_window(params);
        const auto wanted = ramp(window, cells);  // |W| / W_max = 0 ... 1
        auto written = wanted;
        WriteNoise::of_written_operands(params)(written, normals(cells));
        std::vector<double> noise(cells);
        for (std::size_t i = 0; i < cells; ++i) {
            noise[i] = static_cast<double>(written[i] - wanted[i]) / static_cast<double>(window.span_S());
        }
        return noise;
    };
    const auto normal = normals(cells);
    for (const double ratio : {25.0, 50.0, 100.0, 1000.0}) {
        const auto noise = noise_in_weight_units(ratio);
        for (std::size_t i = 0; i < cells; ++i) {
            const double magnitude = static_cast<double>(i) / static_cast<double>(cells - 1);
            ASSERT_NEAR(noise[i], 0.3 * std::sqrt(magnitude) * static_cast<double>(normal[i]), 1e-6) << ratio;
        }
    }
}

TEST(ReadNoise, grows_in_weight_units_as_the_on_off_ratio_falls) {
    double smaller = 0;
    for (const double ratio : {1000.0, 100.0, 25.0}) {
        DeviceParams params;
        params.on_off_ratio = ratio;
        const ConductanceWindow window = conductance_window(params);
        const auto moments = linalg::moments_of(noisy(ReadNoise(params), window.min_S));
        const double deviation = std::sqrt(moments.variance) / static_cast<double>(window.span_S());
        EXPECT_NEAR(deviation, params.read_noise_sigma / (ratio - 1),
                    0.02 * params.read_noise_sigma / (ratio - 1));
        EXPECT_GT(deviation, smaller);
        smaller = deviation;
    }
}

TEST(Clamp, keeps_noisy_conductances_within_its_bounds) {
    for (const Clamp clamp : {Clamp::none, Clamp::non_negative, Clamp::window}) {
        DeviceParams params;
        params.clamp = clamp;
        params.read_noise_sigma = 2;
        params.write_noise_factor = 20;
        const ConductanceWindow window = conductance_window(params);
        for (const bool read : {true, false}) {
            std::vector<float> cells(count, 5e-6F), unclamped(count, 5e-6F);
            DeviceParams free = params;
            free.clamp = Clamp::none;
            if (read) {
                ReadNoise perturb(params), perturb_freely(free);
                perturb(cells, normals(count));
                perturb_freely(unclamped, normals(count));
            } else {
                WriteNoise::of_written_operands(params)(cells, normals(count));
                WriteNoise::of_written_operands(free)(unclamped, normals(count));
            }
            const auto [low_S, high_S] = conductance_bounds(clamp, window);
            std::size_t at_low = 0, at_high = 0;
            for (std::size_t i = 0; i < count; ++i) {
                ASSERT_EQ(cells[i], std::fmin(std::fmax(unclamped[i], low_S), high_S));
                at_low += cells[i] == low_S;
                at_high += cells[i] == high_S;
            }
            EXPECT_EQ(at_low > 0, clamp != Clamp::none);
            EXPECT_EQ(at_high > 0, clamp == Clamp::window);
        }
    }
}

TEST(Noise, of_a_conductance_that_is_not_a_number_is_not_a_number) {
    for (const Clamp clamp : {Clamp::none, Clamp::non_negative, Clamp::window}) {
        DeviceParams params;
        params.clamp = clamp;
        std::vector<float> cells{std::numeric_limits<float>::quiet_NaN()};
        ReadNoise perturb(params);
        perturb(cells, normals(1));
        EXPECT_TRUE(std::isnan(cells[0]));
        WriteNoise::of_written_operands(params)(cells, normals(1));
        EXPECT_TRUE(std::isnan(cells[0]));
    }
}

}  // namespace
}  // namespace crossweep::device
