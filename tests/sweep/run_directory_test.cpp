#include "crossweep/sweep/run_directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <set>

#include "crossweep/core/error.hpp"
#include "crossweep/io/atomic_file.hpp"
#include "io/temporary_folder.hpp"
#include "sweep/coin_toss.hpp"

namespace crossweep::sweep {
namespace {

std::vector<std::string> no_differences(const std::string&) {
    return {};
}

class RunDirectoryTest : public testing::Test {
  protected:
    RunDirectory open(Part part = {}) {
        return RunDirectory::open(path_, "seed = 1\n", no_differences, part);
    }

    /// Names of the segments, in order.
    std::vector<std::string> segments() const {
        std::set<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(path_ / "segments")) {
            names.insert(entry.path().filename());
        }
        return {names.begin(), names.end()};
    }

    io::TemporaryFolder folder_;
    std::filesystem::path path_ = folder_ / "deep/run";
};

std::vector<io::Record> some_records(const Workload& workload, std::size_t first, std::size_t count) {
    auto all = records_of(workload, plan_units(workload));
    return {all.begin() + static_cast<long>(first), all.begin() + static_cast<long>(first + count)};
}

TEST_F(RunDirectoryTest, keeps_its_study_until_it_is_told_to_follow_another_that_gives_the_same_records) {
    open();
    const std::string more = "seed = 1 # more trials\n";
    const RunDirectory directory = RunDirectory::open(path_, more, no_differences, {});
    EXPECT_EQ(directory.study_toml(), "seed = 1\n");
    directory.follow(more);
    EXPECT_EQ(RunDirectory::read(path_).study_toml(), more);
    EXPECT_EQ(RunDirectory::read(path_).results(), path_ / "results.h5");
}

TEST_F(RunDirectoryTest, does_not_take_segments_that_cannot_be_listed_for_none) {
    open();
    std::filesystem::remove_all(path_ / "segments");
    EXPECT_THAT(io::data_error_of([&] { load(RunDirectory::read(path_)); }),
                testing::HasSubstr("segments: the segments cannot be listed"));
}

TEST_F(RunDirectoryTest, refuses_another_study_and_says_what_differs) {
    open();
    const auto differences = [](const std::string& stored) {
        return std::vector<std::string>{"seed was " + stored.substr(7, 1) + ".", "trials are new."};
    };
    EXPECT_EQ(io::data_error_of([&] { RunDirectory::open(path_, "seed = 2\n", differences, {}); }),
              path_.string() +
                  ": the run directory holds another study:\n  seed was 1.\n  trials are new.\n"
                  "Choose another --out, or run the study that it holds.");
    EXPECT_EQ(RunDirectory::read(path_).study_toml(), "seed = 1\n");
}

TEST_F(RunDirectoryTest, refuses_what_is_no_run_directory) {
    EXPECT_EQ(
        io::data_error_of([&] { RunDirectory::read(folder_.path()); }),
        folder_.path().string() +
            ": this is not a run directory (it has no study.toml). Give the directory that crossweep run "
            "--out made.");
}

/// A process that holds the lock of a run directory until it is killed.
class OtherProcess {
  public:
    explicit OtherProcess(const std::filesystem::path& path) {
        std::array<int, 2> ready{};
        if (::pipe(ready.data()) != 0) throw std::runtime_error("no pipe");
        process_ = ::fork();
        if (process_ == 0) {
            const auto directory = RunDirectory::open(path, "seed = 1\n", no_differences, {});
            if (::write(ready[1], "!", 1) == 1) ::pause();
            std::_Exit(0);
        }
        char byte = 0;
        EXPECT_EQ(::read(ready[0], &byte, 1), 1);
        ::close(ready[0]);
        ::close(ready[1]);
    }
    ~OtherProcess() { kill(); }
    OtherProcess(const OtherProcess&) = delete;
    OtherProcess& operator=(const OtherProcess&) = delete;

    void kill() {
        if (process_ <= 0) return;
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
        process_ = 0;
    }

