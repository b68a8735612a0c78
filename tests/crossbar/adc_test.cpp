// Converters of columns: ranges, steps, clipping, rounding, and the errors that a chip gives them.
#include "crossweep/crossbar/adc.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "crossbar/chip.hpp"
#include "crossweep/core/error.hpp"
#include "linalg/normal_law.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::Role;

/// 64 rows of 2-bit cells, one input bit a cycle: a full range of 192.
CrossbarParams converters(std::uint32_t bits, AdcRange range = AdcRange::full) {
    CrossbarParams params;
    params.adc_bits = bits;
    params.adc_range = range;
    return params;
}

CellLayout two_bit_cells() {
    return cell_layout(Fidelity::circuit, Mapping::differential, 2, 255, 255);
}

constexpr StreamKey chip{7, 0};
ColumnBank bank(Index row_tiles = 1, Index outputs = 8, StreamKey key = chip) {
    return {key, LayerId(1), Role::mlp_in, row_tiles, outputs};
}

AdcBank make(const CrossbarParams& params, const AdcRanges* ranges = nullptr) {
    return {params, two_bit_cells(), ranges, bank()};
}

/// What one cycle of weight 1 makes of `sums`, at the columns from `first` on.
std::vector<float> converted(const AdcBank& adc, const std::vector<float>& sums, const Plane& plane = {},
                             Index tile = 0, Index first = 0) {
    const Cycle cycle{Cycle::Of::code, 0, 1, 1.0F};
    std::vector<double> out(sums.size());
    adc.convert(plane, tile, first, {&cycle, 1}, sums, out);
    for (double& sum : out) sum /= static_cast<double>(plane.significance);
    return {out.begin(), out.end()};
}

TEST(FullRange, is_the_sum_of_a_whole_column_with_all_inputs_at_their_largest) {
    CrossbarParams params;
    EXPECT_EQ(full_range(params, 3), 192);  // 64 rows of digit 3, input bits
    EXPECT_EQ(full_range(params, 15), 960);
    params.dac_bits = 2;
    EXPECT_EQ(full_range(params, 3), 576);
    params.array_rows = 128;
    EXPECT_EQ(full_range(params, 3), 1152);
    params.dac_bits = 12;  // inputs of 8 bits have no more than 7 bits of magnitude
    EXPECT_EQ(full_range(params, 3), 128 * 3 * 127);
}

TEST(AdcBank, step_divides_the_range_into_its_codes) {
    EXPECT_FLOAT_EQ(make(converters(6)).step(0), 192.0F / 63);
    EXPECT_FLOAT_EQ(make(converters(4)).step(0), 12.8F);
    EXPECT_FLOAT_EQ(make(converters(1)).step(0), 192.0F);
    CrossbarParams half = converters(6, AdcRange::given);
    half.adc_range_top = 96;
    EXPECT_FLOAT_EQ(make(half).step(0), 96.0F / 63);
}

TEST(AdcBank, step_is_never_finer_than_one_level) {
    for (const std::uint32_t bits : {8U, 10U, 16U}) EXPECT_EQ(make(converters(bits)).step(0), 1.0F) << bits;
}

TEST(AdcBank, explicit_range_is_taken_as_it_is) {
    CrossbarParams narrow = converters(6, AdcRange::given);
    narrow.adc_range_top = 6.3;
    EXPECT_FLOAT_EQ(make(narrow).step(0), 0.1F);
    EXPECT_NEAR(converted(make(narrow), {100})[0], 6.3F, 1e-5F);
}

TEST(AdcBank, what_is_not_a_number_stays_so) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CrossbarParams with_errors = converters(6);
    with_errors.adc_gain_sigma = 0.1;
    for (const CrossbarParams& params : {converters(6), converters(0), with_errors})
        EXPECT_TRUE(std::isnan(converted(make(params), {1, nan})[1]));
}

TEST(AdcBank, of_8_bits_is_exact_for_64_rows_of_2_bit_cells) {
    const AdcBank adc = make(converters(8));
    for (float sum = 0; sum <= 192; ++sum) EXPECT_EQ(converted(adc, {sum}), std::vector{sum});
}

