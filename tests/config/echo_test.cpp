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
percentile = 99
[device]
read_noise_law = "table"
read_noise_table_conductance_S = [1e-7, 1e-5]
read_noise_table_deviation_S = [1e-8, 3e-7]
[devices.sram]
write_noise_factor = 0
[devices."p c.m"]
drift_exponent = 0.05
[device_of]
rest = "p c.m"
keys = "sram"
values = "default"
[crossbar]
fidelity = "sliced"
[fidelity_of]
q = "digital"
head = "circuit"
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
        EXPECT_EQ(again.points[p].settings.point().operands, study.points[p].settings.point().operands);
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
                                "device.bits_per_cell=1",
                                "device.levels=4",
                                "device.read_noise_law=constant",
                                "device.write_noise_law=constant",
                                "device.g_min_spread_sigma=0.1",
                                "device.g_max_spread_sigma=0.1",
                                "device.stuck_at_g_min=0.1",
                                "device.stuck_at_g_max=0.1",
                                "device.t_read_s=10",
                                "device.written_t_read_s=10",
                                "device.drift_t0_s=10",
                                "device.drift_exponent=0.1",
                                "device.drift_exponent_sigma=0.1",
                                "device.retention_s=10",
                                "crossbar.fidelity=sliced",
                                "crossbar.wire_resistance_ohm=1",
                                "crossbar.mapping=offset",
                                "crossbar.input_encoding=sign_magnitude",
                                "crossbar.dac_bits=2",
                                "crossbar.adc_bits=5",
                                "crossbar.adc_range=full",
                                "crossbar.adc_range_top=0.5",
                                "crossbar.adc_percentile=99",
                                "crossbar.adc_calibration_images=2",
                                "crossbar.adc_gain_sigma=0.1",
                                "crossbar.adc_offset_sigma=0.1",
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
    for (const auto* setting : {"centre_keys=yes", "percentile=99", "clip_block=head", "rescale=window",
                                "write_verify_iterations=2", "write_verify_tolerance=0.1"}) {
        EXPECT_NE(
            identity_of({"transforms.a.alpha=1", "transform.name=a"}),
            identity_of({"transforms.a.alpha=1", "transform.name=a", std::string("transforms.a.") + setting}))
            << setting;
    }
}

TEST(Identity, holds_measured_noise) {
    const std::vector<std::string> read{"device.read_noise_table_conductance_S=[1e-7, 1e-5]",
                                        "device.read_noise_table_deviation_S=[1e-8, 1e-7]"};
    const std::vector<std::string> write{"device.write_noise_table_conductance_S=[1e-7, 1e-5]",
                                         "device.write_noise_table_deviation_S=[1e-8, 1e-7]"};
    EXPECT_EQ(identity_of(read).at("device 0.read_noise_table_deviation_S"), "[1e-08, 1e-07]");
    EXPECT_NE(identity_of(read), identity_of({}));
    EXPECT_NE(identity_of(write), identity_of({}));
    EXPECT_NE(identity_of(read), identity_of(write));
}

TEST(Identity, gives_each_operand_its_fidelity_and_the_number_of_its_device) {
    const auto hybrid =
        identity_of({"devices.sram.g_max_S=2e-5", "device_of.keys=sram", "device_of.values=sram",
                     "fidelity_of.values=circuit", "fidelity_of.q=digital"});
    EXPECT_EQ(hybrid.at("device 0.g_max_S"), "1e-05");
    EXPECT_EQ(hybrid.at("device 1.g_max_S"), "2e-05");
    EXPECT_FALSE(hybrid.contains("device 2.g_max_S"));
    EXPECT_EQ(hybrid.at("operand q"), "digital");
    EXPECT_EQ(hybrid.at("operand k"), "behavioural, device 0");
    EXPECT_EQ(hybrid.at("operand keys"), "behavioural, device 1");
    EXPECT_EQ(hybrid.at("operand values"), "circuit, device 1");
    EXPECT_EQ(hybrid.at("operand head"), "digital");
}

TEST(Identity, names_a_device_by_its_parameters) {
    const auto plain = identity_of({});
    EXPECT_EQ(plain, identity_of({"devices.same.g_max_S=1e-5", "device_of.rest=same"}));
    EXPECT_EQ(plain, identity_of({"devices.a.g_max_S=1e-5", "devices.b.g_max_S=1e-5", "device_of.rest=a",
                                  "device_of.keys=b", "device_of.fc1=default"}));
    EXPECT_EQ(identity_of({"devices.a.g_max_S=2e-5", "device_of.keys=a"}),
              identity_of({"devices.b.g_max_S=2e-5", "device_of.keys=b"}));
    EXPECT_NE(plain, identity_of({"devices.a.g_max_S=2e-5", "device_of.keys=a"}));
    EXPECT_NE(identity_of({"devices.a.g_max_S=2e-5", "device_of.keys=a"}),
              identity_of({"devices.a.g_max_S=2e-5", "device_of.values=a"}));
}