  private:
    pid_t process_ = 0;
};

TEST_F(RunDirectoryTest, is_refused_while_another_process_writes_it) {
    OtherProcess other(path_);
    EXPECT_EQ(io::data_error_of([&] { open(); }),
              path_.string() +
                  ": another process is running this study here. Wait for it, or give each job its --part.");
    EXPECT_NO_THROW(load(RunDirectory::read(path_)));
    other.kill();
    EXPECT_NO_THROW(open());
}

TEST_F(RunDirectoryTest, parts_write_side_by_side_and_never_choose_the_same_segment) {
    const Workload workload = coin_workload();
    auto first = open({1, 3}), second = open({2, 3}), third = open({3, 3});
    std::size_t at = 0;
    for (RunDirectory* part : {&third, &first, &first, &second, &third, &first}) {
        part->append(some_records(workload, at++, 1));
    }
    // Each part goes on behind the last, with a number of its own modulo 3.
    EXPECT_THAT(segments(), testing::ElementsAre("000003.h5", "000004.h5", "000007.h5", "000008.h5",
                                                 "000009.h5", "000010.h5"));
    EXPECT_EQ(load(first).records.size(), 6);
    EXPECT_THAT(io::data_error_of([&] { open({2, 3}); }), testing::HasSubstr("another process is running"));
}

TEST_F(RunDirectoryTest, whole_run_and_part_keep_each_other_out) {
    {
        const auto whole = open();
        EXPECT_THAT(io::data_error_of([&] {
                        open({1, 2});
                    }),
                    testing::HasSubstr("another process is running"));
    }
    const auto first = open({1, 2});
    EXPECT_THAT(io::data_error_of([&] { open(); }), testing::HasSubstr("another process is running"));
    EXPECT_NO_THROW(open({2, 2}));
}

TEST_F(RunDirectoryTest, opening_removes_what_killed_writers_left) {
    const Workload workload = coin_workload();
    open({2, 2}).append(some_records(workload, 0, 2));
    // Of a part that goes on behind 000002.h5 and never writes this name again.
    io::write_file(path_ / "segments/000001.h5.tmp", "half");
    io::write_file(path_ / "study.json.tmp", "half");
    io::write_file(path_ / "results.h5.tmp", "what a merge may be writing now");
    open({1, 2});
    EXPECT_THAT(segments(), testing::ElementsAre("000002.h5"));
    EXPECT_FALSE(std::filesystem::exists(path_ / "study.json.tmp"));
    EXPECT_TRUE(std::filesystem::exists(path_ / "results.h5.tmp"));
}

TEST_F(RunDirectoryTest, far_numbers_of_segments_are_passed_at_once) {
    const Workload workload = coin_workload();
    auto directory = open();
    io::write_file(path_ / "segments/99999999999.h5", "a name that no run has chosen");
    directory.append(some_records(workload, 0, 1));
    EXPECT_THAT(segments(), testing::Contains("100000000000.h5"));
}

TEST_F(RunDirectoryTest, whole_run_goes_on_behind_the_segments_of_parts) {
    const Workload workload = coin_workload();
    for (std::size_t index = 1; index <= 3; ++index)
        open({index, 3}).append(some_records(workload, index, 1));
    auto whole = open();
    whole.append(some_records(workload, 0, 1));
    EXPECT_THAT(segments(), testing::Contains("000004.h5"));
    EXPECT_EQ(load(whole).segments, 4);
}

TEST_F(RunDirectoryTest, no_records_make_no_segment) {
    auto directory = open();
    directory.append({});
    EXPECT_TRUE(segments().empty());
}

TEST_F(RunDirectoryTest, leftovers_of_a_killed_run_are_no_segments) {
    const Workload workload = coin_workload();
    auto directory = open();
    directory.append(some_records(workload, 0, 2));
    io::write_file(path_ / "segments/000002.h5.tmp", "half");
    io::write_file(path_ / "segments/notes.h5", "mine");
    const auto contents = load(directory);
    EXPECT_EQ(contents.segments, 1);
    EXPECT_TRUE(contents.damaged.empty());
    directory.append(some_records(workload, 2, 2));
    EXPECT_EQ(load(directory).records.size(), 4);
}

TEST_F(RunDirectoryTest, records_of_a_damaged_segment_are_computed_again) {
    const Workload workload = coin_workload();
    const auto all = records_of(workload, plan_units(workload));
    auto directory = open();
    directory.append(std::span(all).first(10));
    directory.append(std::span(all).subspan(10));
    std::filesystem::resize_file(path_ / "segments/000001.h5",
                                 std::filesystem::file_size(path_ / "segments/000001.h5") / 2);
    const auto contents = load(directory);
    ASSERT_EQ(contents.damaged.size(), 1);
    EXPECT_THAT(contents.damaged[0], testing::StartsWith((path_ / "segments/000001.h5").string()));
    EXPECT_EQ(contents.segments, 2);
    EXPECT_EQ(contents.records.size(), all.size() - 10);

    const auto again =
        records_of(workload, plan_units(workload, census_of(workload, contents.records).done()));
    EXPECT_EQ(again.size(), 10);
    directory.append(again);
    EXPECT_EQ(io::content_hash(load(directory).records), expected_hash(workload));
}

TEST_F(RunDirectoryTest, success_counts_whenever_it_came) {
    const Workload workload = coin_workload();
    const auto good = some_records(workload, 0, 2);
    std::vector<io::Record> bad(2);
    for (std::size_t i = 0; i < 2; ++i) {
        bad[i].key = good[i].key;
        bad[i].failure = "the coin is lost";
    }
    auto directory = open();
    directory.append(std::array{good[0], bad[1]});
    directory.append(std::array{bad[0]});
    const Census census = census_of(workload, load(directory).records);
    EXPECT_EQ(census.succeeded(), 1);
    EXPECT_EQ(census.failed(), 1);
    directory.append(std::array{good[1]});
    EXPECT_EQ(io::content_hash(load(directory).records), io::content_hash(good));
}

}  // namespace
}  // namespace crossweep::sweep