TEST(AdcBank, rounds_to_the_nearest_step) {
    const AdcBank adc = make(converters(6));
    const double step = 192.0 / 63;
    double worst = 0;
    for (int sum = 0; sum <= 192; ++sum) {
        const double code = std::nearbyint(sum / step);
        const float out = converted(adc, {static_cast<float>(sum)})[0];
        EXPECT_NEAR(out, code * step, 1e-4) << sum;
        worst = std::max(worst, std::abs(static_cast<double>(out) - sum));
    }
    EXPECT_LE(worst, step / 2 + 1e-4);
    EXPECT_GT(worst, 0.45 * step);
}

TEST(AdcBank, clips_at_its_top_and_at_zero) {
    CrossbarParams params = converters(6, AdcRange::given);
    params.adc_range_top = 63;  // step 1
    const AdcBank adc = make(params);
    EXPECT_EQ(converted(adc, {-100, -1, -0.4F, 0, 62, 63, 64, 192}),
              (std::vector<float>{0, 0, 0, 0, 62, 63, 63, 63}));
}

TEST(AdcBank, without_bits_passes_every_sum) {
    const AdcBank adc = make(converters(0));
    EXPECT_EQ(adc.step(0), 1.0F);
    EXPECT_EQ(converted(adc, {-7.25F, 0.1F, 1000}), (std::vector<float>{-7.25F, 0.1F, 1000}));
}

TEST(AdcBank, adds_the_codes_of_the_cycles_by_their_weights_after_conversion) {
    CrossbarParams params = converters(1, AdcRange::given);
    params.adc_range_top = 10;  // codes 0 and 1, step 10
    const AdcBank adc = make(params);
    const std::vector<Cycle> cycles{
        {Cycle::Of::code, 2, 1, -4}, {Cycle::Of::code, 0, 1, 1}, {Cycle::Of::code, 1, 1, 2}};
    std::vector<double> out(2);
    adc.convert({}, 0, 0, cycles, std::vector<float>{9, 4, 6, 30, 2, 8}, out);  // [cycle, column]
    EXPECT_DOUBLE_EQ(out[0], 10 * (-4 * 1 + 1 * 1 + 2 * 0));
    EXPECT_DOUBLE_EQ(out[1], 10 * (-4 * 0 + 1 * 1 + 2 * 1));
}

TEST(AdcBank, adds_to_the_total_by_the_significance_of_the_plane) {
    const AdcBank adc = make(converters(8));
    const Cycle cycle{Cycle::Of::code, 0, 1, 1.0F};
    const Plane negative_sixteens{.significance = -16};
    std::vector<double> total{100, 0.5};
    adc.convert(negative_sixteens, 0, 0, {&cycle, 1}, std::vector<float>{3, 2}, total);
    EXPECT_EQ(total, (std::vector<double>{100 - 48, 0.5 - 32}));
}

// Codes of 16 bits in 16 cycles do not fit the mantissa of fp32; those of 6 bits in 8 cycles do.
TEST(AdcBank, codes_add_up_exactly_however_long_they_are) {
    CrossbarParams params = converters(16, AdcRange::given);
    params.input_bits = 16;
    params.adc_range_top = 65535;  // step 1
    const AdcBank adc = make(params);
    std::vector<Cycle> cycles;
    std::vector<float> sums;
    double expected = 0;
    for (std::uint32_t bit = 0; bit < 15; ++bit) {
        cycles.push_back({Cycle::Of::code, bit, 1, static_cast<float>(1U << bit)});
        sums.push_back(static_cast<float>(65535 - bit));
        expected += static_cast<double>(65535 - bit) * static_cast<double>(1U << bit);
    }
    std::vector<double> total(1);
    adc.convert({}, 0, 0, cycles, sums, total);
    EXPECT_EQ(total[0], expected);
}

