// One normal per output against one per device: the same law, by brute force.
#include "crossweep/crossbar/read_law.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "crossweep/device/noise.hpp"
#include "linalg/normal_law.hpp"
#include "linalg/normal_matrix.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::are_uncorrelated;
using linalg::const_view;
using linalg::is_normal;
using linalg::Matrix;

constexpr Index inputs = 24, columns = 3;
constexpr std::size_t reads = 40'000;  // 5 standard errors of the variance: 3.5 %; of a correlation: 0.025
constexpr float sigma = 0.2F;

/// Currents of every read of each column; conductances and inputs in units of their largest.
using Currents = std::array<std::vector<double>, columns>;

/// x:[inputs]  G:[inputs, columns]
struct Crossbar {
    Matrix x = linalg::normal_matrix(1, inputs, 1);
    Matrix conductance = linalg::normal_matrix(inputs, columns, 2).cwiseAbs();

    double mean(Index column) const { return static_cast<double>((x * conductance.col(column)).value()); }
    double deviation(Index column) const {
        double sum = 0;
        for (Index i = 0; i < inputs; ++i) {
            const double term = static_cast<double>(x(0, i)) * static_cast<double>(conductance(i, column));
            sum += term * term;
        }
        return static_cast<double>(sigma) * std::sqrt(sum);
    }
};

/// Every device of every read has its own number.
Currents brute_force(const Crossbar& crossbar, double sigma_factor) {
    device::DeviceParams params;
    params.read_noise_sigma = static_cast<double>(sigma) * sigma_factor;
    device::ReadNoise perturb(params);
    Currents currents;
    std::vector<float> normal(inputs * columns);
    for (std::uint32_t read = 0; read < reads; ++read) {
        Matrix noisy = crossbar.conductance;
        linalg::fill_normal({1, 2}, {3, 4, read}, normal);
        perturb({noisy.data(), normal.size()}, normal);
        const Matrix current = crossbar.x * noisy;
        for (std::size_t c = 0; c < columns; ++c) {
            currents[c].push_back(static_cast<double>(current(0, static_cast<Index>(c))));
        }
    }
    return currents;
}

/// Every output of every read has its own number.
Currents by_law(const Crossbar& crossbar, float sigma_factor) {
    Matrix squared_x(1, inputs), squared_conductance(inputs, columns);
    square(const_view(crossbar.x), linalg::view(squared_x));
    square(const_view(crossbar.conductance), linalg::view(squared_conductance));
    const Matrix exact = crossbar.x * crossbar.conductance, squares = squared_x * squared_conductance;
    Currents currents;
    std::vector<float> normal(columns);
    for (std::uint32_t read = 0; read < reads; ++read) {
        Matrix current = exact;
        linalg::fill_normal({1, 3}, {3, 4, read}, normal);
        add_read_noise({current.data(), columns}, {squares.data(), columns}, normal, sigma * sigma_factor);
        for (std::size_t c = 0; c < columns; ++c) {
            currents[c].push_back(static_cast<double>(current(0, static_cast<Index>(c))));
        }
    }
    return currents;
}

/// Mean, variance, third and fourth moment of every column are those of the law.
bool has_law(const Currents& currents, const Crossbar& crossbar) {
    bool agrees = true;
    for (std::size_t c = 0; c < columns; ++c) {
        const auto column = static_cast<Index>(c);
        agrees = agrees && is_normal(currents[c], crossbar.mean(column), crossbar.deviation(column));
    }
    return agrees;
}

/// No correlation between columns, nor between one read and the next.
bool is_independent(const Currents& currents) {
    bool independent = true;
    for (std::size_t c = 0; c < columns; ++c) {
        const std::span<const double> column(currents[c]);
        independent = independent && are_uncorrelated(column.first(reads - 1), column.subspan(1)) &&
                      are_uncorrelated(column, currents[(c + 1) % columns]);
    }
    return independent;
}

TEST(ReadLaw, is_that_of_the_brute_force_draw_for_every_device) {
    const Crossbar crossbar;
    const Currents every_device = brute_force(crossbar, 1), every_output = by_law(crossbar, 1);
    EXPECT_TRUE(has_law(every_device, crossbar));
    EXPECT_TRUE(has_law(every_output, crossbar));
    EXPECT_TRUE(is_independent(every_device));
    EXPECT_TRUE(is_independent(every_output));
}

TEST(ReadLaw, planted_error_of_five_percent_is_found) {
    const Crossbar crossbar;
    EXPECT_FALSE(has_law(brute_force(crossbar, 1.05), crossbar));
    EXPECT_FALSE(has_law(brute_force(crossbar, 0.95), crossbar));
    EXPECT_FALSE(has_law(by_law(crossbar, 1.05F), crossbar));
    EXPECT_FALSE(has_law(by_law(crossbar, 0.95F), crossbar));
    Crossbar other = crossbar;
    other.x *= 1.05F;
    EXPECT_FALSE(has_law(by_law(other, 1), crossbar));
}

TEST(ReadLaw, planted_correlation_of_five_percent_is_found) {
    const Crossbar crossbar;
    Currents between_columns = by_law(crossbar, 1), between_reads = between_columns;
    const double ratio = crossbar.deviation(1) / crossbar.deviation(0);
    for (std::size_t read = 0; read < reads; ++read) {
        between_columns[1][read] += 0.05 * ratio * between_columns[0][read];
        if (read > 0) between_reads[0][read] += 0.05 * between_reads[0][read - 1];
    }
    EXPECT_FALSE(is_independent(between_columns));
    EXPECT_FALSE(is_independent(between_reads));
}

TEST(ReadLaw, adds_sigma_times_the_root_of_the_sum_of_squares) {
    std::vector<float> output{1, 2, 3};
    add_read_noise(output, std::vector<float>{4, 9, 16}, std::vector<float>{1, -1, 0}, 0.5F);
    EXPECT_EQ(output, (std::vector<float>{2, 0.5F, 3}));
}

TEST(ReadLaw, without_sigma_changes_nothing) {
    std::vector<float> output{1, 2, 3};
    add_read_noise(output, std::vector<float>{4, 9, 0}, std::vector<float>{1, -1, 2}, 0.0F);
    EXPECT_EQ(output, (std::vector<float>{1, 2, 3}));
}

}  // namespace
}  // namespace crossweep::crossbar