TEST(Identity, leaves_out_devices_that_no_operand_has) {
    EXPECT_EQ(identity_of({}), identity_of({"devices.spare.g_max_S=2e-5"}));
    EXPECT_EQ(identity_of({"devices.a.g_max_S=2e-5", "device_of.rest=a"}),
              identity_of({"devices.a.g_max_S=2e-5", "device_of.rest=a", "device.g_max_S=3e-5"}));
    // Embedding and head are digital.
    EXPECT_EQ(identity_of({}), identity_of({"devices.a.g_max_S=2e-5", "device_of.head=a"}));
    EXPECT_NE(identity_of({"fidelity_of.head=behavioural"}),
              identity_of({"fidelity_of.head=behavioural", "devices.a.g_max_S=2e-5", "device_of.head=a"}));
}

TEST(Identity, does_not_tell_how_a_fidelity_was_chosen) {
    EXPECT_EQ(identity_of({}), identity_of({"fidelity_of.q=behavioural"}));
    std::vector<std::string> one_by_one;
    for (const auto* operand : {"q", "k", "v", "proj", "fc1", "fc2", "keys", "values"})
        one_by_one.push_back(std::string("fidelity_of.") + operand + "=circuit");
    EXPECT_EQ(identity_of({"crossbar.fidelity=circuit"}), identity_of(one_by_one));
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
    EXPECT_EQ(values.at("device_of.rest").text, "default");
    EXPECT_EQ(values.at("device_of.keys").text, "rest");
    EXPECT_EQ(values.at("crossbar.fidelity").text, "behavioural");
    EXPECT_EQ(values.at("fidelity_of.head").text, "digital");
    EXPECT_EQ(values.at("transform.percentile").number, 100);
    EXPECT_FALSE(values.contains("device.file"));
    EXPECT_FALSE(values.contains("device.read_noise_table_conductance_S"));
}

TEST(KeyValues, are_the_same_keys_whatever_devices_a_study_names) {
    EXPECT_EQ(key_values(parse("", {"devices.sram.g_max_S=2e-5"}).points[0].settings).size(),
              key_values(Settings{}).size());
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
            "transforms.soft.centre_keys is absent from the stored study and \"no\" in the new one.",
            "transforms.soft.alpha is absent from the stored study and 1 in the new one.",
            "transforms.soft.beta is absent from the stored study and 1 in the new one.",
            "transforms.soft.percentile is absent from the stored study and 100 in the new one.",
            "transforms.soft.clip_block is absent from the stored study and \"tensor\" in the new one.",
            "transforms.soft.rescale is absent from the stored study and \"none\" in the new one.",
            "transforms.soft.write_verify_iterations is absent from the stored study and 0 in the new one.",
            "transforms.soft.write_verify_tolerance is absent from the stored study and 0.05 in the new "
            "one."));
}

TEST(Differences, say_what_is_selected_by_name) {
    const auto with = [](const std::vector<std::string>& more) {
        std::vector<std::string> overrides{"devices.sram.g_max_S=2e-5"};
        overrides.insert(overrides.end(), more.begin(), more.end());
        return parse("", overrides).resolved_toml;
    };
    EXPECT_THAT(
        differences(with({}), with({"device_of.keys=sram", "crossbar.fidelity=sliced",
                                    "fidelity_of.head=circuit", "transform.name=(2, 0.25)"})),
        ElementsAre("device_of.keys is \"rest\" in the stored study and \"sram\" in the new one.",
                    "crossbar.fidelity is \"behavioural\" in the stored study and \"sliced\" in the new "
                    "one.",
                    "fidelity_of.head is \"digital\" in the stored study and \"circuit\" in the new one.",
                    "transform.name is \"none\" in the stored study and \"(2, 0.25)\" in the new one."));
    EXPECT_THAT(differences(with({}), with({"devices.sram.g_max_S=3e-5"})),
                ElementsAre("devices.sram.g_max_S is 2e-05 in the stored study and 3e-05 in the new one."));
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
    EXPECT_THAT(manual, HasSubstr("\n## [device] and [devices.NAME]\n"));
    EXPECT_THAT(manual, HasSubstr("\n| `file` | path: "));
    EXPECT_THAT(manual,
                HasSubstr("| `keys` | word: \"rest\", \"digital\", \"behavioural\", \"sliced\", "
                          "\"circuit\" or \"large_small\" | `\"rest\"` | K, written for every input. "));
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
