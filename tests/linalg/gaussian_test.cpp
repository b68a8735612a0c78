// The normals that every study is made of: Random123's numbers, the right law, and named by identity alone.
#include "crossweep/linalg/gaussian.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "crossweep/core/content_hash.hpp"
#include "linalg/normal_law.hpp"

namespace crossweep::linalg {
namespace {

constexpr StreamKey key{20240610, 7};
constexpr DrawIdentity identity{0x04020003, 12, 5};

std::vector<float> draws(std::size_t count, StreamKey of_key = key, DrawIdentity row = identity) {
    std::vector<float> values(count);
    fill_normal(of_key, row, values);
    return values;
}

/// `rows` rows of `columns` draws, one after the other.
std::vector<double> sample_of(std::uint32_t rows, std::size_t columns, StreamKey of_key = key) {
    std::vector<double> sample;
    for (std::uint32_t row = 0; row < rows; ++row) {
        const auto values = draws(columns, of_key, {identity.site_layer_operand, identity.image, row});
        sample.insert(sample.end(), values.begin(), values.end());
    }
    return sample;
}

std::vector<double> scaled(std::vector<double> sample, double factor) {
    for (double& value : sample) value *= factor;
    return sample;
}

/// Kolmogorov's statistic against the standard normal law, times sqrt(n). Exceeds 2.69 with probability 1e-6:
/// sqrt(-ln(alpha / 2) / 2), the asymptotic law (Kolmogorov 1933), which holds for n > 1000.
double kolmogorov_smirnov(std::vector<double> sample) {
    std::sort(sample.begin(), sample.end());
    const auto count = static_cast<double>(sample.size());
    double largest = 0;
    for (std::size_t i = 0; i < sample.size(); ++i) {
        const double law = 0.5 * std::erfc(-sample[i] / std::sqrt(2.0));
        largest = std::max(
            {largest, law - static_cast<double>(i) / count, static_cast<double>(i + 1) / count - law});
    }
    return largest * std::sqrt(count);
}

/// Do the vectorised numbers agree with the reference's? |z| up to 5 and its angle in fp32 give some 1e-6.
/// Where u > 1/2 fp32 cannot hold (k + 1/2) / 2^24, so that u is off by up to 2^-25, and with it the radius
/// sqrt(-2 ln u) by 2^-25 / (u radius).
void expect_reference(StreamKey of_key, DrawIdentity row, std::size_t whole_groups) {
    std::vector<float> reference(64 * whole_groups);
    fill_normal_reference(of_key, row, reference);
    const auto fast = draws(reference.size(), of_key, row);
    for (std::size_t i = 0; i < fast.size(); ++i) {
        const float radius = std::hypot(reference[i], reference[i ^ 16U]);  // cosine and sine of one angle
        ASSERT_NEAR(fast[i], reference[i], 2e-6F + 0x1p-24F / radius) << i;
    }
}

TEST(FillNormal, gives_the_numbers_of_the_reference) {
    expect_reference(key, identity, 2000);
}

TEST(FillNormal, follows_the_reference_for_every_key_and_counter_word) {
    for (std::uint32_t word = 0; word < 5; ++word) {
        for (const std::uint32_t value : {0U, 1U, 0x80000000U, 0xffffffffU}) {
            std::array<std::uint32_t, 5> words{3, 1, 4, 1, 5};
            words[word] = value;
            expect_reference({words[0], words[1]}, {words[2], words[3], words[4]}, 3);
        }
    }
}

// Whatever changes these numbers changes every stored result: bump the version of the result file if it must
// be.
TEST(FillNormal, bits_are_those_of_the_stored_results) {
    const auto values = draws(1000);
    EXPECT_EQ(hash_bytes(std::as_bytes(std::span(values))).hex(), "61c5d048239595ef35c829921973dbc9");
    std::vector<std::uint32_t> first_bits;
    for (const std::size_t i : {0U, 1U, 16U, 32U, 63U, 64U})
        first_bits.push_back(std::bit_cast<std::uint32_t>(values[i]));
    EXPECT_EQ(first_bits, (std::vector<std::uint32_t>{0x3ed26b1d, 0xbecb0849, 0xbf252cb7, 0xbf5ecd8a,
                                                      0xbfce5d9b, 0xbf6237ad}));
}

TEST(FillNormal, shorter_row_is_a_prefix_of_a_longer_one) {
    const auto whole = draws(1000);
    for (const std::size_t count : {0U, 1U, 15U, 16U, 17U, 63U, 64U, 65U, 128U, 500U, 999U}) {
        const auto part = draws(count);
        EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin())) << count;
    }
}

TEST(FillNormal, writes_nothing_beyond_the_end) {
    for (const std::size_t count : {0U, 1U, 63U, 64U, 65U}) {
        std::vector<float> values(count + 64, 77.0F);
        fill_normal(key, identity, std::span(values).first(count));
        EXPECT_EQ(std::count(values.begin() + static_cast<std::ptrdiff_t>(count), values.end(), 77.0F), 64)
            << count;
    }
}

