// Alone and, under mpirun, on every rank at once: see tests/CMakeLists.txt.
#include "crossweep/comm/shared_bytes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <optional>
#include <string>

#include "comm/ranks.hpp"
#include "crossweep/comm/communicator.hpp"
#include "crossweep/core/error.hpp"

namespace crossweep::comm {
namespace {

std::string text_of(const SharedBytes& part) {
    return {reinterpret_cast<const char*>(part.bytes.data()), part.bytes.size()};
}

/// Text of a length that is no multiple of anything.
std::string long_text(std::size_t size = 1'000'003) {
    std::string text(size, ' ');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * i % 23);
    return text;
}

/// Rank 0 gives `texts`; what this rank gets, the texts checked.
SharedParts share(const std::vector<std::string>& texts, const Sharing& sharing = {}) {
    std::vector<SharedBytes> parts;
    if (Ranks::first()) {
        for (const std::string& text : texts) parts.push_back(own_bytes(text));
    }
    SharedParts shared = Ranks::all().share(std::move(parts), sharing);
    EXPECT_EQ(shared.parts.size(), texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(text_of(shared.parts.at(i)), texts[i]) << i;
    return shared;
}

/// The line of /proc/self/maps about the memory of `part`.
std::string mapping_of(const SharedBytes& part) {
    const auto address = reinterpret_cast<std::uintptr_t>(part.bytes.data());
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        std::size_t dash = 0;
        const auto first = std::stoull(line, &dash, 16),
                   last = std::stoull(line.substr(dash + 1), nullptr, 16);
        if (first <= address && address < last) return line;
    }
    return "none";
}

/// While it lives, this process opens no more files.
class NoMoreFiles {
  public:
    NoMoreFiles() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const int next = ::dup(0);  // no fewer than are open: MPI polls those
        ::close(next);
        const rlimit none{static_cast<rlim_t>(next), before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &none);
    }
    ~NoMoreFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    NoMoreFiles(const NoMoreFiles&) = delete;
    NoMoreFiles& operator=(const NoMoreFiles&) = delete;

  private:
    rlimit before_{};
};

bool same_on_all_ranks(int value) {
    return Ranks::all().max_over_ranks(value) == -Ranks::all().max_over_ranks(-value);
}

TEST(OwnBytes, live_as_long_as_a_copy) {
    SharedBytes kept;
    {
        const SharedBytes first = own_bytes(std::string("attention"));
        kept = first;
    }
    EXPECT_EQ(text_of(kept), "attention");
}

TEST(Sharing, brings_the_parts_of_rank_0_to_all) {
    const SharedParts shared = share({"", "weights", long_text(), ""});
    EXPECT_EQ(shared.nodes, 1);
    EXPECT_EQ(shared.copies, 1);
}

TEST(Sharing, of_nothing_gives_nothing) {
    share({});
    share({"", ""});
}

TEST(Sharing, sends_in_pieces_of_any_size) {
    for (const std::size_t piece : {1000UL, 65536UL, 1'000'003UL}) {
        Sharing sharing;
        sharing.piece_bytes = piece;
        share({"before", long_text(), "behind"}, sharing);
    }
}

TEST(Sharing, keeps_one_copy_per_node) {
    for (const int ranks_per_node : {1, 2}) {
        Sharing sharing;
        sharing.ranks_per_node = ranks_per_node;
        const SharedParts shared = share({long_text(), "images"}, sharing);
        EXPECT_EQ(shared.nodes, (Ranks::all().size() + ranks_per_node - 1) / ranks_per_node);
        EXPECT_EQ(shared.copies, shared.nodes);
    }
}

TEST(Sharing, is_of_one_memory_that_nobody_can_write_and_that_has_no_name) {
    if (Ranks::all().size() == 1) GTEST_SKIP() << "a rank alone keeps the bytes that it has";
    const SharedParts shared = share({long_text()});
    const std::string mapping = mapping_of(shared.parts[0]);
    EXPECT_THAT(mapping, testing::HasSubstr(" r--s "));
    EXPECT_THAT(mapping, testing::HasSubstr("(deleted)"));
    // address perms offset device inode path
    const auto inode = std::stoull(mapping.substr(mapping.find(':') + 3));
    EXPECT_TRUE(same_on_all_ranks(static_cast<int>(inode % 1'000'003))) << mapping;
}

TEST(Sharing, lasts_as_long_as_a_part) {
    SharedBytes kept = share({"embedding", long_text()}).parts[1];
    EXPECT_EQ(text_of(kept), long_text());
}

TEST(Sharing, aligns_parts_as_files_are_mapped) {
    if (Ranks::all().size() == 1) GTEST_SKIP() << "a rank alone keeps the bytes that it has";
    for (const SharedBytes& part : share({"x", "yz", long_text()}).parts)
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(part.bytes.data()) % 4096, 0);
}

TEST(Sharing, gives_copies_to_all_ranks_of_a_node_if_one_cannot_map) {
    Communicator& comm = Ranks::all();
    if (comm.size() == 1) GTEST_SKIP() << "a rank alone keeps the bytes that it has";
    for (const int poor : {0, comm.size() - 1}) {  // cannot make the memory, cannot open it
        std::optional<NoMoreFiles> no_more_files;
        if (comm.rank() == poor) no_more_files.emplace();
        const SharedParts shared = share({long_text(), "head"});
        EXPECT_EQ(shared.copies, comm.size());
        EXPECT_EQ(shared.nodes, 1);
    }
}

TEST(Sharing, of_more_than_memory_fails_on_all_ranks) {
    Communicator& comm = Ranks::all();
    if (comm.size() == 1) GTEST_SKIP() << "a rank alone keeps the bytes that it has";
    // A length that no machine can map, with no bytes behind it: sharing must end before it reads any.
    static const std::byte nothing{};
    std::vector<SharedBytes> parts;
    if (Ranks::first()) parts.push_back({{&nothing, std::size_t{1} << 60}, nullptr});
    try {
        comm.share(std::move(parts));
        ADD_FAILURE() << "nothing was thrown";
    } catch (const DataError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("one has no room"));
    }
    share({"and goes on"});
}

}  // namespace
}  // namespace crossweep::comm
