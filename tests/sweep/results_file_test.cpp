// results.h5, field by field as docs/results.md lists it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

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
        write_results(path_, study_, RecordTable(workload_, records));
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
    {"/records/images", {6, 2, 3}, ElementKind::integer},
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
    const auto summaries = summarise(study_, RecordTable(workload_, records_));
    const auto accuracy = file.read<double>("/surfaces/top1_accuracy");
    for (std::size_t point = 0; point < 6; ++point) {
        const Estimate& expected = summaries[point].top1_accuracy.this_data_set;
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
    write_results(path_, results.study, RecordTable(results.workload, results.records));
    const Hdf5File file(path_, Hdf5File::Mode::read);
    EXPECT_EQ(file.shape("/axes"), Shape{0});
    EXPECT_EQ(file.shape("/surfaces/top1_accuracy"), Shape{3});
    EXPECT_EQ(file.shape("/surfaces/snr_layer_dB"), Shape{2});
    EXPECT_NEAR(file.read<double>("/surfaces/snr_dB")[1], 10, 1e-9);
}

TEST_F(ResultsFile, is_replaced_whole_or_not_at_all) {
    write(records_);
    records_.pop_back();
    EXPECT_EQ(write(records_).text_attribute("/", "complete"), "false");
    EXPECT_FALSE(std::filesystem::exists(folder_ / "results.h5.tmp"));
    const auto nowhere = folder_ / "none/results.h5";
    EXPECT_FALSE(
        io::data_error_of([&] { write_results(nowhere, study_, RecordTable(workload_, records_)); }).empty());
}

}  // namespace
}  // namespace crossweep::sweep
