// The normals that every study is made of: Random123's numbers, the right law, and named by identity alone.
#include "crossweep/linalg/gaussian.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "linalg/golden_normals.hpp"
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

/// Is every number the exact quantile of its Philox word, to within the stated error?
void expect_reference(StreamKey of_key, DrawIdentity row, std::size_t whole_groups) {
    std::vector<float> reference(64 * whole_groups);
    fill_normal_reference(of_key, row, reference);
    const auto fast = draws(reference.size(), of_key, row);
    for (std::size_t i = 0; i < fast.size(); ++i) ASSERT_NEAR(fast[i], reference[i], normal_error) << i;
}

std::vector<float> normals_of(std::vector<std::uint32_t> words) {
    const std::size_t count = words.size();
    words.resize((count + normal_group - 1) / normal_group * normal_group);
    std::vector<float> normals(words.size());
    for (std::size_t i = 0; i < words.size(); i += normal_group) {
        turn_words_into_normals(std::span(words).subspan(i).first<normal_group>(),
                                std::span(normals).subspan(i).first<normal_group>());
    }
    normals.resize(count);
    return normals;
}

double largest_error(const std::vector<std::uint32_t>& words) {
    const auto normals = normals_of(words);
    double largest = 0;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const double error = std::abs(static_cast<double>(normals[i]) - normal_reference(words[i]));
        largest = std::isnan(error) ? INFINITY : std::max(largest, error);
    }
    return largest;
}

// The polynomials' error is 6e-7 in the middle of the law, so that the bound would be broken by twice as
// much.
TEST(NormalOfWord, is_the_exact_quantile_within_the_stated_error) {
    std::vector<std::uint32_t> words;
    for (std::uint64_t word = 0; word < (std::uint64_t{1} << 32);
         word += 4093)  // a prime: all low bits occur
        words.push_back(static_cast<std::uint32_t>(word));
    const double largest = largest_error(words);
    EXPECT_LT(largest, normal_error);
    EXPECT_GT(largest, normal_error / 2);
}

TEST(NormalOfWord, is_exact_at_the_extremes_and_at_the_borders_of_octaves) {
    std::vector<std::uint32_t> words{0, 0x7fffffff, 0x80000000, 0xffffffff};
    for (int octave = 0; octave < 32; ++octave) {
        for (const std::uint32_t off : {-65U, -64U, -2U, -1U, 0U, 1U, 2U, 64U, 65U}) {
            const std::uint32_t word = (1U << octave) + off;
            words.insert(words.end(), {word, 0U - word});
        }
    }
    EXPECT_LT(largest_error(words), normal_error);
}

TEST(NormalOfWord, of_the_opposite_word_is_the_opposite_number) {
    std::vector<std::uint32_t> words, opposite;
    for (std::uint32_t word = 1; word < 0x80000000U; word += 65521) {
        words.push_back(word);
        opposite.push_back(0U - word);
    }
    auto normals = normals_of(words);
    for (float& value : normals) value = -value;
    EXPECT_EQ(normals_of(opposite), normals);
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

TEST(FillNormal, bits_are_those_of_the_stored_results) {
    EXPECT_EQ(hash_of(golden_draws()), golden_hash);
    EXPECT_EQ(hash_of(golden_tails()), golden_hash_of_tails);
    const auto values = golden_draws();
    std::vector<std::uint32_t> first_bits;
    for (const std::size_t i : {0U, 1U, 16U, 32U, 63U, 64U})
        first_bits.push_back(std::bit_cast<std::uint32_t>(values[i]));
    EXPECT_EQ(first_bits, (std::vector<std::uint32_t>{0xbf29b786, 0xbf82d966, 0xbf7edc34, 0x3f00a324,
                                                      0xbef85abf, 0xbedb8574}));
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

// 160 identities that differ in one bit: 64 numbers each of 2^-24 resolution at least agree by chance in far
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

/// Ten million numbers, in which an error of scale by one per cent is found: it moves the variance by 2 %,
/// and five standard errors of that are 0.2 %.
const std::vector<double>& large_sample() {
    static const auto sample = sample_of(10'000, 1000);
    return sample;
}

TEST(FillNormal, first_four_moments_are_those_of_a_normal) {
    EXPECT_TRUE(is_normal(large_sample(), 0, 1));
    EXPECT_FALSE(is_normal(scaled(large_sample(), 1.01), 0, 1));
    EXPECT_FALSE(is_normal(scaled(large_sample(), 0.99), 0, 1));
}

// A wrong scale s moves the distribution by up to |s - 1| / sqrt(2 pi e): 7.6 of the statistic for 1 %.
TEST(FillNormal, distribution_is_normal) {
    EXPECT_LT(kolmogorov_smirnov(large_sample()), 2.69);
    EXPECT_GT(kolmogorov_smirnov(scaled(large_sample(), 1.01)), 2.69);
}

/// Are as many numbers beyond +k and beyond -k as a normal law has, to five standard deviations of the count
/// (alpha = 6e-7; 5e-5 beyond 5, where 2.9 are expected on each side)?
bool has_normal_tails(const std::vector<double>& sample, double k) {
    const double expected = static_cast<double>(sample.size()) * 0.5 * std::erfc(k / std::sqrt(2.0));
    const auto plausible = [&](auto beyond) {
        const auto count = static_cast<double>(std::count_if(sample.begin(), sample.end(), beyond));
        return std::abs(count - expected) < 5 * std::sqrt(expected);
    };
    return plausible([k](double z) { return z > k; }) && plausible([k](double z) { return z < -k; });
}

TEST(FillNormal, tails_are_as_heavy_as_they_must_be) {
    for (const double k : {1.0, 2.0, 3.0, 4.0, 5.0}) {
        EXPECT_TRUE(has_normal_tails(large_sample(), k)) << k;
        if (k < 4) {
            EXPECT_FALSE(has_normal_tails(scaled(large_sample(), 1.01), k)) << k;
        }
    }
    EXPECT_FALSE(has_normal_tails(scaled(large_sample(), 1.1), 4));
    EXPECT_FALSE(has_normal_tails(scaled(large_sample(), 1.3), 5));
    const auto [least, largest] = std::minmax_element(large_sample().begin(), large_sample().end());
    EXPECT_GT(*largest, 4.7);  // P(none of ten million beyond 4.7) = 2e-6
    EXPECT_LT(*least, -4.7);
}

// Elements 16, 32 and 48 apart share a Philox block: their squares must be uncorrelated too.
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
