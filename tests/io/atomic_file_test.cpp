#include "crossweep/io/atomic_file.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <random>

#include "crossweep/io/hdf5_file.hpp"
#include "crossweep/io/segment.hpp"
#include "io/temporary_folder.hpp"

namespace crossweep::io {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::size_t files_in(const std::filesystem::path& folder) {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST(AtomicFile, text_comes_back_as_written) {
    const TemporaryFolder folder;
    const std::string text("two\nlines\0and a zero", 20);
    write_text_atomically(folder / "a", text);
    EXPECT_EQ(read_text(folder / "a"), text);
    write_text_atomically(folder / "a", "");
    EXPECT_EQ(read_text(folder / "a"), "");
    EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(AtomicFile, exception_leaves_old_contents_and_no_temporary) {
    const TemporaryFolder folder;
    write_text_atomically(folder / "a", "old");
    EXPECT_THROW(write_atomically(folder / "a",
                                  [](const std::filesystem::path& temporary) {
                                      write_file(temporary, "half of the n");
                                      throw std::runtime_error("interrupted");
                                  }),
                 std::runtime_error);
    EXPECT_EQ(read_text(folder / "a"), "old");
    EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(AtomicFile, missing_folder_is_named) {
    const TemporaryFolder folder;
    const auto path = folder / "missing" / "a";
    EXPECT_EQ(data_error_of([&] { write_text_atomically(path, "x"); }),
              path.string() + ".tmp: cannot be written (no such file or folder). Check the name.");
    EXPECT_EQ(data_error_of([&] { read_text(path); }),
              path.string() + ": cannot be read (no such file or folder). Check the name.");
}

TEST(AtomicFile, folder_in_place_of_file_is_refused) {
    const TemporaryFolder folder;
    std::filesystem::create_directory(folder / "a");
    EXPECT_THAT(data_error_of([&] { write_text_atomically(folder / "a", "x"); }),
                HasSubstr("it is a folder"));
    EXPECT_THAT(data_error_of([&] { read_text(folder / "a"); }), HasSubstr("it is a folder"));
    EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(AtomicFile, full_device_is_reported_as_full_disk) {
    if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
    const TemporaryFolder folder;
    std::filesystem::create_symlink("/dev/full", folder / "a.tmp");
    EXPECT_THAT(data_error_of([&] { write_text_atomically(folder / "a", "x"); }),
                HasSubstr("the disk is full"));
    EXPECT_EQ(files_in(folder.path()), 0U);
}

TEST(AtomicFile, limit_on_the_size_of_files_is_reported_and_leaves_no_temporary) {
    const TemporaryFolder folder;
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit tight{1000, before.rlim_max};
    const auto old_action = std::signal(SIGXFSZ, SIG_IGN);  // else the first byte too many ends the process
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
    const std::string sentence =
        data_error_of([&] { write_text_atomically(folder / "a", std::string(2000, 'x')); });
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, old_action);
    EXPECT_THAT(sentence, HasSubstr("cannot be written (it would be larger than a file may be). Raise the"));
    EXPECT_EQ(files_in(folder.path()), 0U);
}

TEST(AtomicFile, full_device_is_reported_for_hdf5_and_the_program_lives_on) {
    if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
    const std::vector<double> values(100'000, 1.5);
    for (int attempt = 0; attempt < 2; ++attempt) {
        Hdf5File file("/dev/full", Hdf5File::Mode::create);
        file.write<double>("/values", values);
        EXPECT_THAT(data_error_of([&] { file.close(); }), HasSubstr("the disk is full"));
        const Hdf5File left_to_destructor = std::move(file);
    }
    Hdf5File never_closed("/dev/full", Hdf5File::Mode::create);
    never_closed.write<double>("/values", values);
}

TEST(AtomicFile, small_disk_keeps_what_it_has_and_takes_more_once_there_is_room) {
    const TemporaryFolder folder;
    const SmallDisk disk(folder / "disk", 256);
    if (!disk.mounted()) GTEST_SKIP() << "mounting a small file system needs root";
    std::vector<Record> records(1);
    std::mt19937 random(1);  // so that compression finds nothing
    for (int i = 0; i < 100'000; ++i) {
        records[0].predicted.push_back(static_cast<std::int32_t>(random()));
        records[0].margin.push_back(static_cast<float>(random()));
    }
    const auto path = folder / "disk" / "000001.h5";
    for (int attempt = 0; attempt < 3; ++attempt) {
        EXPECT_THAT(data_error_of([&] { write_segment(path, records); }), HasSubstr("the disk is full"));
        EXPECT_EQ(files_in(folder / "disk"), 0U);
    }
    write_text_atomically(path, std::string(150'000, 'x'));
    EXPECT_THAT(data_error_of([&] { write_text_atomically(path, std::string(150'000, 'y')); }),
                HasSubstr("the disk is full"));
    EXPECT_EQ(read_text(path), std::string(150'000, 'x'));
    records.resize(0);
    std::filesystem::remove(path);
    write_segment(path, records);
    EXPECT_TRUE(read_segment(path).empty());
}

/// The program may write files of so many bytes only, for as long as this lives: as if the disk were full.
class SizeLimit {
  public:
    explicit SizeLimit(rlim_t bytes) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit small{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &small);
        handler_ = std::signal(SIGXFSZ, SIG_IGN);
    }
    ~SizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }
    SizeLimit(const SizeLimit&) = delete;
    SizeLimit& operator=(const SizeLimit&) = delete;

  private:
    rlimit before_{};
    void (*handler_)(int) = nullptr;
};

/// About 800 kB: data sets in one piece, at once and by rows, in a chunk and of texts.
void write_on_disk(const std::filesystem::path& path) {
    Hdf5File file(path, Hdf5File::Mode::create_on_disk);
    file.write<double>("/small", std::vector<double>(1000, 1.5));
    file.write<double>("/large", std::vector<double>(10'000, 1.5));
    file.write<std::string>("/text", std::vector<std::string>(100, "some words"));
    file.write_texts_of_like_length("/words", std::vector<std::string>(100, "some words"));
    Hdf5Rows rows = file.create_rows<std::uint32_t>("/rows", {40, 3000});
    Hdf5Rows small = file.create_rows<float>("/small_rows", {40, 2});
    Hdf5Rows large = file.create_rows<float>("/large_rows", {40, 700});
    std::vector<std::uint32_t> row(3000);
    std::minstd_rand random;
    for (int r = 0; r < 40; ++r) {
        std::ranges::generate(row, random);
        rows.append<std::uint32_t>(row);
        small.append<float>(std::array{1.0F, 2.0F});
        large.append<float>(std::vector<float>(700, 3.0F));
    }
    file.set_attribute("/", "last", "words");
    file.close();
}

TEST(AtomicFile, text_of_a_file_that_tells_no_size_is_read) {
    EXPECT_THAT(read_text("/proc/self/status"), HasSubstr("VmRSS"));
    EXPECT_EQ(read_text("/dev/null"), "");
}

TEST(AtomicFile, hdf5_file_that_outgrows_the_disk_while_it_is_written_is_one_error_and_the_program_lives_on) {
    const TemporaryFolder folder;
    write_on_disk(folder / "whole.h5");
    const auto size = std::filesystem::file_size(folder / "whole.h5");
    std::filesystem::remove(folder / "whole.h5");
    for (std::size_t bytes = 0; bytes < size; bytes += bytes < 20000 ? 1111 : 33333) {
        const SizeLimit disk(bytes);
        const std::string message = data_error_of([&] { write_atomically(folder / "a.h5", write_on_disk); });
        ASSERT_THAT(message, StartsWith((folder / "a.h5.tmp").string() + ": cannot be written (")) << bytes;
        ASSERT_TRUE(std::filesystem::is_empty(folder.path())) << bytes;
    }
    // HDF5 still works after all that.
    Hdf5File file(folder / "b.h5", Hdf5File::Mode::create_on_disk);
    file.write<double>("/values", std::vector<double>(10));
    file.close();
    EXPECT_EQ(Hdf5File(folder / "b.h5", Hdf5File::Mode::read).read<double>("/values").size(), 10);
}

}  // namespace
}  // namespace crossweep::io
