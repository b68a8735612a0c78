// results.h5, field by field as docs/results.md lists it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "crossweep/core/error.hpp"
#include "crossweep/io/atomic_file.hpp"
#include "crossweep/io/hdf5_file.hpp"
#include "crossweep/sweep/results.hpp"
#include "io/temporary_folder.hpp"
#include "sweep/coin_toss.hpp"
#include "sweep/small_results.hpp"

namespace crossweep::sweep {
namespace {

using io::ElementKind;
using io::Hdf5File;
using testing::Each;
using testing::ElementsAre;
using Shape = std::vector<std::size_t>;

/// Six points: a grid axis of three by a zipped axis of two. 2 trials, 3 shards of 4 images, 2 layers, 2
/// references.
StudyDescription described() {
    StudyDescription study;
    study.attributes = {{"crossweep_version", "1.2.3"}, {"study_name", "coins"}};
    study.confidence = 0.9;
    study.axes = {
        {{"device.write_noise_factor", {"0", "3", "5"}, {0, 3, 5}}, {}},
        {{"device.g_max_S+transform.name", {"device.g_max_S=1e-06; transform.name=none", "b"}, {}},
         {{"device.g_max_S", {"1e-06", "1e-05"}, {1e-6, 1e-5}}, {"transform.name", {"none", "(2, 1)"}, {}}}}};
    study.parameters = {{"device.g_max_S", {}, {1e-6, 1e-5, 1e-6, 1e-5, 1e-6, 1e-5}},
                        {"transform.name", {"none", "(2, 1)", "none", "(2, 1)", "none", "(2, 1)"}, {}}};
    for (std::uint32_t i = 0; i < 12; ++i) {
        study.images.push_back(10 * i);
        study.labels.push_back(1);
    }
    study.shard_images = images_of_a_shard;
    study.points = 6;
    study.references = 2;
    study.reference_of_point = {0, 0, 0, 1, 1, 0};
    study.chip_noise.assign(6, ChipNoise::none);
    return study;
}

Workload six_points() {
    Workload workload = coin_workload();
    workload.point_keys.erase(workload.point_keys.begin() + 6);
    workload.group = {0, 0, 0, 1, 1, 0, 0, 1};
    workload.is_reference = {false, false, false, false, false, false, true, true};
    return workload;
}

class ResultsFile : public testing::Test {
  protected:
    Hdf5File write(const std::vector<io::Record>& records) {
        write_results(path_, study_, census_of(workload_, records), source_of(records));
        return {path_, Hdf5File::Mode::read};
    }

