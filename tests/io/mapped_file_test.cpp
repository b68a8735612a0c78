#include "crossweep/io/mapped_file.hpp"

#include <cstring>

#include "io/temporary_folder.hpp"

namespace crossweep::io {
namespace {

std::string text_of(const MappedFile& file) {
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST(MappedFile, shows_the_bytes_and_keeps_them_when_moved) {
    const TemporaryFolder folder;
    write_file(folder / "a", "bytes of a");
    write_file(folder / "b", "b");
    MappedFile first(folder / "a");
    MappedFile second(std::move(first));
    EXPECT_EQ(text_of(second), "bytes of a");
    MappedFile third(folder / "b");
    third = std::move(second);
    EXPECT_EQ(text_of(third), "bytes of a");
}

TEST(MappedFile, lives_as_long_as_shared_bytes_of_it) {
    const TemporaryFolder folder;
    write_file(folder / "a", "bytes of a");
    const SharedBytes kept = [&] {
        const SharedBytes first = map_file(folder / "a");
        return first;
    }();
    EXPECT_EQ(std::memcmp(kept.bytes.data(), "bytes of a", kept.bytes.size()), 0);
    EXPECT_EQ(kept.bytes.size(), 10U);
}

TEST(MappedFile, empty_file_has_no_bytes) {
    const TemporaryFolder folder;
    write_file(folder / "empty", "");
    EXPECT_TRUE(MappedFile(folder / "empty").bytes().empty());
}

TEST(MappedFile, what_cannot_be_mapped_is_named) {
    const TemporaryFolder folder;
    EXPECT_EQ(data_error_of([&] { MappedFile(folder / "none"); }),
              (folder / "none").string() + ": cannot be read (no such file or folder). Check the name.");
    EXPECT_EQ(data_error_of([&] { MappedFile(folder.path()); }),
              folder.path().string() + ": cannot be read (it is a folder). Give the name of a file.");
    EXPECT_THAT(data_error_of([] { MappedFile("/dev/null"); }), testing::HasSubstr("is not a regular file"));
}

}  // namespace
}  // namespace crossweep::io
