#include "crossweep/io/scratch_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/temporary_folder.hpp"

namespace crossweep::io {
namespace {

std::vector<std::byte> bytes(const std::string& text) {
    const auto view = std::as_bytes(std::span(text));
    return {view.begin(), view.end()};
}

class Scratch : public testing::TestWithParam<std::size_t> {
  protected:
    TemporaryFolder folder_;
    std::filesystem::path path_ = folder_ / "deep/scratch";
};

/// Bytes of the buffer: all on the disk, some, none.
INSTANTIATE_TEST_SUITE_P(Buffer, Scratch, testing::Values(0, 4, 1000));

TEST_P(Scratch, gives_any_range_of_what_was_appended) {
    ScratchFile file(path_, GetParam());
    for (const char* text : {"one", "two", "three"}) file.append(bytes(text));
    EXPECT_EQ(file.size(), 11);
    EXPECT_EQ(std::filesystem::exists(path_), GetParam() < 11);
    EXPECT_EQ(file.read(0, 11), bytes("onetwothree"));
    EXPECT_EQ(file.read(2, 4), bytes("etwo"));
    EXPECT_TRUE(file.read(11, 0).empty());
    file.append(bytes("!"));
    EXPECT_EQ(file.take(), bytes("onetwothree!"));
    EXPECT_EQ(file.size(), 0);
    EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_P(Scratch, goes_with_its_owner) {
    {
        ScratchFile file(path_, GetParam());
        file.append(bytes("gone tomorrow"));
        const ScratchFile owner(std::move(file));
        EXPECT_EQ(owner.size(), 13);
    }
    EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST(ScratchFile, says_when_the_disk_is_full) {
    if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
    const TemporaryFolder folder;
    std::filesystem::create_symlink("/dev/full", folder / "scratch");
    ScratchFile file(folder / "scratch", 0);
    EXPECT_THAT(data_error_of([&] {
                    file.append(bytes("much"));
                    file.append(bytes("more"));
                }),
                testing::HasSubstr("the disk is full"));
}

}  // namespace
}  // namespace crossweep::io