    io::TemporaryFolder folder_;
    std::filesystem::path path_ = folder_ / "results.h5";
    StudyDescription study_ = described();
    Workload workload_ = six_points();
    std::vector<io::Record> records_ = records_of(workload_, plan_units(workload_));
};

struct Field {
    const char* path;
    Shape shape;
    ElementKind kind;
};

const std::vector<Field> fields{
    {"/point", {6}, ElementKind::integer},
    {"/trial", {2}, ElementKind::integer},
    {"/shard", {3}, ElementKind::integer},
    {"/image", {12}, ElementKind::integer},
    {"/layer", {2}, ElementKind::integer},
    {"/reference_index", {2}, ElementKind::integer},
    {"/axes", {2}, ElementKind::text},
    {"/labels", {12}, ElementKind::integer},
    {"/points/device.g_max_S", {6}, ElementKind::real},
    {"/points/transform.name", {6}, ElementKind::text},
    {"/points/reference", {6}, ElementKind::integer},
    {"/reference/class", {2, 12}, ElementKind::integer},
    {"/reference/margin", {2, 12}, ElementKind::real},
    {"/reference/loss", {2, 12}, ElementKind::real},
    {"/records/images", {6, 2, 3}, ElementKind::integer},
    {"/records/predictions", {6, 2, 3}, ElementKind::integer},
    {"/records/correct_top1", {6, 2, 3}, ElementKind::integer},
    {"/records/correct_top5", {6, 2, 3}, ElementKind::integer},
    {"/records/seconds", {6, 2, 3}, ElementKind::real},
    {"/records/failed", {6, 2, 3}, ElementKind::unsigned_byte},
    {"/records/path", {6, 2, 3}, ElementKind::integer},
    {"/path", {1}, ElementKind::integer},
    {"/paths/name", {1}, ElementKind::text},
    {"/paths/records", {1}, ElementKind::integer},
    {"/predictions/class", {6, 2, 12}, ElementKind::integer},
    {"/predictions/margin", {6, 2, 12}, ElementKind::real},
    {"/predictions/loss", {6, 2, 12}, ElementKind::real},
    {"/attention/signal", {6, 2, 2}, ElementKind::real},
    {"/attention/noise", {6, 2, 2}, ElementKind::real},
    {"/surfaces/device.write_noise_factor", {3}, ElementKind::real},
    {"/surfaces/device.g_max_S+transform.name", {2}, ElementKind::text},
    {"/surfaces/device.g_max_S", {2}, ElementKind::real},
    {"/surfaces/transform.name", {2}, ElementKind::text},
    {"/surfaces/bound", {3}, ElementKind::text},
    {"/surfaces/layer", {2}, ElementKind::integer},
    {"/surfaces/top1_accuracy", {3, 2, 3}, ElementKind::real},
    {"/surfaces/top1_accuracy_images_like_these", {3, 2, 3}, ElementKind::real},
    {"/surfaces/top5_accuracy", {3, 2, 3}, ElementKind::real},
    {"/surfaces/accuracy_drop", {3, 2, 3}, ElementKind::real},
    {"/surfaces/loss", {3, 2, 3}, ElementKind::real},
    {"/surfaces/loss_images_like_these", {3, 2, 3}, ElementKind::real},
    {"/surfaces/snr_dB", {3, 2, 3}, ElementKind::real},
    {"/surfaces/snr_layer_dB", {3, 2, 2}, ElementKind::real},
};

TEST_F(ResultsFile, has_every_documented_field_with_its_shape_and_type) {
    const Hdf5File file = write(records_);
    for (const Field& field : fields) {
        ASSERT_TRUE(file.contains(field.path)) << field.path;
        EXPECT_EQ(file.shape(field.path), field.shape) << field.path;
        EXPECT_EQ(file.element_kind(field.path), field.kind) << field.path;
        EXPECT_TRUE(file.has_attribute(field.path, "long_name")) << field.path;
    }
}

TEST_F(ResultsFile, has_no_field_that_is_not_documented) {
    const Hdf5File file = write(records_);
    std::set<std::string> known;
    for (const Field& field : fields) known.insert(field.path);
    for (const std::string group :
         {"/points", "/records", "/paths", "/predictions", "/reference", "/attention", "/surfaces"}) {
        for (const std::string& name : file.members(group)) {
            EXPECT_TRUE(known.contains(group + "/" + name)) << group << "/" << name;
        }
    }
}

TEST_F(ResultsFile, says_what_made_it) {
    const Hdf5File file = write(records_);
    EXPECT_EQ(file.text_attribute("/", "format"), "crossweep results");
    EXPECT_EQ(file.text_attribute("/", "format_version"), "1");
    EXPECT_EQ(file.text_attribute("/", "crossweep_version"), "1.2.3");
    EXPECT_EQ(file.text_attribute("/", "study_name"), "coins");
    EXPECT_EQ(file.text_attribute("/", "content_hash"), io::content_hash(records_).hex());
    EXPECT_EQ(file.text_attribute("/", "complete"), "true");
    EXPECT_THAT(file.number_attribute("/", "confidence"), ElementsAre(0.9));
}

TEST_F(ResultsFile, names_units_as_the_keys_do) {
    const Hdf5File file = write(records_);
    EXPECT_EQ(file.text_attribute("/points/device.g_max_S", "units"), "S");
    EXPECT_EQ(file.text_attribute("/surfaces/device.write_noise_factor", "units"), "1");
    EXPECT_EQ(file.text_attribute("/surfaces/snr_dB", "units"), "dB");
    EXPECT_EQ(file.text_attribute("/records/seconds", "units"), "s");
}

TEST_F(ResultsFile, holds_each_record_at_its_place) {
    const Hdf5File file = write(records_);
    const io::Record expected = toss(PointId(4), TrialId(1), ShardId(2));
    const std::size_t cell = (4 * 2 + 1) * 3 + 2, first_image = (4 * 2 + 1) * 12 + 2 * images_of_a_shard;
    EXPECT_EQ(file.read<std::uint32_t>("/records/correct_top1")[cell], expected.correct_top1);
    EXPECT_EQ(file.read<double>("/records/seconds")[cell], expected.seconds);
    const auto predicted = file.read<std::int32_t>("/predictions/class");
    const auto margin = file.read<float>("/predictions/margin");
    for (std::size_t i = 0; i < images_of_a_shard; ++i) {
        EXPECT_EQ(predicted[first_image + i], expected.predicted[i]);
        EXPECT_EQ(margin[first_image + i], expected.margin[i]);
    }
    EXPECT_THAT(file.read<std::uint8_t>("/records/failed"), Each(0));
    EXPECT_THAT(file.read<std::uint32_t>("/image"), testing::ElementsAreArray(study_.images));
    EXPECT_EQ(file.read<double>("/attention/signal")[(4 * 2 + 1) * 2], 3 * 2.0);  // of three shards
    EXPECT_EQ(file.read<std::int32_t>("/reference/class")[12],
              toss(PointId(7), TrialId(0), ShardId(0)).predicted[0]);
}

TEST_F(ResultsFile, surfaces_hold_the_summaries_in_the_order_of_the_points) {
    const Hdf5File file = write(records_);
    const auto accuracy = file.read<double>("/surfaces/top1_accuracy");
    for (std::size_t point = 0; point < 6; ++point) {
        PointRecords records(2, 3), reference(2, 3);
        for (const io::Record& record : records_) {
            if (record.key.point == workload_.point_keys[point]) records.put(record);
            if (record.key.point == workload_.point_keys[6 + study_.reference_of_point[point]])
                reference.put(record);
        }
        const PointSummary summary = summarise(study_, point, records, reference);
        const Estimate& expected = summary.top1_accuracy.this_data_set;
        EXPECT_EQ(accuracy[3 * point], expected.low);
        EXPECT_EQ(accuracy[3 * point + 1], expected.best);
        EXPECT_EQ(accuracy[3 * point + 2], expected.high);
    }
    EXPECT_THAT(file.read<std::string>("/axes"),
                ElementsAre("device.write_noise_factor", "device.g_max_S+transform.name"));
    EXPECT_THAT(file.read<std::string>("/surfaces/bound"), ElementsAre("low", "best", "high"));
}

TEST_F(ResultsFile, marks_what_failed_and_what_is_not_there) {
    std::erase_if(records_, [&](const io::Record& record) { return record.key.trial == 1; });
    for (io::Record& record : records_) {
        if (record.key != io::RecordKey{workload_.point_keys[0], 0, 1}) continue;
        record = {.key = record.key,
                  .failure = "the coin is lost",
                  .predicted = {},
                  .margin = {},
                  .loss = {},
                  .hits = {},
                  .signal = {},
                  .noise = {}};
    }
    const Hdf5File file = write(records_);
    EXPECT_EQ(file.text_attribute("/", "complete"), "false");
    const auto failed = file.read<std::uint8_t>("/records/failed");
    EXPECT_THAT(std::vector(failed.begin(), failed.begin() + 6), ElementsAre(0, 1, 0, 2, 2, 2));
    EXPECT_EQ(file.read<std::int32_t>("/predictions/class")[images_of_a_shard], -1);
    EXPECT_TRUE(std::isnan(file.read<float>("/predictions/margin")[images_of_a_shard]));
}

TEST_F(ResultsFile, names_the_path_of_every_record_that_succeeded) {
    std::erase_if(records_, [&](const io::Record& record) { return record.key.trial == 1; });
    for (io::Record& record : records_) {
        record.path = record.key.shard == 0 ? "wide" : "narrow";
        if (record.key == io::RecordKey{workload_.point_keys[0], 0, 1}) {
            record.failure = "the coin is lost";
            record.path = "of a failed record";
        }
    }
    const Hdf5File file = write(records_);
    EXPECT_THAT(file.read<std::string>("/paths/name"), ElementsAre("narrow", "wide"));
    // Six points and two references have a trial of three shards each, one of which failed.
    EXPECT_THAT(file.read<std::uint32_t>("/paths/records"), ElementsAre(15, 8));
    const auto path = file.read<std::int32_t>("/records/path");
    EXPECT_THAT(std::vector(path.begin(), path.begin() + 9), ElementsAre(1, -1, 0, -1, -1, -1, 1, 0, 0));
}

TEST_F(ResultsFile, of_no_records_has_no_paths) {
    EXPECT_EQ(write({}).shape("/paths/name"), Shape{0});
}

TEST_F(ResultsFile, of_a_study_without_axes_has_surfaces_of_bounds_alone) {
    SmallResults results;
    write_results(path_, results.study, census_of(results.workload, results.records),
                  source_of(results.records));
    const Hdf5File file(path_, Hdf5File::Mode::read);
    EXPECT_EQ(file.shape("/axes"), Shape{0});
    EXPECT_EQ(file.shape("/surfaces/top1_accuracy"), Shape{3});
    EXPECT_EQ(file.shape("/surfaces/snr_layer_dB"), Shape{2});
    EXPECT_NEAR(file.read<double>("/surfaces/snr_dB")[1], 10, 1e-9);
}

TEST_F(ResultsFile, of_a_language_model_has_perplexity_and_bits_per_character) {
    const SmallResults results = SmallResults::of_texts();
    write_results(path_, results.study, census_of(results.workload, results.records),
                  source_of(results.records));
    const Hdf5File file(path_, Hdf5File::Mode::read);
    EXPECT_THAT(file.number_attribute("/", "characters_per_token"), ElementsAre(2));
    EXPECT_EQ(file.text_attribute("/labels", "long_name"), "last token of the text");
    EXPECT_THAT(file.read<float>("/predictions/loss"), ElementsAre(1, 2, 3, 2, 2, 3, 4, 3));
    EXPECT_THAT(file.read<float>("/reference/loss"), ElementsAre(0.5F, 1, 1, 0.5F));
    EXPECT_THAT(file.read<std::uint32_t>("/records/predictions"), Each(3));
    for (const std::string which : {"", "_images_like_these"}) {
        const auto loss = file.read<double>("/surfaces/loss" + which);
        const auto perplexity = file.read<double>("/surfaces/perplexity" + which);
        const auto bits = file.read<double>("/surfaces/bits_per_character" + which);
        for (std::size_t bound = 0; bound < 3; ++bound) {
            EXPECT_DOUBLE_EQ(perplexity[bound], std::exp(loss[bound]));
            EXPECT_DOUBLE_EQ(bits[bound], loss[bound] / std::log(2.0) / 2);
        }
    }
    EXPECT_EQ(file.text_attribute("/surfaces/loss", "units"), "nat");
    EXPECT_EQ(file.text_attribute("/surfaces/perplexity", "units"), "1");
    EXPECT_EQ(file.text_attribute("/surfaces/bits_per_character", "units"), "bit");
}

TEST_F(ResultsFile, of_records_without_loss_has_none) {
    const SmallResults results;
    write_results(path_, results.study, census_of(results.workload, results.records),
                  source_of(results.records));
    const Hdf5File file(path_, Hdf5File::Mode::read);
    EXPECT_THAT(file.read<float>("/predictions/loss"), Each(testing::IsNan()));
    EXPECT_THAT(file.read<double>("/surfaces/loss"), Each(testing::IsNan()));
    EXPECT_FALSE(file.has_attribute("/", "characters_per_token"));
    EXPECT_FALSE(file.contains("/surfaces/perplexity"));
}

TEST_F(ResultsFile, is_replaced_whole_or_not_at_all) {
    write(records_);
    records_.pop_back();
    EXPECT_EQ(write(records_).text_attribute("/", "complete"), "false");
    EXPECT_FALSE(std::filesystem::exists(folder_ / "results.h5.tmp"));
    const auto nowhere = folder_ / "none/results.h5";
    EXPECT_FALSE(io::data_error_of([&] {
                     write_results(nowhere, study_, census_of(workload_, records_), source_of(records_));
                 }).empty());
}

/// Numbers of bytes that make one bucket of all points, some of several, one of each point.
class ResultsInBuckets : public ResultsFile, public testing::WithParamInterface<std::size_t> {
  protected:
    /// The bytes of the file written from `records`.
    std::string written(const std::vector<io::Record>& records, std::size_t memory_bytes) {
        content_ =
            write_results(path_, study_, census_of(workload_, records), source_of(records), memory_bytes);
        EXPECT_FALSE(std::filesystem::exists(folder_ / "merge.tmp"));
        return io::read_text(path_);
    }
    ContentHash content_;
};

INSTANTIATE_TEST_SUITE_P(Bytes, ResultsInBuckets, testing::Values(0, 2000, 5000, 1000000));

TEST_P(ResultsInBuckets, are_those_of_records_in_memory_byte_by_byte) {
    const std::string expected = written(records_, default_merge_bytes);
    EXPECT_EQ(content_, io::content_hash(records_));
    EXPECT_EQ(written(records_, GetParam()), expected);
    EXPECT_EQ(content_, io::content_hash(records_));
}

TEST_P(ResultsInBuckets, do_not_depend_on_the_order_of_records_and_on_repetitions) {
    const std::string expected = written(records_, default_merge_bytes);
    auto shuffled = records_;
    std::ranges::reverse(shuffled);
    const std::size_t records = shuffled.size();
    for (std::size_t i = 0; i < records; i += 3) {
        shuffled.push_back(shuffled[i]);
        io::Record failed;
        failed.key = shuffled[i].key;
        failed.failure = "the coin is lost";
        shuffled.push_back(failed);
    }
    shuffled.push_back(records_[0]);
    shuffled.back().key.point = {99, 99};
    EXPECT_EQ(written(shuffled, GetParam()), expected);
}

TEST_P(ResultsInBuckets, give_points_that_share_their_records_each_a_row) {
    workload_.point_keys[5] = workload_.point_keys[0];  // in buckets of their own
    std::erase_if(records_, [](const io::Record& record) { return record.key.point == ContentHash{6, 77}; });
    const std::string expected = written(records_, default_merge_bytes);
    EXPECT_EQ(written(records_, GetParam()), expected);
    EXPECT_EQ(content_, io::content_hash(records_));
    const Hdf5File file(path_, Hdf5File::Mode::read);
    const auto predicted = file.read<std::int32_t>("/predictions/class");
    EXPECT_TRUE(std::equal(predicted.begin(), predicted.begin() + 24, predicted.begin() + 5 * 24));
}

TEST_P(ResultsInBuckets, leave_nothing_behind_when_reading_fails) {
    const RecordSource broken = [&](const auto& visit) {
        for (const io::Record& record : records_) visit(record);
        EXPECT_EQ(std::filesystem::exists(folder_ / "merge.tmp"), GetParam() < 1000000);
        throw DataError("the segment is damaged");
    };
    EXPECT_EQ(io::data_error_of(
                  [&] { write_results(path_, study_, census_of(workload_, records_), broken, GetParam()); }),
              "the segment is damaged");
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_P(ResultsInBuckets, of_a_run_directory_leave_out_what_is_damaged) {
    auto directory =
        RunDirectory::open(folder_ / "run", "", [](const auto&) { return std::vector<std::string>(); }, {});
    const std::span all(records_);
    directory.append(all.first(30));
    directory.append(all.subspan(20, 10));  // once more
    directory.append(all.subspan(30));
    std::filesystem::resize_file(folder_ / "run/segments/000003.h5", 1000);
    Census census(workload_);
    const auto segments = directory.scan([&](const auto& record, const auto&) { census.add(record); });
    EXPECT_EQ(segments.damaged.size(), 1);
    directory.append(all.subspan(30));  // too late for this merge
    const RecordSource source = [&](const auto& visit) { read_records(segments.whole, visit); };
    const ContentHash content = write_results(path_, study_, census, source, GetParam());
    EXPECT_EQ(content, io::content_hash(all.first(30)));
    const Hdf5File file(path_, Hdf5File::Mode::read);
    EXPECT_EQ(file.text_attribute("/", "complete"), "false");
}

TEST_F(ResultsFile, is_written_where_a_killed_merge_left_its_files) {
    std::filesystem::create_directories(folder_ / "merge.tmp");
    io::write_file(folder_ / "merge.tmp/000000.records", "half");
    write(records_);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "merge.tmp"));
}

}  // namespace
}  // namespace crossweep::sweep
