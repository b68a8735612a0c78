// What a good study file means: settings, axes, points, overrides.
#include "crossweep/config/study.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "config/study_text.hpp"
#include "crossweep/core/error.hpp"

namespace crossweep::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::filesystem::path file = "/studies/set/small.toml";

Study parse(const std::string& more = "", const std::vector<std::string>& overrides = {}) {
    return parse_study(small_study + more, file, overrides);
}

TEST(Study, without_a_sweep_is_one_point) {
    const auto study = parse();
    EXPECT_TRUE(study.axes.empty());
    ASSERT_EQ(study.points.size(), 1U);
    EXPECT_TRUE(study.points[0].index.empty());
    EXPECT_EQ(study.points[0].settings.study.trials, 3U);
}

TEST(Study, keys_that_are_not_given_keep_the_defaults_of_their_structs) {
    const auto base = parse().base;
    EXPECT_EQ(base.study.seed, StudyParams{}.seed);
    EXPECT_EQ(base.device.g_max_S, device::DeviceParams{}.g_max_S);
    EXPECT_EQ(base.crossbar.weight_levels, crossbar::CrossbarParams{}.weight_levels);
    EXPECT_EQ(base.run.segment_s, RunParams{}.segment_s);
    EXPECT_EQ(base.transform, "none");
}

TEST(Study, relative_paths_are_relative_to_the_study_file) {
    const auto base = parse().base;
    EXPECT_EQ(base.model.weights, "/studies/data/vit.safetensors");
    EXPECT_EQ(base.data.images, "/data/images.gz");
    EXPECT_EQ(base.data.labels, "/studies/set/labels.gz");
}

TEST(Study, an_optional_path_that_is_empty_stays_empty) {
    EXPECT_TRUE(parse("", {"data.labels="}).base.data.labels.empty());
}

TEST(Study, words_name_the_enumerators) {
    using crossbar::InputScale;
    using crossbar::ScaleBlock;
    using device::Clamp;
    using device::ReadNoiseMode;
    using trial::ImageChoice;
    const auto with = [](const std::string& setting) { return parse("", {setting}).base; };
    EXPECT_EQ(with("data.choice=first").data.choice, ImageChoice::first);
    EXPECT_EQ(with("data.choice=spread").data.choice, ImageChoice::spread);
    EXPECT_EQ(with("data.choice=random").data.choice, ImageChoice::random);
    EXPECT_EQ(with("device.read_noise=per_read").device.read_noise, ReadNoiseMode::per_read);
    EXPECT_EQ(with("device.read_noise=frozen").device.read_noise, ReadNoiseMode::frozen);
    EXPECT_EQ(with("device.clamp=none").device.clamp, Clamp::none);
    EXPECT_EQ(with("device.clamp=non_negative").device.clamp, Clamp::non_negative);
    EXPECT_EQ(with("device.clamp=window").device.clamp, Clamp::window);
    EXPECT_EQ(with("crossbar.weight_scale=tensor").crossbar.weight_scale, ScaleBlock::tensor);
    EXPECT_EQ(with("crossbar.weight_scale=head").crossbar.weight_scale, ScaleBlock::head);
    EXPECT_EQ(with("crossbar.written_scale=column").crossbar.written_scale, ScaleBlock::column);
    EXPECT_EQ(with("crossbar.written_scale=tile").crossbar.written_scale, ScaleBlock::tile);
    EXPECT_EQ(with("crossbar.input_scale=token").crossbar.input_scale, InputScale::token);
    EXPECT_EQ(with("crossbar.input_scale=tensor").crossbar.input_scale, InputScale::tensor);
}

