// The laws of one cell: ideal limits, means and variances, clamps. Each check is shown to fail on a 5 %
// error.
#include "crossweep/device/noise.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "crossweep/linalg/gaussian.hpp"
#include "linalg/normal_law.hpp"

namespace crossweep::device {
namespace {

using linalg::is_normal;

constexpr ReadNoiseLaw read_laws[] = {ReadNoiseLaw::proportional, ReadNoiseLaw::constant,
                                      ReadNoiseLaw::table};
constexpr WriteNoiseLaw write_laws[] = {WriteNoiseLaw::clipformer, WriteNoiseLaw::proportional,
                                        WriteNoiseLaw::constant, WriteNoiseLaw::table};

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

/// Uneven points that do not reach the ends of the window.
const NoiseTable measured{{5e-7, 1e-6, 4e-6, 8e-6}, {2e-7, 6e-7, 5e-7, 9e-7}};

/// Straight lines between the points of `table`, its end values outside.
double interpolated(const NoiseTable& table, double conductance_S) {
    const auto& points = table.conductance_S;
    if (conductance_S <= points.front()) return table.deviation_S.front();
    if (conductance_S >= points.back()) return table.deviation_S.back();
    const auto right = static_cast<std::size_t>(
        std::upper_bound(points.begin(), points.end(), conductance_S) - points.begin());
    const double share = (conductance_S - points[right - 1]) / (points[right] - points[right - 1]);
    return (1 - share) * table.deviation_S[right - 1] + share * table.deviation_S[right];
}

/// A(G) of read noise as the documentation of the laws says, one at a time.
double read_amplitude(const DeviceParams& params, double conductance_S) {
    switch (params.read_noise_law) {
        case ReadNoiseLaw::proportional:
            return conductance_S;
        case ReadNoiseLaw::constant:
            return params.g_max_S;
        default:
            return interpolated(params.read_noise_table, conductance_S);
    }
}

/// A(G) of write noise likewise.
double write_amplitude(const DeviceParams& params, double conductance_S) {
    const double min_S = params.g_max_S / params.on_off_ratio, span_S = params.g_max_S - min_S;
    switch (params.write_noise_law) {
        case WriteNoiseLaw::clipformer:
            return std::sqrt((conductance_S - min_S) * span_S);
        case WriteNoiseLaw::proportional:
            return conductance_S;
        case WriteNoiseLaw::constant:
            return span_S;
        default:
            return interpolated(params.write_noise_table, conductance_S);
    }
}

DeviceParams with_laws(ReadNoiseLaw read, WriteNoiseLaw write) {
    DeviceParams params;
    params.read_noise_law = read;
    params.write_noise_law = write;
    params.read_noise_table = measured;
    params.write_noise_table = measured;
    return params;
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

/// Cells follow the law, and would not if the deviation that one expects were 5 % off.
void expect_law(const std::vector<double>& cells, double wanted_S, double deviation_S) {
    EXPECT_TRUE(is_normal(cells, wanted_S, deviation_S)) << wanted_S;
    EXPECT_FALSE(is_normal(cells, wanted_S, 1.05 * deviation_S)) << wanted_S;
    EXPECT_FALSE(is_normal(cells, wanted_S, 0.95 * deviation_S)) << wanted_S;
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
    for (const ReadNoiseLaw law : read_laws) {
        DeviceParams params = with_laws(law, WriteNoiseLaw::clipformer);
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
}

TEST(ReadNoise, of_every_law_has_its_mean_and_variance) {
    for (const ReadNoiseLaw law : read_laws) {
        const DeviceParams params = with_laws(law, WriteNoiseLaw::clipformer);
        for (const float conductance_S : {1e-7F, 7e-7F, 3e-6F, 1e-5F}) {
            const double wanted_S = static_cast<double>(conductance_S);
            const double deviation_S = params.read_noise_sigma * read_amplitude(params, wanted_S);
            expect_law(noisy(ReadNoise(params), conductance_S), wanted_S, deviation_S);
        }
    }
}

// Longer than two blocks of the table's kernel, with a rest.
TEST(ReadNoise, amplitude_is_what_sigma_multiplies) {
    constexpr std::size_t cells = 1300;
    const auto normal = normals(cells);
    for (const ReadNoiseLaw law : read_laws) {
        const DeviceParams params = with_laws(law, WriteNoiseLaw::clipformer);
        const ReadNoise noise(params);
        const auto wanted = ramp(conductance_window(params), cells);
        std::vector<float> amplitude(cells), in_place = wanted, read = wanted;
        noise.amplitude(wanted, amplitude);
        noise.amplitude(in_place, in_place);
        noise(read, normal);
        EXPECT_EQ(in_place, amplitude);
        for (std::size_t i = 0; i < cells; ++i) {
            const double expected_S = read_amplitude(params, static_cast<double>(wanted[i]));
            ASSERT_NEAR(static_cast<double>(amplitude[i]), expected_S, 1e-6 * expected_S + 1e-13);
            ASSERT_NEAR(static_cast<double>(read[i] - wanted[i]),
                        params.read_noise_sigma * expected_S * static_cast<double>(normal[i]), 2e-12);
        }
    }
}

TEST(MeasuredAmplitude, of_one_point_is_the_same_everywhere) {
    DeviceParams params = with_laws(ReadNoiseLaw::table, WriteNoiseLaw::clipformer);
    params.read_noise_table = {{3e-6}, {4e-7}};
    std::vector<float> amplitude = ramp(conductance_window(params), 100);
    ReadNoise(params).amplitude(amplitude, amplitude);
    EXPECT_EQ(amplitude, std::vector<float>(100, 4e-7F));
}

TEST(MeasuredAmplitude, has_the_values_of_the_table_at_its_points_and_the_end_values_outside) {
    const DeviceParams params = with_laws(ReadNoiseLaw::table, WriteNoiseLaw::clipformer);
    std::vector<float> amplitude{-1e-6F, 0.0F, 5e-7F, 1e-6F, 2.5e-6F, 4e-6F, 8e-6F, 1e-5F, 1.0F};
    ReadNoise(params).amplitude(amplitude, amplitude);
    const std::vector<float> expected{2e-7F, 2e-7F, 2e-7F, 6e-7F, 5.5e-7F, 5e-7F, 9e-7F, 9e-7F, 9e-7F};
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(amplitude[i], expected[i], 1e-13F) << i;
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

TEST(WriteNoise, of_every_law_without_sigma_changes_nothing) {
    for (const WriteNoiseLaw law : write_laws) {
        DeviceParams params = with_laws(ReadNoiseLaw::proportional, law);
        params.write_noise_sigma = 0;
        for (const Clamp clamp : {Clamp::none, Clamp::non_negative, Clamp::window}) {
            params.clamp = clamp;
            const auto wanted = ramp(conductance_window(params), 1001);
            auto cells = wanted;
            WriteNoise::of_written_operands(params)(cells, normals(cells.size()));
            EXPECT_EQ(cells, wanted);
        }
    }
}

TEST(WriteNoise, of_every_law_has_its_mean_and_variance) {
    for (const WriteNoiseLaw law : write_laws) {
        const DeviceParams params = with_laws(ReadNoiseLaw::proportional, law);
        const double sigma = params.write_noise_factor * params.write_noise_sigma;
        for (const float conductance_S : {2e-7F, 7e-7F, 3e-6F, 1e-5F}) {
            const double wanted_S = static_cast<double>(conductance_S);
            const double deviation_S = sigma * write_amplitude(params, wanted_S);
            expect_law(noisy(WriteNoise::of_written_operands(params), conductance_S), wanted_S, deviation_S);
        }
    }
}

TEST(WriteNoise, is_drawn_for_each_cell_of_a_long_row_by_its_own_number) {
    constexpr std::size_t cells = 1300;
    const auto normal = normals(cells);
    for (const WriteNoiseLaw law : write_laws) {
        const DeviceParams params = with_laws(ReadNoiseLaw::proportional, law);
        const double sigma = params.write_noise_factor * params.write_noise_sigma;
        const auto wanted = ramp(conductance_window(params), cells);
        auto written = wanted;
        WriteNoise::of_written_operands(params)(written, normal);
        for (std::size_t i = 1; i < cells; ++i) {
            const double deviation_S = sigma * write_amplitude(params, static_cast<double>(wanted[i]));
            ASSERT_NEAR(static_cast<double>(written[i] - wanted[i]),
                        deviation_S * static_cast<double>(normal[i]), 4e-12);
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

TEST(Clamp, keeps_noisy_conductances_of_every_law_within_its_bounds) {
    const auto expect_within = [](const auto& noise, const auto& free_noise, ConductanceBounds bounds) {
        const auto cells = noisy(noise, 5e-6F), unclamped = noisy(free_noise, 5e-6F);
        const double low_S = static_cast<double>(bounds.low_S), high_S = static_cast<double>(bounds.high_S);
        std::size_t at_low = 0, at_high = 0;
        for (std::size_t i = 0; i < count; ++i) {
            ASSERT_EQ(cells[i], std::fmin(std::fmax(unclamped[i], low_S), high_S));
            at_low += cells[i] == low_S ? 1U : 0U;
            at_high += cells[i] == high_S ? 1U : 0U;
        }
        EXPECT_EQ(at_low > 0, std::isfinite(low_S));
        EXPECT_EQ(at_high > 0, std::isfinite(high_S));
    };
    for (const Clamp clamp : {Clamp::none, Clamp::non_negative, Clamp::window}) {
        for (const WriteNoiseLaw law : write_laws) {
            DeviceParams free = with_laws(ReadNoiseLaw::proportional, law);
            free.write_noise_factor = 60;
            DeviceParams params = free;
            params.clamp = clamp;
            expect_within(WriteNoise::of_written_operands(params), WriteNoise::of_written_operands(free),
                          conductance_bounds(clamp, conductance_window(params)));
        }
        for (const ReadNoiseLaw law : read_laws) {
            DeviceParams free = with_laws(law, WriteNoiseLaw::clipformer);
            free.read_noise_sigma = 5;
            DeviceParams params = free;
            params.clamp = clamp;
            expect_within(ReadNoise(params), ReadNoise(free),
                          conductance_bounds(clamp, conductance_window(params)));
        }
    }
}

TEST(Noise, of_a_conductance_that_is_not_a_number_is_not_a_number) {
    for (const Clamp clamp : {Clamp::none, Clamp::non_negative, Clamp::window}) {
        for (const ReadNoiseLaw law : read_laws) {
            DeviceParams params = with_laws(law, WriteNoiseLaw::clipformer);
            params.clamp = clamp;
            EXPECT_TRUE(std::isnan(noisy(ReadNoise(params), std::nanf("")).front()));
        }
        for (const WriteNoiseLaw law : write_laws) {
            DeviceParams params = with_laws(ReadNoiseLaw::proportional, law);
            params.clamp = clamp;
            EXPECT_TRUE(std::isnan(noisy(WriteNoise::of_written_operands(params), std::nanf("")).front()));
        }
    }
}

}  // namespace
}  // namespace crossweep::device
