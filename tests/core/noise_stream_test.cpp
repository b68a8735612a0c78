// Philox against Random123's known answers, and the identities that name a draw.
#include "crossweep/core/noise_stream.hpp"

#include <gtest/gtest.h>

#include <set>

#include "crossweep/core/error.hpp"

namespace crossweep {
namespace {

using Words = std::array<std::uint32_t, 4>;

// Random123's kat_vectors, philox4x32 with 10 rounds. Counter: site and layer, image, row, element; key:
// seed, trial.
TEST(PhiloxBlock, gives_the_known_answers_of_random123) {
    EXPECT_EQ(philox_block({0, 0}, {0, 0, 0}, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    constexpr std::uint32_t all = 0xffffffff;
    EXPECT_EQ(philox_block({all, all}, {all, all, all}, all),
              (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(philox_block({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e}, 0x03707344),
              (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(DrawIdentity, holds_site_operand_and_layer_in_one_word) {
    const DrawIdentity draw = draw_identity(NoiseSite::score_read, LayerId(0x1234), 0xab, 77, 88);
    EXPECT_EQ(draw.site_layer_operand, 0x06ab1234U);
    EXPECT_EQ(draw.image, 77U);
    EXPECT_EQ(draw.row, 88U);
}

// The numbers are part of every stored result.
TEST(NoiseSite, keeps_its_numbers) {
    EXPECT_EQ(static_cast<int>(NoiseSite::weight_programming), 1);
    EXPECT_EQ(static_cast<int>(NoiseSite::weight_read), 2);
    EXPECT_EQ(static_cast<int>(NoiseSite::product_read), 3);
    EXPECT_EQ(static_cast<int>(NoiseSite::operand_write), 4);
    EXPECT_EQ(static_cast<int>(NoiseSite::operand_read), 5);
    EXPECT_EQ(static_cast<int>(NoiseSite::score_read), 6);
    EXPECT_EQ(static_cast<int>(NoiseSite::context_read), 7);
}

TEST(DrawIdentity, is_another_for_every_site_layer_and_operand) {
    std::set<std::uint32_t> words;
    std::size_t draws = 0;
    for (std::uint8_t site = 1; site <= 7; ++site) {
        for (const std::uint32_t layer : {0U, 1U, 2U, 255U, 256U, 65535U}) {
            for (const std::uint32_t operand : {0U, 1U, 2U, 5U, 254U, 255U}) {
                words.insert(draw_identity(static_cast<NoiseSite>(site), LayerId(layer), operand, 0, 0)
                                 .site_layer_operand);
                ++draws;
            }
        }
    }
    EXPECT_EQ(words.size(), draws);
}

TEST(DrawIdentity, refuses_what_does_not_fit) {
    constexpr NoiseSite site = NoiseSite::weight_read;
    EXPECT_NO_THROW(draw_identity(site, LayerId(65535), 255, 0xffffffff, 0xffffffff));
    EXPECT_THROW(draw_identity(site, LayerId(65536), 0, 0, 0), InternalError);
    EXPECT_THROW(draw_identity(site, LayerId(0), 256, 0, 0), InternalError);
    try {
        draw_identity(site, LayerId(65536), 3, 0, 0);
    } catch (const InternalError& error) {
        EXPECT_STREQ(error.what(),
                     "layer 65536 or operand 3 is outside the random stream's range (2^16, 2^8)");
    }
}

}  // namespace
}  // namespace crossweep