TEST(Study, words_of_noise_and_conversion_name_the_enumerators) {
    using namespace crossbar;
    using namespace device;
    const auto with = [](const std::string& setting) { return parse("", {setting}).base; };
    EXPECT_EQ(with("device.read_noise_law=proportional").device.read_noise_law, ReadNoiseLaw::proportional);
    EXPECT_EQ(with("device.read_noise_law=constant").device.read_noise_law, ReadNoiseLaw::constant);
    EXPECT_EQ(with("device.write_noise_law=clipformer").device.write_noise_law, WriteNoiseLaw::clipformer);
    EXPECT_EQ(with("device.write_noise_law=proportional").device.write_noise_law,
              WriteNoiseLaw::proportional);
    EXPECT_EQ(with("device.write_noise_law=constant").device.write_noise_law, WriteNoiseLaw::constant);
    const auto measured = parse("", {"device.read_noise_law=table", "device.write_noise_law=table",
                                     "device.read_noise_table_conductance_S=[0, 1]",
                                     "device.read_noise_table_deviation_S=[0, 1]",
                                     "device.write_noise_table_conductance_S=[0, 1]",
                                     "device.write_noise_table_deviation_S=[0, 1]"})
                              .base.device;
    EXPECT_EQ(measured.read_noise_law, ReadNoiseLaw::table);
    EXPECT_EQ(measured.write_noise_law, WriteNoiseLaw::table);
    EXPECT_EQ(with("crossbar.mapping=differential").crossbar.mapping, Mapping::differential);
    EXPECT_EQ(with("crossbar.mapping=offset").crossbar.mapping, Mapping::offset);
    EXPECT_EQ(with("crossbar.input_encoding=twos_complement").crossbar.input_encoding,
              InputEncoding::twos_complement);
    EXPECT_EQ(with("crossbar.input_encoding=sign_magnitude").crossbar.input_encoding,
              InputEncoding::sign_magnitude);
    EXPECT_EQ(with("crossbar.adc_range=full").crossbar.adc_range, AdcRange::full);
    EXPECT_EQ(with("crossbar.adc_range=calibrated").crossbar.adc_range, AdcRange::calibrated);
    EXPECT_EQ(with("crossbar.adc_range=explicit").crossbar.adc_range, AdcRange::given);
}

TEST(Study, words_of_transforms_name_the_enumerators) {
    using namespace transform;
    const auto with = [](const std::string& setting) {
        return parse("", {"transforms.a." + setting}).base.transforms.at("a");
    };
    EXPECT_EQ(with("centre_keys=no").centre_keys, CentreKeys::no);
    EXPECT_EQ(with("centre_keys=yes").centre_keys, CentreKeys::yes);
    EXPECT_EQ(with("clip_block=tensor").clip_block, ClipBlock::tensor);
    EXPECT_EQ(with("clip_block=head").clip_block, ClipBlock::head);
    EXPECT_EQ(with("clip_block=column").clip_block, ClipBlock::column);
    EXPECT_EQ(with("rescale=none").rescale, Rescale::none);
    EXPECT_EQ(with("rescale=window").rescale, Rescale::window);
}

TEST(Study, limits_that_belong_to_the_range_are_accepted) {
    for (const auto* setting : {"device.g_max_S=1",
                                "device.write_noise_factor=0",
                                "device.read_noise_sigma=10",
                                "study.seed=4294967295",
                                "study.seed=0",
                                "study.trials=1e6",
                                "crossbar.weight_levels=0",
                                "device.bits_per_cell=1",
                                "device.bits_per_cell=4",
                                "device.levels=0",
                                "device.levels=65536",
                                "device.stuck_at_g_min=1",
                                "device.retention_s=0",
                                "crossbar.adc_bits=0",
                                "crossbar.adc_bits=16",
                                "crossbar.adc_percentile=100",
                                "crossbar.adc_range_top=1",
                                "crossbar.dac_bits=8",
                                "transforms.a.percentile=100",
                                "transforms.a.write_verify_iterations=15",
                                "crossbar.weight_levels=2",
                                "crossbar.input_bits=16",
                                "crossbar.array_rows=65536",
                                "transforms.\"(2, 0.25)\".alpha=0",
                                "transforms.\"(2, 0.25)\".beta=1"}) {
        EXPECT_NO_THROW(parse("", {setting})) << setting;
    }
}

