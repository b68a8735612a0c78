// Arrays of operands, against counts by hand: DeiT-S as the papers count it, and sizes that fill no array.
#include "crossweep/crossbar/array_count.hpp"

#include <gtest/gtest.h>

namespace crossweep::crossbar {
namespace {

using linalg::Role;

TEST(ArrayCounter, deit_s_takes_624_arrays_for_the_attention_of_a_block) {
    const ArrayCounter count({}, 2);
    EXPECT_EQ(count.slices(), 4U);
    EXPECT_EQ(count.columns_per_slice(), 2U);
    for (const Role role : {Role::query, Role::key, Role::value})
        EXPECT_EQ(count.of_weight(role, 384, 384, 64), 144U);
    EXPECT_EQ(count.of_written(Role::written_keys, 197, 384, 64), 96U);
    EXPECT_EQ(count.of_written(Role::written_values, 197, 384, 64), 96U);
    EXPECT_EQ(count.of_weight(Role::mlp_in, 1536, 384, 64), 576U);
}

TEST(ArrayCounter, an_array_that_is_not_full_counts_whole) {
    CrossbarParams params;
    params.array_rows = 32;
    params.array_columns = 128;
    const ArrayCounter count(params, 8);
    EXPECT_EQ(count.slices(), 1U);
    EXPECT_EQ(count.of_weight(Role::projection, 129, 33, 64), 4U);
    EXPECT_EQ(count.of_weight(Role::projection, 128, 32, 64), 1U);
}

TEST(ArrayCounter, no_array_holds_two_heads_of_k_or_v) {
    const ArrayCounter count({}, 2);
    // Three heads of 8 channels: K takes 8 rows of an array and V 8 columns, whatever is left of them.
    EXPECT_EQ(count.of_written(Role::written_keys, 65, 24, 8), 3U * 2 * 4);
    EXPECT_EQ(count.of_written(Role::written_values, 65, 24, 8), 3U * 2 * 4);
}

TEST(ArrayCounter, an_offset_needs_a_bit_more_and_no_pairs) {
    CrossbarParams params;
    params.mapping = Mapping::offset;
    const ArrayCounter count(params, 2);
    EXPECT_EQ(count.slices(), 5U);
    EXPECT_EQ(count.columns_per_slice(), 1U);
    EXPECT_EQ(count.of_weight(Role::query, 64, 64, 64), 5U);
}

}  // namespace
}  // namespace crossweep::crossbar
