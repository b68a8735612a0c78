// Hashes, errors and what the binary says of itself.
#include "crossweep/core/content_hash.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <unordered_set>
#include <vector>

#include "crossweep/core/build_info.hpp"
#include "crossweep/core/error.hpp"

namespace crossweep {
namespace {

// The empty text: XXH3's published 128-bit value. The other guards every stored hash.
TEST(ContentHash, is_xxh3_of_128_bits) {
    EXPECT_EQ(hash_text("").hex(), "99aa06d3014798d86001c324468d497f");
    EXPECT_EQ(hash_text("crossweep").hex(), "74c949190dae5135e9c9597df81b8fd3");
}

TEST(ContentHash, of_text_is_that_of_its_bytes) {
    const std::string text("a\0b", 3);
    EXPECT_EQ(hash_text(text), hash_bytes(std::as_bytes(std::span(text))));
    EXPECT_NE(hash_text(text), hash_text("a"));
}

TEST(ContentHash, hex_has_all_leading_zeros) {
    EXPECT_EQ((ContentHash{0x1, 0xab}).hex(), "000000000000000100000000000000ab");
}

TEST(ContentHash, differs_for_every_single_bit) {
    std::set<ContentHash> seen;
    std::unordered_set<ContentHash> buckets;
    std::vector<std::byte> bytes(100);
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
        bytes[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
        seen.insert(hash_bytes(bytes));
        buckets.insert(hash_bytes(bytes));
    }
    EXPECT_EQ(seen.size(), 8 * bytes.size());
    EXPECT_EQ(buckets.size(), seen.size());
}

TEST(Errors, decide_the_exit_code) {
    EXPECT_EQ(UsageError("x").exit_code(), ExitCode::usage);
    EXPECT_EQ(ConfigError({"x"}).exit_code(), ExitCode::configuration);
    EXPECT_EQ(DataError("x").exit_code(), ExitCode::data);
    EXPECT_EQ(InternalError("x").exit_code(), ExitCode::internal);
    EXPECT_EQ(static_cast<int>(ExitCode::done), 0);
    EXPECT_EQ(static_cast<int>(ExitCode::usage), 2);
    EXPECT_EQ(static_cast<int>(ExitCode::configuration), 3);
    EXPECT_EQ(static_cast<int>(ExitCode::data), 4);
    EXPECT_EQ(static_cast<int>(ExitCode::internal), 5);
    EXPECT_EQ(static_cast<int>(ExitCode::unfinished), 75);
}

TEST(ConfigError, says_all_problems_in_order) {
    const ConfigError error({"first is wrong", "second too"});
    EXPECT_STREQ(error.what(), "first is wrong\nsecond too");
    EXPECT_THAT(error.problems(), testing::ElementsAre("first is wrong", "second too"));
}

TEST(FailCheck, names_the_place_and_the_condition) {
    try {
        fail_check("precondition", "a == b", "file.cpp", 12);
        ADD_FAILURE() << "nothing was thrown";
    } catch (const InternalError& error) {
        EXPECT_STREQ(error.what(), "file.cpp:12: broken precondition: a == b");
    }
}

TEST(BuildInfo, tells_what_a_result_file_needs) {
    std::set<std::string> names;
    for (const auto& [name, value] : build_info()) {
        EXPECT_FALSE(value.empty()) << name;
        names.insert(name);
    }
    EXPECT_EQ(names, (std::set<std::string>{"version", "git_commit", "compiler", "build_type",
                                            "instruction_set", "integer_kernels", "host"}));
}

TEST(HashStream, gives_the_hash_of_all_its_pieces_together) {
    std::vector<std::byte> bytes(3000);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i);
    const std::span all(bytes);
    for (const std::size_t cut : {0U, 1U, 16U, 300U, 3000U}) {
        HashStream stream;
        stream.add(all.first(cut));
        stream.add(all.subspan(cut));
        EXPECT_EQ(stream.digest(), hash_bytes(all)) << cut;
    }
    EXPECT_EQ(HashStream().digest(), hash_bytes({}));
}

}  // namespace
}  // namespace crossweep