TEST(Study, limits_that_do_not_belong_to_the_range_are_refused) {
    for (const auto* setting : {"device.g_max_S=0",
                                "device.on_off_ratio=1",
                                "study.confidence=1",
                                "study.trials=0",
                                "study.confidence=0",
                                "study.seed=4294967296",
                                "crossbar.weight_levels=1",
                                "crossbar.input_bits=1",
                                "device.bits_per_cell=0",
                                "device.bits_per_cell=9",
                                "device.levels=65537",
                                "device.drift_t0_s=0",
                                "device.stuck_at_g_max=1.01",
                                "crossbar.adc_bits=17",
                                "crossbar.adc_percentile=0",
                                "crossbar.dac_bits=0",
                                "crossbar.dac_bits=9",
                                "transforms.a.percentile=0",
                                "transforms.a.write_verify_iterations=16",
                                "transforms.a.write_verify_tolerance=0",
                                "crossbar.array_rows=0",
                                "run.segment_s=0",
                                "transforms.\"(2, 0.25)\".beta=0",
                                "transforms.\"(2, 0.25)\".alpha=0.5"}) {
        EXPECT_THROW(parse("", {setting}), ConfigError) << setting;
    }
}

TEST(Study, a_point_carries_the_transform_in_force) {
    EXPECT_EQ(parse().points[0].settings.point().transform.alpha, 0);
    const auto clipped = parse("", {"transform.name=(2, 0.25)"}).points[0].settings.point();
    EXPECT_EQ(clipped.transform.alpha, 2);
    EXPECT_EQ(clipped.transform.beta, 0.25);
    EXPECT_EQ(Settings{}.point().transform.beta, 1);
}

TEST(Sweep, grid_points_run_with_the_last_axis_fastest) {
    const auto study = parse(R"toml(
[sweep.grid]
"device.write_noise_factor" = [0, 3.0, 4.5]
"transform.name" = ["none", "(2, 0.25)"]
)toml");
    ASSERT_EQ(study.axes.size(), 2U);
    EXPECT_EQ(study.axes[0].name, "device.write_noise_factor");
    EXPECT_THAT(study.axes[0].text, ElementsAre(ElementsAre("0"), ElementsAre("3"), ElementsAre("4.5")));
    EXPECT_EQ(study.axes[0].number[2][0], 4.5);
    EXPECT_THAT(study.axes[1].text, ElementsAre(ElementsAre("none"), ElementsAre("(2, 0.25)")));
    EXPECT_FALSE(study.axes[1].number[0][0].has_value());
    ASSERT_EQ(study.points.size(), 6U);
    EXPECT_THAT(study.points[3].index, ElementsAre(1, 1));
    EXPECT_EQ(study.points[3].settings.device.write_noise_factor, 3);
    EXPECT_EQ(study.points[3].settings.transform, "(2, 0.25)");
    EXPECT_EQ(study.points[4].settings.transform, "none");
}

TEST(Sweep, grid_axes_keep_file_order_however_their_keys_are_written) {
    const auto study = parse(R"toml(
[sweep.grid]
transform.name = ["none", "(2, 0.25)"]
device.write_noise_factor = [3, 4]
"crossbar.input_bits" = [6, 8]
transforms."(2, 0.25)".beta = [0.25, 0.5]
device.clamp = ["none"]
"transforms.\"(2, 0.25)\".alpha" = [1, 2]
)toml");
    std::vector<std::string> names;
    for (const auto& axis : study.axes) names.push_back(axis.name);
    EXPECT_THAT(names, ElementsAre("transform.name", "device.write_noise_factor", "crossbar.input_bits",
                                   "transforms.\"(2, 0.25)\".beta", "device.clamp",
                                   "transforms.\"(2, 0.25)\".alpha"));
    EXPECT_EQ(study.points.size(), 32U);
    EXPECT_EQ(study.points[31].settings.point().transform.beta, 0.5);
}

TEST(Sweep, zipped_keys_walk_together) {
    const auto study = parse(R"toml(
[[sweep.zip]]
"device.g_max_S" = [1e-5, 2e-5]
"device.on_off_ratio" = [100, 200]
[[sweep.zip]]
device.write_noise_factor = [3, 5]
[sweep.grid]
device.read_noise_sigma = [0, 0.05]
)toml");
    ASSERT_EQ(study.axes.size(), 3U);
    EXPECT_EQ(study.axes[0].name, "device.read_noise_sigma");
    EXPECT_EQ(study.axes[1].name, "device.g_max_S+device.on_off_ratio");
    EXPECT_THAT(study.axes[1].text[1], ElementsAre("2e-05", "200"));
    ASSERT_EQ(study.points.size(), 8U);
    EXPECT_EQ(study.points[2].settings.device.g_max_S, 2e-5);
    EXPECT_EQ(study.points[2].settings.device.on_off_ratio, 200);
}

