// What is written of a study: the resolved text, identities, differences and the reference manual.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "config/study_text.hpp"
#include "crossweep/config/study.hpp"

namespace crossweep::config {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::string every_axis = R"toml(
[transforms.soft]
alpha = 1
[sweep.grid]
"device.write_noise_factor" = [0, 3, 4]
"transform.name" = ["none", "(2, 0.25)", "soft"]
transforms."(2, 0.25)".beta = [0.25, 0.1]
[[sweep.zip]]
"device.g_max_S" = [1e-5, 0.1]
"device.clamp" = ["none", "window"]
[[sweep.zip]]
device.programming_noise_sigma = [0, 0.02]
[[sweep.points]]
crossbar.input_bits = 6
[[sweep.points]]
crossbar.array_rows = 128
crossbar.input_bits = 7
)toml";

Study parse(const std::string& more = "", const std::vector<std::string>& overrides = {}) {
    return parse_study(small_study + more, "/studies/set/small.toml", overrides);
}

std::map<std::string, std::string> identity_of(const std::vector<std::string>& overrides) {
    const auto pairs = identity(parse("", overrides).points[0].settings);
    return {pairs.begin(), pairs.end()};
}

TEST(ResolvedToml, reads_back_as_the_same_points) {
    const auto study = parse(every_axis);
    const auto again = parse_study(study.resolved_toml, "/elsewhere/study.toml");
    ASSERT_EQ(again.points.size(), study.points.size());
    ASSERT_EQ(study.points.size(), 3U * 3 * 2 * 2 * 2 * 2);
    for (std::size_t p = 0; p < study.points.size(); ++p) {
        EXPECT_EQ(again.points[p].index, study.points[p].index);
        EXPECT_EQ(identity(again.points[p].settings), identity(study.points[p].settings));
        EXPECT_EQ(again.points[p].settings.model.weights, study.points[p].settings.model.weights);
        EXPECT_EQ(again.points[p].settings.transform, study.points[p].settings.transform);
    }
    for (std::size_t a = 0; a < study.axes.size(); ++a) {
        EXPECT_EQ(again.axes[a].name, study.axes[a].name);
        EXPECT_EQ(again.axes[a].text, study.axes[a].text);
    }
}

TEST(ResolvedToml, of_a_resolved_study_is_the_same_text) {
    const auto once = parse(every_axis).resolved_toml;
    EXPECT_EQ(parse_study(once, "/elsewhere/study.toml").resolved_toml, once);
}

TEST(ResolvedToml, does_not_depend_on_how_the_study_was_written) {
    const auto quoted = parse("[sweep.grid]\n\"device.write_noise_factor\" = [3, 4]\n");
    const auto dotted =
        parse("[device]\nwrite_noise_factor = 7\n[sweep.grid]\ndevice.write_noise_factor = [3.0, 4e0]\n");
    EXPECT_EQ(quoted.resolved_toml, dotted.resolved_toml);
    EXPECT_EQ(parse("[device]\ng_max_S = 2e-5\n").resolved_toml,
              parse("", {"device.g_max_S=0.00002"}).resolved_toml);
}

TEST(ResolvedToml, writes_numbers_in_their_shortest_form) {
    const auto text =
        parse("", {"device.write_noise_factor=3.0", "device.read_noise_sigma=0.10"}).resolved_toml;
    EXPECT_THAT(text, HasSubstr("write_noise_factor = 3\n"));
    EXPECT_THAT(text, HasSubstr("read_noise_sigma = 0.1\n"));
    EXPECT_THAT(text, HasSubstr("g_max_S = 1e-05\n"));
    EXPECT_THAT(text, HasSubstr("mean = [0.286]\n"));
}

TEST(ResolvedToml, survives_quotes_in_names) {
    const auto study = parse(R"toml(
[transforms."a \"b\" \\ c.d"]
alpha = 1
[sweep.grid]
transforms.'a "b" \ c.d'.alpha = [1, 2]
)toml",
                             {"study.name=tab\there \"and\" \\"});
    const auto again = parse_study(study.resolved_toml, "/elsewhere/study.toml");
    EXPECT_EQ(again.resolved_toml, study.resolved_toml);
    EXPECT_EQ(again.base.study.name, "tab\there \"and\" \\");
    EXPECT_EQ(again.points.size(), 2U);
}

TEST(Identity, leaves_out_what_changes_no_result) {
    const auto plain = identity_of({});
    EXPECT_EQ(plain, identity_of({"study.name=other", "study.trials=9", "study.confidence=0.9",
                                  "run.batch_images=3", "model.weights=other.safetensors",
                                  "data.images=other.gz", "data.labels=other.gz"}));
    for (const auto& [key, text] : plain) EXPECT_THAT(text, Not(HasSubstr("/"))) << key;
}