/// Gains and offsets of many columns, seen from outside: of two sums far from the ends of the range, in steps
/// that are much finer than the errors.
struct Errors {
    std::vector<double> gain, offset;
};
Errors errors_of(const CrossbarParams& params, StreamKey key = chip) {
    const CellLayout layout = two_bit_cells();
    const Index tiles = 4, outputs = 500;
    const AdcBank adc(params, layout, nullptr, bank(tiles, outputs, key));
    const std::vector<float> low(static_cast<std::size_t>(outputs), 20'000),
        high(static_cast<std::size_t>(outputs), 80'000);
    Errors errors;
    for (Index tile = 0; tile < tiles; ++tile) {
        for (const Plane& plane : layout.planes) {
            const auto of_low = converted(adc, low, plane, tile), of_high = converted(adc, high, plane, tile);
            for (std::size_t i = 0; i < low.size(); ++i) {
                const double gain =
                    (static_cast<double>(of_high[i]) - static_cast<double>(of_low[i])) / 60'000;
                errors.gain.push_back(gain);
                errors.offset.push_back(static_cast<double>(of_low[i]) - gain * 20'000);
            }
        }
    }
    return errors;
}

/// 2^17 codes for a range of 192 x 683: one code per unit, and rounding far below the errors.
CrossbarParams fine_converters() {
    CrossbarParams params = converters(17);
    params.array_rows = 64 * 683;
    return params;
}

// 4 tiles x 8 planes x 500 outputs = 16 000 columns: 5 standard errors of the variance are 5.6 %, so that a
// deviation that is 5 % off is found.
TEST(AdcBank, errors_have_the_deviations_that_are_set_and_no_mean) {
    CrossbarParams params = fine_converters();
    params.adc_gain_sigma = 0.02;
    EXPECT_TRUE(linalg::is_normal(errors_of(params).gain, 1, 0.02));
    EXPECT_FALSE(linalg::is_normal(errors_of(params).gain, 1, 1.05 * 0.02));
    EXPECT_FALSE(linalg::is_normal(errors_of(params).gain, 1, 0.95 * 0.02));

    params.adc_gain_sigma = 0;
    params.adc_offset_sigma = 300;
    EXPECT_TRUE(linalg::is_normal(errors_of(params).offset, 0, 300));
    EXPECT_FALSE(linalg::is_normal(errors_of(params).offset, 0, 1.05 * 300));
    EXPECT_FALSE(linalg::is_normal(errors_of(params).offset, 0, 0.95 * 300));
}

TEST(AdcBank, errors_differ_between_columns_planes_row_tiles_and_gain_and_offset) {
    CrossbarParams params = fine_converters();
    params.adc_gain_sigma = 0.02;
    params.adc_offset_sigma = 300;
    const Errors errors = errors_of(params);
    const std::span<const double> gain(errors.gain);
    EXPECT_TRUE(linalg::are_uncorrelated(gain.first(gain.size() - 1), gain.subspan(1)));
    EXPECT_TRUE(linalg::are_uncorrelated(gain.first(gain.size() - 500), gain.subspan(500)));    // planes
    EXPECT_TRUE(linalg::are_uncorrelated(gain.first(gain.size() - 4000), gain.subspan(4000)));  // row tiles
    EXPECT_TRUE(linalg::are_uncorrelated(gain, errors.offset));
}

TEST(AdcBank, errors_are_the_chips) {
    CrossbarParams params = fine_converters();
    params.adc_gain_sigma = 0.02;
    params.adc_offset_sigma = 300;
    const Errors errors = errors_of(params), again = errors_of(params);
    EXPECT_EQ(errors.gain, again.gain);
    EXPECT_EQ(errors.offset, again.offset);
    const Errors of_another = errors_of(params, {chip.seed, 1});
    EXPECT_TRUE(linalg::are_uncorrelated(errors.gain, of_another.gain));
    EXPECT_TRUE(linalg::are_uncorrelated(errors.offset, of_another.offset));
}

TEST(AdcBank, column_keeps_its_error_wherever_a_conversion_starts) {
    CrossbarParams params = fine_converters();
    params.adc_gain_sigma = 0.02;
    const AdcBank adc(params, two_bit_cells(), nullptr, bank(2, 100));
    const auto all = converted(adc, std::vector<float>(100, 50'000), {}, 1);
    const auto some = converted(adc, std::vector<float>(30, 50'000), {}, 1, 64);
    EXPECT_EQ(some, std::vector<float>(all.begin() + 64, all.begin() + 94));
}

/// Everything that a noiseless chip with wrong converters gives for an image.
Products of_wrong_converters(std::uint32_t trial, ImageId image, std::uint32_t array_columns = 64) {
    ChipParams params = noiseless_chip(Fidelity::circuit);
    params.crossbar.adc_bits = 8;
    params.crossbar.adc_gain_sigma = 0.1;
    params.crossbar.adc_offset_sigma = 1;
    params.crossbar.array_columns = array_columns;
    params.key.trial = trial;
    return noisy_products(params, image);
}

TEST(AdcErrors, are_the_same_for_every_image_and_others_in_another_trial) {
    const Products products = of_wrong_converters(0, ImageId(0));
    EXPECT_EQ(of_wrong_converters(0, ImageId(5)), products);
    const Products of_another = of_wrong_converters(1, ImageId(0));
    for (const auto product : {&Products::qkv, &Products::mlp, &Products::scores, &Products::context})
        EXPECT_NE(of_another.*product, products.*product);
}

// Two arrays behind each other hold the same weights; inputs go to the one or to the other.
TEST(AdcErrors, are_those_of_the_array_that_is_read) {
    const BlockShape shape{.tokens = 2, .width = 8, .hidden = 3, .heads = 1};
    ChipParams params = noiseless_chip(Fidelity::circuit);
    params.crossbar.array_rows = 4;
    params.crossbar.adc_bits = 8;
    params.crossbar.adc_gain_sigma = 0.3;
    Chip wrong(params, std::make_unique<BlockWeights>(shape, linalg::Matrix::Ones(24, 8),
                                                      linalg::Matrix::Constant(3, 8, 255)));
    linalg::Matrix x = linalg::Matrix::Zero(2, 8), y(2, 3);
    x.row(0).head(4).setConstant(127);
    x.row(1).tail(4).setConstant(127);
    wrong.engine().multiply(1, linalg::const_view(x), linalg::view(y));
    for (Index output = 0; output < 3; ++output) EXPECT_NE(y(0, output), y(1, output));
}

// Columns have their converters by their number in the operand, so that narrower arrays change nothing.
TEST(AdcErrors, do_not_depend_on_the_width_of_the_arrays) {
    EXPECT_EQ(of_wrong_converters(0, ImageId(0), 5), of_wrong_converters(0, ImageId(0)));
}

/// Smallest of the sums that `percentile` % of them do not exceed.
double percentile_by_sorting(std::vector<float> sums, double percentile) {
    std::sort(sums.begin(), sums.end());
    const auto rank =
        static_cast<std::size_t>(std::ceil(percentile * static_cast<double>(sums.size()) / 100 - 1e-6));
    return static_cast<double>(sums[std::max<std::size_t>(rank, 1) - 1]);
}

/// Whole numbers from 0 to 192, few of them large.
std::vector<float> many_sums(std::uint32_t name) {
    std::vector<float> sums(10'000);
    linalg::fill_normal({3, 1}, {name, 0, 0}, sums);
    for (float& sum : sums) sum = std::floor(std::min(40 * std::abs(sum), 192.0F));
    return sums;
}

// 4096 bins for 192: the end of a bin is at most 192 / 4096 = 0.05 above a sum.
TEST(SumHistogram, percentile_is_that_of_the_sorted_sums_up_to_a_bin) {
    SumHistogram histogram(192);
    std::vector<float> of_slice[2] = {many_sums(0), many_sums(1)};
    for (float& sum : of_slice[1]) sum = 0.3F * sum;
    for (const std::uint32_t slice : {0U, 1U}) {
        const std::span<const float> sums(of_slice[slice]);
        histogram.add(slice, sums.first(3000));
        histogram.add(slice, sums.subspan(3000));
    }
    for (const double percentile : {0.1, 1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
        const auto tops = histogram.tops(percentile);
        ASSERT_EQ(tops.size(), 2U);
        for (const std::size_t slice : {0U, 1U}) {
            const double sorted = percentile_by_sorting(of_slice[slice], percentile);
            EXPECT_GE(tops[slice], sorted - 1e-3) << percentile;
            EXPECT_LT(tops[slice], sorted + 192.0 / 4096 + 1e-3) << percentile;
        }
    }
}

TEST(SumHistogram, of_zeros_has_its_top_at_zero_and_beyond_the_range_at_its_end) {
    SumHistogram histogram(192);
    histogram.add(0, std::vector<float>{0, 0, 0});
    histogram.add(1, std::vector<float>{500, 500});
    EXPECT_EQ(histogram.tops(99.9), (std::vector<double>{0, 192}));
}

/// Whole numbers are ends of bins if there are at least as many bins.
TEST(SumHistogram, whole_sums_of_a_range_that_divides_the_bins_are_exact) {
    SumHistogram histogram(128);
    std::vector<float> sums(129);
    std::iota(sums.begin(), sums.end(), 0.0F);
    histogram.add(0, sums);
    for (int i = 0; i <= 128; ++i) EXPECT_EQ(histogram.tops(100 * (i + 0.5) / 129)[0], i);
}

TEST(AdcRanges, set_the_step_of_every_slice) {
    AdcRanges ranges;
    ranges.set(LayerId(1), Role::mlp_in, {63, 126, 31.5, 0});
    ranges.set(LayerId(2), Role::mlp_in, {1000, 1000, 1000, 1000});
    const AdcBank adc = make(converters(6, AdcRange::calibrated), &ranges);
    EXPECT_FLOAT_EQ(adc.step(0), 1.0F);
    EXPECT_FLOAT_EQ(adc.step(1), 2.0F);
    EXPECT_FLOAT_EQ(adc.step(2), 1.0F);  // not 0.5: never finer than one level
    EXPECT_FLOAT_EQ(adc.step(3), 1.0F);
}

TEST(AdcRanges, that_are_missing_are_refused) {
    AdcRanges ranges;
    ranges.set(LayerId(1), Role::mlp_out, {63});
    EXPECT_THROW(make(converters(6, AdcRange::calibrated), &ranges), InternalError);
}

// Weights of 255 are digit 3 in every slice, and inputs of 127 are seven bits and no sign: 6 of 8 cycles see
// 3 x 5 rows, the sign's sees none, and the negative planes see nothing at all.
TEST(Calibration, takes_the_percentile_of_the_sums_of_known_products) {
    const BlockShape shape{.tokens = 2, .width = 5, .hidden = 3, .heads = 1};
    ChipParams params = noiseless_chip(Fidelity::circuit);
    SumHistograms histograms;
    params.histograms = &histograms;
    const linalg::Matrix full = linalg::Matrix::Constant(3, 5, 255);
    Chip calibrated(params,
                    std::make_unique<BlockWeights>(shape, linalg::Matrix::Constant(15, 5, 255), full));
    const linalg::Matrix x = linalg::Matrix::Constant(2, 5, 127);
    linalg::Matrix y(2, 3);
    calibrated.engine().multiply(1, linalg::const_view(x), linalg::view(y));
    ASSERT_EQ(histograms.size(), 1U);
    const auto& [key, histogram] = *histograms.begin();
    EXPECT_EQ(key, AdcRanges::Key(2, static_cast<std::uint32_t>(Role::mlp_in)));
    // Half of the sums are of negative planes, and one in eight of the others is the sign's: 7 / 16 are 15.
    for (const double top : histogram.tops(100)) EXPECT_NEAR(top, 15, 192.0 / 4096);
    for (const double top : histogram.tops(57)) EXPECT_NEAR(top, 15, 192.0 / 4096);
    for (const double top : histogram.tops(56)) EXPECT_EQ(top, 0);
}

}  // namespace
}  // namespace crossweep::crossbar