TEST(Sweep, listed_points_keep_the_settings_that_they_leave_out) {
    const auto study = parse(R"toml(
[[sweep.points]]
"device.write_noise_factor" = 7
[[sweep.points]]
device.read_noise_sigma = 0.1
device.write_noise_factor = 4
[[sweep.points]]
)toml");
    ASSERT_EQ(study.axes.size(), 1U);
    EXPECT_EQ(study.axes[0].name, "listed");
    EXPECT_THAT(study.axes[0].keys, ElementsAre("device.write_noise_factor", "device.read_noise_sigma"));
    EXPECT_THAT(study.axes[0].text,
                ElementsAre(ElementsAre("7", ""), ElementsAre("4", "0.1"), ElementsAre("", "")));
    EXPECT_FALSE(study.axes[0].number[0][1].has_value());
    EXPECT_EQ(study.points[0].settings.device.read_noise_sigma, 0.05);
    EXPECT_EQ(study.points[2].settings.device.write_noise_factor, 3);
}

TEST(Sweep, weights_of_an_axis_need_no_setting_of_their_own) {
    const auto study = parse_study(R"toml(
[data]
images = "i.h5"
[sweep.grid]
model.weights = ["a.safetensors", "../b.safetensors"]
)toml",
                                   file);
    EXPECT_EQ(study.points[1].settings.model.weights, "/studies/b.safetensors");
    EXPECT_EQ(study.axes[0].text[0][0], "/studies/set/a.safetensors");
}

TEST(Override, sets_any_key) {
    const auto study = parse("", {"device.g_max_S=2e-5", "device.clamp=window",
                                  "model.weights=x/y.safetensors", "data.mean=[0.5, 0.5]", "data.std=[1, 1]",
                                  "study.name=\"quoted\"", "transforms.soft.alpha=1", "transform.name=soft"});
    EXPECT_EQ(study.base.device.g_max_S, 2e-5);
    EXPECT_EQ(study.base.device.clamp, device::Clamp::window);
    // Relative to where the command is given, as a shell completes it.
    EXPECT_EQ(study.base.model.weights, std::filesystem::current_path() / "x/y.safetensors");
    EXPECT_THAT(study.base.data.mean, ElementsAre(0.5, 0.5));
    EXPECT_EQ(study.base.study.name, "quoted");
    EXPECT_EQ(study.base.point().transform.alpha, 1);
}

TEST(Override, the_last_of_one_key_holds) {
    EXPECT_EQ(parse("", {"study.trials=7", "study.trials=9"}).base.study.trials, 9U);
}

TEST(Override, replaces_an_axis_in_its_place_and_adds_others_last) {
    const auto study = parse(
        R"toml(
[sweep.grid]
device.write_noise_factor = [0, 3, 4]
device.read_noise_sigma = [0, 0.05]
)toml",
        {"sweep.grid.\"device.write_noise_factor\"=[3, 5]", "sweep.grid.device.on_off_ratio=[50, 100, 200]"});
    ASSERT_EQ(study.axes.size(), 3U);
    EXPECT_EQ(study.axes[0].name, "device.write_noise_factor");
    EXPECT_THAT(study.axes[0].text, ElementsAre(ElementsAre("3"), ElementsAre("5")));
    EXPECT_EQ(study.axes[2].name, "device.on_off_ratio");
}

TEST(LoadStudy, reads_a_file_and_says_when_it_cannot) {
    const auto folder = std::filesystem::temp_directory_path() / "crossweep_config_test";
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "a.toml") << small_study;
    EXPECT_EQ(load_study(folder / "a.toml").base.data.labels, folder / "labels.gz");
    for (const auto& wrong : {folder / "missing.toml", folder}) {
        try {
            load_study(wrong);
            FAIL() << wrong;
        } catch (const DataError& error) {
            EXPECT_THAT(error.what(), HasSubstr(wrong.string() + " cannot be read ("));
        }
    }
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace crossweep::config