TEST(Identity, holds_everything_that_changes_a_result) {
    const auto plain = identity_of({});
    for (const auto* setting : {"study.seed=2",
                                "data.count=99",
                                "data.choice=spread",
                                "data.shard_images=7",
                                "data.mean=[0.1]",
                                "data.std=[0.1]",
                                "model.num_heads=3",
                                "device.g_max_S=2e-5",
                                "device.on_off_ratio=50",
                                "device.read_noise_sigma=0.1",
                                "device.read_noise=frozen",
                                "device.write_noise_sigma=0.2",
                                "device.write_noise_factor=4",
                                "device.programming_noise_sigma=0.1",
                                "device.clamp=window",
                                "crossbar.weight_levels=16",
                                "crossbar.input_bits=6",
                                "crossbar.weight_scale=head",
                                "crossbar.written_scale=head",
                                "crossbar.input_scale=tensor",
                                "crossbar.array_rows=32",
                                "crossbar.array_columns=32",
                                "transform.name=(2, 0.25)"}) {
        EXPECT_NE(plain, identity_of({setting})) << setting;
    }
}

TEST(Identity, names_a_transform_by_its_parameters) {
    EXPECT_EQ(identity_of({"transforms.soft.alpha=1", "transform.name=soft"}),
              identity_of({"transforms.other.alpha=1", "transform.name=other"}));
    const auto clipped = identity_of({"transform.name=(2, 0.25)"});
    EXPECT_EQ(clipped.at("transform.alpha"), "2");
    EXPECT_EQ(clipped.at("transform.beta"), "0.25");
    EXPECT_FALSE(clipped.contains("transform.name"));
}

TEST(KeyValues, give_text_and_number_of_scalar_keys) {
    std::map<std::string, KeyValue> values;
    for (const auto& value : key_values(parse("", {"transform.name=(2, 0.25)"}).points[0].settings)) {
        EXPECT_TRUE(values.emplace(value.key, value).second) << value.key;
    }
    EXPECT_EQ(values.at("device.g_max_S").number, 1e-5);
    EXPECT_EQ(values.at("device.g_max_S").text, "1e-05");
    EXPECT_EQ(values.at("device.read_noise").text, "per_read");
    EXPECT_FALSE(values.at("device.read_noise").number.has_value());
    EXPECT_EQ(values.at("transform.name").text, "(2, 0.25)");
    EXPECT_EQ(values.at("transform.beta").number, 0.25);
    EXPECT_EQ(values.at("model.weights").text, "/studies/data/vit.safetensors");
    EXPECT_FALSE(values.contains("run.segment_s"));
    EXPECT_FALSE(values.contains("data.mean"));
}

TEST(Differences, of_a_study_with_itself_are_none) {
    const auto text = parse(every_axis).resolved_toml;
    EXPECT_THAT(differences(text, text), IsEmpty());
}

TEST(Differences, leave_out_run_settings_and_paths) {
    const auto stored = parse("[sweep.grid]\nmodel.weights = [\"a\", \"b\"]\n");
    const auto moved = parse_study(small_study + "[sweep.grid]\nmodel.weights = [\"a\", \"b\"]\n",
                                   "/moved/small.toml", {"run.batch_images=3", "data.images=other.gz"});
    EXPECT_NE(stored.resolved_toml, moved.resolved_toml);
    EXPECT_THAT(differences(stored.resolved_toml, moved.resolved_toml), IsEmpty());
}

TEST(Differences, say_what_was_and_what_is) {
    const auto stored = parse("[sweep.grid]\ndevice.write_noise_factor = [3, 4]\n").resolved_toml;
    const auto fresh =
        parse("[transforms.soft]\nalpha = 1\n[sweep.grid]\ndevice.write_noise_factor = [3, 5]\n",
              {"device.g_max_S=2e-5"})
            .resolved_toml;
    EXPECT_THAT(
        differences(stored, fresh),
        ElementsAre(
            "device.g_max_S is 1e-05 in the stored study and 2e-05 in the new one.",
            "sweep.grid.\"device.write_noise_factor\" is [3, 4] in the stored study and [3, 5] in the "
            "new one.",
            "transforms.soft.alpha is absent from the stored study and 1 in the new one.",
            "transforms.soft.beta is absent from the stored study and 1 in the new one."));
}

TEST(Differences, compare_a_study_that_this_version_would_refuse) {
    EXPECT_THAT(differences("[device]\nold_key = 3\n", "[device]\ng_max_S = 1\n"),
                Contains("device.old_key is 3 in the stored study and absent from the new one."));
}

TEST(ReferenceMarkdown, has_a_row_for_every_key) {
    const auto manual = reference_markdown();
    for (const auto& value : key_values(Settings{})) {
        const auto key = value.key.substr(value.key.find('.') + 1);
        EXPECT_THAT(manual, HasSubstr("\n| `" + key + "`")) << value.key;
    }
    EXPECT_THAT(manual,
                HasSubstr("| `g_max_S` | real: a value in (0, 1] | `1e-05` | conductance in siemens. "));
    EXPECT_THAT(manual, HasSubstr("| `std` | list of reals: "));
    EXPECT_THAT(manual, HasSubstr("| `batch_images` † |"));
}

TEST(ReferenceMarkdown, keeps_every_row_in_its_columns) {
    std::string line;
    for (const char c : reference_markdown()) {
        if (c != '\n') {
            line += c;
            continue;
        }
        if (line.starts_with("| `")) {
            EXPECT_EQ(std::count(line.begin(), line.end(), '|'), 5) << line;
        }
        line.clear();
    }
}

}  // namespace
}  // namespace crossweep::config
