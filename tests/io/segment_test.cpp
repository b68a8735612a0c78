#include "crossweep/io/segment.hpp"

#include <fmt/format.h>

#include <array>

#include "crossweep/core/build_info.hpp"
#include "crossweep/io/atomic_file.hpp"
#include "crossweep/io/hdf5_file.hpp"
#include "io/sample_records.hpp"
#include "io/temporary_folder.hpp"

namespace crossweep::io {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class Segment : public testing::Test {
  protected:
    TemporaryFolder folder_;
    std::filesystem::path path_ = folder_ / "000001.h5";
};

TEST_F(Segment, records_come_back_as_written) {
    write_segment(path_, sample_records());
    expect_equal(read_segment(path_), sample_records());
}

TEST_F(Segment, no_records_and_empty_records_come_back) {
    write_segment(path_, {});
    EXPECT_TRUE(read_segment(path_).empty());
    write_segment(path_, std::vector<Record>(3));
    expect_equal(read_segment(path_), std::vector<Record>(3));
}

TEST_F(Segment, one_long_failure_among_many_records_comes_back) {
    std::vector<Record> records(1000);
    records[7].failure = std::string(5000, 'x');
    write_segment(path_, records);
    expect_equal(read_segment(path_), records);
}

TEST_F(Segment, memory_of_records_of_any_version_is_used_again) {
    std::vector<Record> records(9, sample_records()[0]);
    const std::array of_version{sample_records_of_version_1(), sample_records_of_version_2(),
                                sample_records()};
    for (const std::uint32_t version : {3U, 2U, 1U, 3U}) {
        read_segment(fmt::format("{}/tests/io/stored/segment_version_{}.h5", CROSSWEEP_SOURCE_DIR, version),
                     records);
        expect_equal(records, of_version[version - 1]);
    }
}

TEST_F(Segment, large_records_come_back) {
    std::vector<Record> records(50, sample_records()[0]);
    for (std::size_t i = 0; i < records.size(); ++i) {
        records[i].key.shard = static_cast<std::uint32_t>(i);
        records[i].predicted.assign(1000 + i, static_cast<std::int32_t>(i));
        records[i].margin.assign(1000 + i, static_cast<float>(i) / 3);
        records[i].loss.assign(i % 2 == 0 ? 1000 + i : 0, static_cast<float>(i) / 7);
        records[i].hits.assign(i % 3 == 0 ? 1000 + i : 0, static_cast<std::uint32_t>(i));
    }
    write_segment(path_, records);
    expect_equal(read_segment(path_), records);
}

TEST_F(Segment, is_an_hdf5_file_with_format_version_and_hash) {
    write_segment(path_, sample_records());
    const Hdf5File file(path_, Hdf5File::Mode::read);
    EXPECT_EQ(file.text_attribute("/", "format"), "crossweep segment");
    EXPECT_EQ(file.number_attribute("/", "record_version").at(0), record_version);
    EXPECT_EQ(file.text_attribute("/", "content_hash"), content_hash(sample_records()).hex());
    EXPECT_EQ(file.read<std::uint32_t>("/records/trial"), (std::vector<std::uint32_t>{0, 1, 1, 4294967295U}));
    EXPECT_EQ(file.read<std::uint64_t>("/records/predictions_begin"),
              (std::vector<std::uint64_t>{0, 3, 6, 6}));
}

TEST_F(Segment, names_the_program_that_wrote_it) {
    write_segment(path_, sample_records());
    const Hdf5File file(path_, Hdf5File::Mode::read);
    for (const auto& [name, value] : build_info()) {
        EXPECT_EQ(file.text_attribute("/", name == "version" ? "crossweep_version" : name), value);
    }
}

TEST_F(Segment, stored_file_of_version_1_still_reads_and_its_records_are_of_unknown_path) {
    const std::filesystem::path stored = CROSSWEEP_SOURCE_DIR "/tests/io/stored/segment_version_1.h5";
    expect_equal(read_segment(stored), sample_records_of_version_1());
}

TEST_F(Segment, stored_file_of_version_2_still_reads) {
    const std::filesystem::path stored = CROSSWEEP_SOURCE_DIR "/tests/io/stored/segment_version_2.h5";
    expect_equal(read_segment(stored), sample_records_of_version_2());
}

TEST_F(Segment, stored_file_of_version_3_still_reads) {
    const std::filesystem::path stored = CROSSWEEP_SOURCE_DIR "/tests/io/stored/segment_version_3.h5";
    expect_equal(read_segment(stored), sample_records());
}

TEST_F(Segment, records_of_before_there_was_loss_come_back_and_take_no_room_for_it) {
    write_segment(path_, sample_records_of_version_2());
    expect_equal(read_segment(path_), sample_records_of_version_2());
    std::vector<Record> others = sample_records();  // whose memory is used again
    read_segment(path_, others);
    expect_equal(others, sample_records_of_version_2());
    const Hdf5File file(path_, Hdf5File::Mode::read);
    EXPECT_THAT(file.members("/predictions"), testing::ElementsAre("class", "margin"));
}

TEST_F(Segment, stored_files_are_of_every_version_that_is_read) {
    for (std::uint32_t version = 1; version <= record_version; ++version) {
        const Hdf5File file(
            fmt::format("{}/tests/io/stored/segment_version_{}.h5", CROSSWEEP_SOURCE_DIR, version),
            Hdf5File::Mode::read);
        EXPECT_EQ(file.number_attribute("/", "record_version").at(0), version);
    }
}

TEST_F(Segment, any_changed_byte_is_found) {
    write_segment(path_, sample_records());
    const std::string whole = read_text(path_);
    for (std::size_t at = 0; at < whole.size(); at += at < 4096 ? 1 : 7) {
        std::string changed = whole;
        changed[at] = static_cast<char>(changed[at] ^ (1 << at % 8));
        write_file(path_, changed);
        const std::string message = data_error_of([&] { read_segment(path_); });
        ASSERT_THAT(message, StartsWith(path_.string() + ": the segment is damaged (")) << at;
        ASSERT_THAT(message,
                    EndsWith("). Remove it from the run directory: its units will then be computed again."));
    }
}

TEST_F(Segment, truncation_is_found) {
    write_segment(path_, sample_records());
    const std::string whole = read_text(path_);
    for (std::size_t size = 0; size < whole.size(); size += size < 64 ? 1 : 97) {
        write_file(path_, whole.substr(0, size));
        ASSERT_THAT(data_error_of([&] { read_segment(path_); }), HasSubstr("the segment is damaged")) << size;
    }
    write_file(path_, whole.substr(0, whole.size() - 1));
    EXPECT_THAT(data_error_of([&] { read_segment(path_); }), HasSubstr("the segment is damaged"));
}

TEST_F(Segment, other_files_are_refused) {
    write_file(path_, std::string(1000, 'x'));
    EXPECT_THAT(data_error_of([&] { read_segment(path_); }), HasSubstr("the segment is damaged"));
    Hdf5File file(path_, Hdf5File::Mode::create);
    file.set_attribute("/", "format", "crossweep results");
    file.close();
    EXPECT_THAT(data_error_of([&] { read_segment(path_); }), HasSubstr("the segment is damaged"));
    EXPECT_THAT(data_error_of([&] { read_segment(folder_ / "none.h5"); }),
                HasSubstr("no such file or folder"));
}

/// Put the seal behind a file that another hand has made.
void seal(const std::filesystem::path& path) {
    const std::string contents = read_text(path);
    const ContentHash content = hash_text(contents);
    write_file(path, contents + "crossweep:xxh128" + bytes_of(content.high) + bytes_of(content.low));
}

TEST_F(Segment, unknown_version_is_refused_and_not_called_damage) {
    Hdf5File file(path_, Hdf5File::Mode::create);
    file.set_attribute("/", "format", "crossweep segment");
    file.set_attribute("/", "record_version", std::array{4.0});
    file.close();
    seal(path_);
    EXPECT_EQ(
        data_error_of([&] { read_segment(path_); }),
        path_.string() +
            ": the segment has record version 4 (this crossweep reads 1 to 3). Read it with the crossweep "
            "that wrote it, or start a new run directory.");
}

TEST_F(Segment, sealed_files_of_other_contents_are_refused) {
    const auto error_after = [&](auto&& fill) {
        Hdf5File file(path_, Hdf5File::Mode::create);
        file.set_attribute("/", "format", "crossweep segment");
        file.set_attribute("/", "record_version", std::array{1.0});
        fill(file);
        file.close();
        seal(path_);
        return data_error_of([&] { read_segment(path_); });
    };
    const std::vector<std::uint32_t> two(2), one(1);
    const std::vector<std::uint64_t> two_hashes(2);
    EXPECT_THAT(error_after([](Hdf5File&) {}), HasSubstr("though its bytes are those that were written"));
    EXPECT_THAT(error_after([&](Hdf5File& file) {
                    file.write<std::uint32_t>("/records/trial", one);
                    file.write<std::uint64_t>("/records/point_high", two_hashes);
                }),
                HasSubstr("/records/point_high has a length of its own"));
    const auto write_columns = [&](Hdf5File& file, const std::vector<std::uint64_t>& begins) {
        for (const char* name : {"point_high", "point_low"}) {
            file.write<std::uint64_t>(std::string("/records/") + name, two_hashes);
        }
        for (const char* name : {"trial", "shard", "images", "correct_top1", "correct_top5"}) {
            file.write<std::uint32_t>(std::string("/records/") + name, two);
        }
        file.write<double>("/records/seconds", std::vector<double>(2));
        file.write<std::string>("/records/failure", std::vector<std::string>(2));
        file.write<std::int32_t>("/predictions/class", std::vector<std::int32_t>(3));
        file.write<float>("/predictions/margin", std::vector<float>(3));
        file.write<double>("/attention/signal", {});
        file.write<double>("/attention/noise", {});
        file.write<std::uint64_t>("/records/predictions_begin", begins);
        file.write<std::uint64_t>("/records/attention_begin", std::vector<std::uint64_t>(2));
        file.set_attribute("/", "content_hash", "0");
    };
    for (const std::vector<std::uint64_t>& begins :
         {std::vector<std::uint64_t>{0, 4}, {2, 1}, {0}, {0, 0, 0}}) {
        EXPECT_THAT(error_after([&](Hdf5File& file) { write_columns(file, begins); }),
                    HasSubstr("does not divide"));
    }
    EXPECT_THAT(error_after([&](Hdf5File& file) {
                    write_columns(file, {0, 1});
                }),
                HasSubstr("its records do not match their hash"));
}

TEST_F(Segment, arrays_of_one_record_must_agree_in_length) {
    auto records = sample_records();
    records[0].margin.pop_back();
    EXPECT_THROW(write_segment(path_, records), InternalError);
    records = sample_records();
    records[0].loss.pop_back();
    EXPECT_THROW(write_segment(path_, records), InternalError);
    records = sample_records();
    records[3].hits.push_back(1);
    EXPECT_THROW(write_segment(path_, records), InternalError);
    EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(Segment, failed_write_keeps_the_older_segment) {
    write_segment(path_, sample_records());
    std::filesystem::create_directory(path_.string() + ".tmp");
    EXPECT_THROW(write_segment(path_, {}), DataError);
    expect_equal(read_segment(path_), sample_records());
}

TEST_F(Segment, status_is_that_of_the_whole_records) {
    for (const char* version : {"1", "2", "3"}) {
        const std::filesystem::path stored =
            fmt::format("{}/tests/io/stored/segment_version_{}.h5", CROSSWEEP_SOURCE_DIR, version);
        const auto records = read_segment(stored);
        const auto statuses = read_segment_status(stored);
        ASSERT_EQ(statuses.size(), records.size());
        for (std::size_t i = 0; i < records.size(); ++i) {
            EXPECT_EQ(statuses[i].key, records[i].key);
            EXPECT_EQ(statuses[i].failure, records[i].failure);
            EXPECT_EQ(statuses[i].images, records[i].images);
            EXPECT_EQ(statuses[i].predictions, records[i].predictions);
            EXPECT_EQ(statuses[i].correct_top1, records[i].correct_top1);
            EXPECT_EQ(statuses[i].seconds, records[i].seconds);
            EXPECT_EQ(statuses[i].path, records[i].path);
            EXPECT_EQ(statuses[i].layers, records[i].signal.size());
        }
    }
}

TEST_F(Segment, status_of_changed_bytes_is_refused_as_records_are) {
    write_segment(path_, sample_records());
    std::string changed = read_text(path_);
    const std::size_t in_an_array = changed.find(std::string("\x07\0\0\0\0\0\0\0\xe7\x03\0\0", 12));
    ASSERT_NE(in_an_array, std::string::npos);
    changed[in_an_array] = 6;
    write_file(path_, changed);
    const std::string message = data_error_of([&] { read_segment_status(path_); });
    EXPECT_EQ(message, data_error_of([&] { read_segment(path_); }));
    EXPECT_THAT(message, HasSubstr("its bytes are not those that were written"));
}

}  // namespace
}  // namespace crossweep::io