// 160 identities that differ in one bit: 64 numbers each with a resolution of 2^-24 agree by chance in far
// fewer than two places.
TEST(FillNormal, every_bit_of_the_identity_changes_every_number) {
    const auto original = draws(64);
    for (std::size_t bit = 0; bit < 160; ++bit) {
        std::array<std::uint32_t, 5> words{key.seed, key.trial, identity.site_layer_operand, identity.image,
                                           identity.row};
        words[bit / 32] ^= 1U << (bit % 32);
        const auto other = draws(64, {words[0], words[1]}, {words[2], words[3], words[4]});
        int equal = 0;
        for (std::size_t i = 0; i < 64; ++i) equal += original[i] == other[i];
        EXPECT_LE(equal, 1) << "bit " << bit;
    }
}

TEST(FillNormal, first_four_moments_are_those_of_a_normal) {
    const auto sample = sample_of(1000, 1000);
    EXPECT_TRUE(is_normal(sample, 0, 1));
    EXPECT_FALSE(is_normal(scaled(sample, 1.05), 0, 1));
    EXPECT_FALSE(is_normal(scaled(sample, 0.95), 0, 1));
}

TEST(FillNormal, distribution_is_normal) {
    const auto sample = sample_of(1000, 1000);
    EXPECT_LT(kolmogorov_smirnov(sample), 2.69);
    EXPECT_GT(kolmogorov_smirnov(scaled(sample, 1.05)), 2.69);
}

// P(|z| > 4) = 6.334e-5: 253.4 of four million, standard deviation 15.9; five of them, alpha = 6e-7. A
// deviation of 1.05 has P(|z| > 4 / 1.05) = 1.39e-4, 557.
TEST(FillNormal, tails_are_as_heavy_as_they_must_be) {
    const auto beyond_four = [](const std::vector<double>& sample) {
        return std::count_if(sample.begin(), sample.end(), [](double z) { return std::abs(z) > 4; });
    };
    const auto plausible = [](std::ptrdiff_t count) {
        return std::abs(static_cast<double>(count) - 253.4) < 5 * 15.9;
    };
    const auto sample = sample_of(4000, 1000);
    EXPECT_TRUE(plausible(beyond_four(sample)));
    EXPECT_FALSE(plausible(beyond_four(scaled(sample, 1.05))));
    const auto [least, largest] = std::minmax_element(sample.begin(), sample.end());
    EXPECT_LT(*largest, 5.9);
    EXPECT_GT(*least, -5.9);
    EXPECT_GT(*largest, 4.5);  // P(none of four million beyond 4.5) = 1e-6
    EXPECT_LT(*least, -4.5);
}

// Elements 16 apart share a radius, 32 apart a Philox block: their squares must be uncorrelated too.
TEST(FillNormal, neighbours_in_a_row_are_independent) {
    const auto sample = sample_of(1, 1 << 20);
    auto squares = sample;
    for (double& value : squares) value *= value;
    const std::size_t count = sample.size() - 1024;
    for (const std::size_t lag : {1U, 2U, 15U, 16U, 17U, 32U, 48U, 63U, 64U, 1024U}) {
        const auto head = std::span<const double>(sample).first(count);
        EXPECT_TRUE(are_uncorrelated(head, std::span<const double>(sample).subspan(lag, count))) << lag;
        EXPECT_TRUE(are_uncorrelated(std::span<const double>(squares).first(count),
                                     std::span<const double>(squares).subspan(lag, count)))
            << lag;
    }
}

TEST(FillNormal, rows_images_sites_and_keys_are_independent) {
    constexpr std::size_t count = 1 << 18;
    const auto sample = [](StreamKey of_key, DrawIdentity row) {
        const auto values = draws(count, of_key, row);
        return std::vector<double>(values.begin(), values.end());
    };
    const auto original = sample(key, identity);
    const auto [site, image, row] = identity;
    EXPECT_TRUE(are_uncorrelated(original, sample(key, {site, image, row + 1})));
    EXPECT_TRUE(are_uncorrelated(original, sample(key, {site, image + 1, row})));
    EXPECT_TRUE(are_uncorrelated(original, sample(key, {site + 1, image, row})));
    EXPECT_TRUE(are_uncorrelated(original, sample(key, {site + (1U << 24), image, row})));
    EXPECT_TRUE(are_uncorrelated(original, sample({key.seed + 1, key.trial}, identity)));
    EXPECT_TRUE(are_uncorrelated(original, sample({key.seed, key.trial + 1}, identity)));
    EXPECT_FALSE(are_uncorrelated(original, original));
    auto mixed = sample(key, {site, image, row + 1});
    for (std::size_t i = 0; i < count; ++i) mixed[i] += 0.05 * original[i];
    EXPECT_FALSE(are_uncorrelated(original, mixed));
}

// As rows are short in use, the law must also hold across many rows of a few elements.
TEST(FillNormal, first_elements_of_many_rows_are_normal) {
    for (const std::size_t columns : {1U, 33U}) {
        const auto sample = sample_of(static_cast<std::uint32_t>(200'000 / columns), columns);
        EXPECT_TRUE(is_normal(sample, 0, 1));
        EXPECT_FALSE(is_normal(scaled(sample, 1.05), 0, 1));
    }
}

}  // namespace
}  // namespace crossweep::linalg
