// Codes on cells: digits of all planes give every code back, and no more slices are taken than it needs.
#include "crossweep/crossbar/cell_layout.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "crossweep/crossbar/mapped_operand.hpp"
#include "crossweep/device/noise.hpp"

namespace crossweep::crossbar {
namespace {

/// Every code from 0 to `largest`, each with both signs.
struct SignedCodes {
    std::vector<float> code, sign;
    explicit SignedCodes(int largest) {
        for (int value = -largest; value <= largest; ++value) {
            code.push_back(static_cast<float>(std::abs(value)));
            sign.push_back(value < 0 ? -0.25F : 0.25F);
        }
        code.push_back(0);
        sign.push_back(-0.25F);
    }
};

std::vector<float> digits(const CellLayout& layout, const Plane& plane, const SignedCodes& codes) {
    std::vector<float> digit(codes.code.size());
    to_digit(layout, plane, codes.code, codes.sign, digit);
    return digit;
}

constexpr Fidelity with_slices[] = {Fidelity::sliced, Fidelity::circuit};
constexpr Mapping mappings[] = {Mapping::differential, Mapping::offset};

/// A place in the loops below, for messages.
std::string place(Mapping mapping, std::uint32_t bits, int largest) {
    return (mapping == Mapping::offset ? "offset, " : "differential, ") + std::to_string(bits) +
           " bits, largest code " + std::to_string(largest);
}

template <class Check>
void for_every_layout(Check&& check) {
    for (const Fidelity fidelity : with_slices) {
        for (const Mapping mapping : mappings) {
            for (std::uint32_t bits = 1; bits <= 4; ++bits) {
                for (const int largest : {1, 3, 15, 62, 63, 100, 255, 1023}) {
                    SCOPED_TRACE(place(mapping, bits, largest));
                    const auto code = static_cast<float>(largest);
                    check(cell_layout(fidelity, mapping, bits, code, code), SignedCodes(largest));
                }
            }
        }
    }
}

TEST(CellLayout, digits_times_significance_less_the_shift_are_the_signed_code) {
    for_every_layout([](const CellLayout& layout, const SignedCodes& codes) {
        std::vector<double> sum(codes.code.size(), -static_cast<double>(layout.shift));
        for (const Plane& plane : layout.planes) {
            const auto digit = digits(layout, plane, codes);
            for (std::size_t i = 0; i < sum.size(); ++i)
                sum[i] += static_cast<double>(plane.significance) * static_cast<double>(digit[i]);
        }
        for (std::size_t i = 0; i < sum.size(); ++i) {
            const double sign = codes.sign[i] < 0 ? -1 : 1;
            ASSERT_EQ(sum[i], sign * static_cast<double>(codes.code[i]));
        }
    });
}

TEST(CellLayout, digits_are_whole_numbers_that_a_cell_can_hold) {
    for_every_layout([](const CellLayout& layout, const SignedCodes& codes) {
        for (const Plane& plane : layout.planes) {
            for (const float digit : digits(layout, plane, codes)) {
                ASSERT_EQ(digit, std::floor(digit));
                ASSERT_GE(digit, 0.0F);
                ASSERT_LE(digit, layout.largest_digit);
            }
        }
    });
}

TEST(CellLayout, every_slice_is_used_by_some_code) {
    for_every_layout([](const CellLayout& layout, const SignedCodes& codes) {
        for (const Plane& plane : layout.planes) {
            const auto digit = digits(layout, plane, codes);
            EXPECT_GT(*std::max_element(digit.begin(), digit.end()), 0.0F) << "plane " << plane.number;
        }
    });
}

TEST(CellLayout, differential_cells_of_the_other_sign_hold_zero) {
    const CellLayout layout = cell_layout(Fidelity::circuit, Mapping::differential, 2, 255, 255);
    const SignedCodes codes(255);
    for (const Plane& plane : layout.planes) {
        const auto digit = digits(layout, plane, codes);
        for (std::size_t i = 0; i < digit.size(); ++i) {
            const bool is_negative = codes.sign[i] < 0;
            const bool is_other_sign = is_negative != (plane.sign == PlaneSign::negative);
            ASSERT_TRUE(!is_other_sign || digit[i] == 0.0F);
        }
    }
}

std::uint32_t slices(Mapping mapping, std::uint32_t bits_per_cell, float largest_code) {
    return cell_layout(Fidelity::circuit, mapping, bits_per_cell, largest_code, 255).slices;
}

TEST(CellLayout, of_256_levels_takes_four_cells_of_two_bits) {
    EXPECT_EQ(slices(Mapping::differential, 1, 255), 8U);
    EXPECT_EQ(slices(Mapping::differential, 2, 255), 4U);
    EXPECT_EQ(slices(Mapping::differential, 3, 255), 3U);
    EXPECT_EQ(slices(Mapping::differential, 4, 255), 2U);
    EXPECT_EQ(slices(Mapping::differential, 8, 255), 1U);
}

TEST(CellLayout, offset_needs_one_more_bit) {
    EXPECT_EQ(slices(Mapping::offset, 1, 255), 9U);
    EXPECT_EQ(slices(Mapping::offset, 2, 255), 5U);
    EXPECT_EQ(slices(Mapping::offset, 3, 255), 3U);
    EXPECT_EQ(slices(Mapping::offset, 4, 255), 3U);
    EXPECT_EQ(slices(Mapping::offset, 2, 63), 4U);
}

TEST(CellLayout, has_two_planes_per_slice_if_differential_and_one_if_offset) {
    EXPECT_EQ(cell_layout(Fidelity::circuit, Mapping::differential, 2, 255, 255).planes.size(), 8U);
    EXPECT_EQ(cell_layout(Fidelity::circuit, Mapping::offset, 2, 255, 255).planes.size(), 5U);
}

// ClipFormer's beta = 0.25 leaves (0.25 - 0.01) / 0.99 of 255 at an on/off ratio of 100: code 61.8, so 62,
// 6 bits, 3 cells.
TEST(CellLayout, clipping_at_a_quarter_of_g_max_saves_one_slice_of_four) {
    const auto largest_code = [](double alpha, double beta) {
        return largest_written_code({}, {.alpha = alpha, .beta = beta}, device::conductance_window({}));
    };
    EXPECT_EQ(largest_code(2, 0.25), 62.0F);
    EXPECT_EQ(slices(Mapping::differential, 2, largest_code(2, 0.25)), 3U);
    EXPECT_EQ(largest_code(2, 1), 250.0F);  // the soft threshold takes 2 G_min, 5.2 codes
    EXPECT_EQ(slices(Mapping::differential, 2, largest_code(2, 1)), 4U);
    EXPECT_EQ(largest_code(0, 1), 255.0F);
}

TEST(CellLayout, of_one_composite_cell_keeps_the_code_and_leaves_the_sign_aside) {
    const CellLayout layout = cell_layout(Fidelity::behavioural, Mapping::differential, 2, 255, 255);
    ASSERT_EQ(layout.planes.size(), 1U);
    EXPECT_EQ(layout.largest_digit, 255.0F);
    EXPECT_EQ(layout.shift, 0.0F);
    EXPECT_EQ(layout.planes[0].significance, 1.0F);
    SignedCodes codes(255);
    codes.code[0] = 0.125F;  // continuous codes stay as they are
    EXPECT_EQ(digits(layout, layout.planes[0], codes), codes.code);
}

}  // namespace
}  // namespace crossweep::crossbar
