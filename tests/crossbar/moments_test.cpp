// The comparison behind the tests of shortcuts: equal laws pass it, and each statistic finds an error of its
// own kind. n = 10 000 as there; a statistic may be off by 5.2 standard errors, alpha < 0.0001 for all.
#include "crossbar/moments.hpp"

#include <gtest/gtest.h>

#include <random>

namespace crossweep::crossbar {
namespace {

constexpr double limit = 5.2;

/// Eight outputs of two reads, heads and columns: independent, deviation 1 around 4.
Samples normals(std::uint64_t seed) {
    Samples samples;
    for (std::size_t i = 0; i < 8; ++i) samples.names.push_back({i / 4, i / 2 % 2, i % 2});
    std::mt19937_64 generator(seed);
    std::normal_distribution<double> normal(4, 1);
    for (std::size_t output = 0; output < 8; ++output) {
        auto& sample = samples.of_output.emplace_back(10'000);
        for (double& value : sample) value = normal(generator);
    }
    return samples;
}

/// The worst statistic of a kind if every output z of standard normals becomes `changed(z)`.
template <class Change>
double found(Statistic statistic, Change changed) {
    Samples sample = normals(1);
    for (auto& values : sample.of_output) {
        for (double& value : values) value = 4 + changed(value - 4);
    }
    return worst(differences(sample, normals(2)), statistic);
}

/// The same if output `to` has a tenth of output `from`, of the image before if they are one.
double found_dependence(Statistic statistic, std::size_t from, std::size_t to) {
    Samples sample = normals(1);
    const std::size_t lag = from == to ? 1 : 0;
    for (std::size_t image = lag; image < 10'000; ++image)
        sample.of_output[to][image] += 0.1 * sample.of_output[from][image - lag];
    return worst(differences(sample, normals(2)), statistic);
}

TEST(Moments, of_equal_laws_agree) {
    for (const Difference& difference : differences(normals(1), normals(2)))
        EXPECT_LT(difference.z, limit) << static_cast<int>(difference.statistic) << " " << difference.where;
}

TEST(Moments, each_finds_its_own_error_of_five_percent) {
    EXPECT_GT(found(Statistic::mean, [](double z) { return z + 0.05 * 4; }), limit);
    for (const double factor : {1.05, 0.95}) {
        const auto scaled = [factor](double z) { return factor * z; };
        EXPECT_GT(found(Statistic::pooled_variance, scaled), 2 * limit);
        EXPECT_GT(found(Statistic::pooled_fourth_moment, scaled), 1.5 * limit);
    }
    // The second and third Hermite polynomials change one moment and, to first order, not those below it.
    EXPECT_GT(found(Statistic::third_moment, [](double z) { return z + 0.05 * (z * z - 1); }), limit);
    EXPECT_GT(found(Statistic::fourth_moment, [](double z) { return z + 0.05 * (z * z * z - 3 * z); }),
              limit);
}

TEST(Moments, a_correlation_of_one_tenth_is_found) {
    EXPECT_GT(found_dependence(Statistic::correlation_of_columns, 0, 1), limit);
    EXPECT_GT(found_dependence(Statistic::correlation_of_heads, 0, 2), limit);
    EXPECT_GT(found_dependence(Statistic::correlation_of_reads, 0, 4), limit);
    EXPECT_GT(found_dependence(Statistic::correlation_of_images, 5, 5), limit);
}

}  // namespace
}  // namespace crossweep::crossbar
