// Devices and their files, and which device and fidelity each operand has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "config/study_text.hpp"
#include "crossweep/config/study.hpp"
#include "crossweep/core/error.hpp"

namespace crossweep::config {
namespace {

using crossbar::Fidelity;
using linalg::Role;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Study parse(const std::string& more = "", const std::vector<std::string>& overrides = {}) {
    return parse_study(small_study + more, "/studies/set/small.toml", overrides);
}

crossbar::OperandTable operands_of(const std::vector<std::string>& overrides) {
    return parse("", overrides).points[0].settings.point().operands;
}

const crossbar::OperandParams& at(const crossbar::OperandTable& table, Role role) {
    return table[static_cast<std::size_t>(role)];
}

/// A folder of studies and device files, gone at the end of the test.
class StudyFolder {
  public:
    explicit StudyFolder(const std::string& name)
        : path_(std::filesystem::temp_directory_path() / ("crossweep_" + name)) {
        std::filesystem::create_directories(path_ / "devices");
    }
    ~StudyFolder() { std::filesystem::remove_all(path_); }
    StudyFolder(const StudyFolder&) = delete;
    StudyFolder& operator=(const StudyFolder&) = delete;

    void write(const std::string& file, const std::string& text) const {
        std::ofstream(path_ / file) << text;
    }
    Study load(const std::string& more, const std::vector<std::string>& overrides = {}) const {
        write("study.toml", small_study + more);
        return load_study(path_ / "study.toml", overrides);
    }
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

const std::string pcm = R"toml(
# Values of a test.
g_max_S = 2.5e-5
on_off_ratio = 50
clamp = "window"
drift_exponent = 0.05
read_noise_law = "table"
read_noise_sigma = 1
read_noise_table_conductance_S = [1e-7, 2.5e-5]
read_noise_table_deviation_S = [1e-9, 4e-7]
)toml";

TEST(Devices, that_leave_a_key_out_have_its_default_not_that_of_the_device_table) {
    const auto base = parse("[device]\ng_max_S = 3e-5\n[devices.sram]\nwrite_noise_factor = 0\n").base;
    EXPECT_EQ(base.devices.at("sram").write_noise_factor, 0);
    EXPECT_EQ(base.devices.at("sram").g_max_S, device::DeviceParams{}.g_max_S);
    EXPECT_EQ(base.device.g_max_S, 3e-5);
    EXPECT_EQ(base.device.write_noise_factor, 3);
    EXPECT_EQ(base.devices.size(), 1U);
}

TEST(Devices, are_swept_under_their_names) {
    const auto study = parse(R"toml(
[devices."s ram"]
[device_of]
keys = "s ram"
[sweep.grid]
devices."s ram".g_max_S = [1e-6, 2e-6]
)toml");
    EXPECT_EQ(study.axes[0].name, "devices.\"s ram\".g_max_S");
    const auto last = study.points[1].settings.point().operands;
    EXPECT_EQ(at(last, Role::written_keys).device.g_max_S, 2e-6);
    EXPECT_EQ(at(last, Role::written_values).device.g_max_S, 1e-5);
}

TEST(DeviceFile, gives_the_keys_that_stand_in_it) {
    const StudyFolder folder("device_file");
    folder.write("devices/pcm.toml", pcm);
    const auto study = folder.load("[device]\nfile = \"devices/pcm.toml\"\n");
    const auto& device = study.base.device;
    EXPECT_EQ(device.g_max_S, 2.5e-5);
    EXPECT_EQ(device.on_off_ratio, 50);
    EXPECT_EQ(device.clamp, device::Clamp::window);
    EXPECT_THAT(device.read_noise_table.conductance_S, ElementsAre(1e-7, 2.5e-5));
    EXPECT_THAT(device.read_noise_table.deviation_S, ElementsAre(1e-9, 4e-7));
    EXPECT_EQ(device.write_noise_factor, device::DeviceParams{}.write_noise_factor);
    EXPECT_EQ(folder.load("[devices.pcm]\nfile = \"devices/pcm.toml\"\n").base.devices.at("pcm"), device);
}

TEST(DeviceFile, yields_to_the_study_and_to_overrides_wherever_they_stand) {
    const StudyFolder folder("device_file_order");
    folder.write("devices/pcm.toml", pcm);
    const auto device = folder
                            .load("[device]\ng_max_S = 1e-6\nfile = \"devices/pcm.toml\"\nclamp = \"none\"\n",
                                  {"device.on_off_ratio=40"})
                            .base.device;
    EXPECT_EQ(device.g_max_S, 1e-6);
    EXPECT_EQ(device.clamp, device::Clamp::none);
    EXPECT_EQ(device.on_off_ratio, 40);
    EXPECT_EQ(device.drift_exponent, 0.05);
}

TEST(DeviceFile, of_an_override_is_relative_to_where_the_command_is_given) {
    const StudyFolder folder("device_file_override");
    folder.write("devices/pcm.toml", pcm);
    const auto path = std::filesystem::relative(folder.path() / "devices/pcm.toml").string();
    const auto device = folder.load("[device]\ng_max_S = 1e-6\n", {"device.file=" + path}).base.device;
    EXPECT_EQ(device.g_max_S, 1e-6);
    EXPECT_EQ(device.on_off_ratio, 50);
    // An empty one takes the study's file away.
    const auto plain = folder.load("[device]\nfile = \"devices/pcm.toml\"\n", {"device.file="}).base.device;
    EXPECT_EQ(plain, device::DeviceParams{});
}

TEST(DeviceFile, is_not_needed_to_read_the_resolved_study) {
    std::string resolved;
    crossbar::OperandTable operands;
    {
        const StudyFolder folder("device_file_frozen");
        folder.write("devices/pcm.toml", pcm);
        const auto study = folder.load(
            "[devices.pcm]\nfile = \"devices/pcm.toml\"\nclamp = \"none\"\n[device_of]\nrest = \"pcm\"\n"
            "[sweep.grid]\ndevices.pcm.on_off_ratio = [20, 30]\n");
        resolved = study.resolved_toml;
        operands = study.points[1].settings.point().operands;
    }
    EXPECT_THAT(resolved, Not(HasSubstr("file =")));
    EXPECT_THAT(resolved, HasSubstr("read_noise_table_deviation_S = [1e-09, 4e-07]\n"));
    const auto again = parse_study(resolved, "/elsewhere/study.toml");
    EXPECT_EQ(again.resolved_toml, resolved);
    EXPECT_EQ(again.points[1].settings.point().operands, operands);
    EXPECT_EQ(at(operands, Role::mlp_in).device.on_off_ratio, 30);
    EXPECT_EQ(at(operands, Role::mlp_in).device.g_max_S, 2.5e-5);
}

TEST(DeviceFile, is_named_as_the_study_is_when_something_in_it_is_wrong) {
    const StudyFolder folder("device_file_place");
    folder.write("devices/pcm.toml", "\ng_max_S = 2\n");
    try {
        folder.load("[device]\nfile = \"devices/../devices/pcm.toml\"\n");
        FAIL();
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.what(), (folder.path() / "devices/pcm.toml").string() +
                                    ":2:11: g_max_S = 2 is above 1 (conductance in siemens). Give a value in "
                                    "(0, 1].");
    }
}

TEST(Operands, are_behavioural_on_the_device_table_but_for_embedding_head_selector_and_functions) {
    const auto operands = operands_of({"device.g_max_S=2e-5"});
    for (std::size_t role = 0; role < operands.size(); ++role) {
        const bool outside = role == static_cast<std::size_t>(Role::embedding) ||
                             role == static_cast<std::size_t>(Role::head) ||
                             role == static_cast<std::size_t>(Role::selector) ||
                             linalg::is_function(static_cast<Role>(role));
        EXPECT_EQ(operands[role].fidelity, outside ? Fidelity::digital : Fidelity::behavioural) << role;
        EXPECT_EQ(operands[role].device.g_max_S, outside ? device::DeviceParams{}.g_max_S : 2e-5) << role;
    }
    EXPECT_EQ(Settings{}.point().operands, operands_of({}));
}

TEST(Operands, are_found_by_their_keys) {
    const std::vector<std::pair<std::string, Role>> keys{{"q", Role::query},
                                                         {"k", Role::key},
                                                         {"v", Role::value},
                                                         {"proj", Role::projection},
                                                         {"fc1", Role::mlp_in},
                                                         {"fc2", Role::mlp_out},
                                                         {"keys", Role::written_keys},
                                                         {"values", Role::written_values},
                                                         {"embedding", Role::embedding},
                                                         {"head", Role::head},
                                                         {"selector", Role::selector},
                                                         {"softmax", Role::softmax},
                                                         {"layer_norm", Role::layer_norm},
                                                         {"gelu", Role::gelu}};
    ASSERT_EQ(keys.size(), linalg::role_count);
    for (const auto& [key, role] : keys) {
        // Functions have crossbars at large_small alone.
        const auto fidelity = linalg::is_function(role) ? Fidelity::large_small : Fidelity::circuit;
        const std::string word = linalg::is_function(role) ? "large_small" : "circuit";
        const auto operands = operands_of(
            {"devices.a.g_max_S=3e-5", "device_of." + key + "=a", "fidelity_of." + key + "=" + word});
        for (std::size_t other = 0; other < operands.size(); ++other) {
            const bool is_it = static_cast<Role>(other) == role;
            EXPECT_EQ(operands[other].fidelity == fidelity, is_it) << key << " " << other;
            EXPECT_EQ(operands[other].device.g_max_S == 3e-5, is_it) << key << " " << other;
        }
    }
}

TEST(Operands, of_a_hybrid_take_one_line) {
    const auto study = parse_study("device_of = { keys = \"sram\", values = \"sram\" }\n" + small_study +
                                       "[device]\ng_max_S = 2e-5\n[devices.sram]\nwrite_noise_factor = 0\n",
                                   "/studies/set/small.toml");
    const auto operands = study.base.point().operands;
    EXPECT_EQ(at(operands, Role::written_keys).device.write_noise_factor, 0);
    EXPECT_EQ(at(operands, Role::written_values).device.write_noise_factor, 0);
    EXPECT_EQ(at(operands, Role::query).device.g_max_S, 2e-5);
}

TEST(Operands, that_say_rest_follow_it) {
    const auto operands =
        operands_of({"devices.a.g_max_S=3e-5", "device_of.rest=a", "device_of.v=default", "device_of.k=rest",
                     "crossbar.fidelity=sliced", "fidelity_of.v=digital", "fidelity_of.k=behavioural",
                     "fidelity_of.head=rest"});
    EXPECT_EQ(at(operands, Role::query).device.g_max_S, 3e-5);
    EXPECT_EQ(at(operands, Role::key).device.g_max_S, 3e-5);
    EXPECT_EQ(at(operands, Role::query).fidelity, Fidelity::sliced);
    EXPECT_EQ(at(operands, Role::key).fidelity, Fidelity::behavioural);
    EXPECT_EQ(at(operands, Role::value), (crossbar::OperandParams{Fidelity::digital, {}}));
    EXPECT_EQ(at(operands, Role::head).fidelity, Fidelity::sliced);
}

TEST(Operands, are_swept_by_device_and_by_fidelity) {
    const auto study = parse(R"toml(
[devices.rram]
g_max_S = 2e-5
[devices.pcm]
g_max_S = 3e-5
[sweep.grid]
"device_of.rest" = ["rram", "pcm", "default"]
crossbar.fidelity = ["behavioural", "sliced", "circuit"]
[[sweep.points]]
fidelity_of.keys = "digital"
[[sweep.points]]
device_of.keys = "default"
)toml");
    ASSERT_EQ(study.points.size(), 18U);
    EXPECT_THAT(study.axes[0].text,
                ElementsAre(ElementsAre("rram"), ElementsAre("pcm"), ElementsAre("default")));
    EXPECT_FALSE(study.axes[1].number[0][0].has_value());
    const auto pcm_circuit = study.points[10].settings.point().operands;
    EXPECT_EQ(at(pcm_circuit, Role::mlp_out).device.g_max_S, 3e-5);
    EXPECT_EQ(at(pcm_circuit, Role::mlp_out).fidelity, Fidelity::circuit);
    EXPECT_EQ(at(pcm_circuit, Role::written_keys).fidelity, Fidelity::digital);
    const auto pcm_default = study.points[11].settings.point().operands;
    EXPECT_EQ(at(pcm_default, Role::written_keys).device.g_max_S, 1e-5);
    EXPECT_EQ(at(pcm_default, Role::written_keys).fidelity, Fidelity::circuit);
}

TEST(Rules, of_slices_do_not_bind_behavioural_and_digital_operands) {
    EXPECT_NO_THROW(parse("", {"crossbar.weight_levels=0", "crossbar.input_bits=0", "crossbar.dac_bits=8"}));
    EXPECT_NO_THROW(parse("", {"crossbar.fidelity=sliced", "crossbar.input_bits=0"}));
    EXPECT_NO_THROW(parse("", {"crossbar.fidelity=circuit", "crossbar.input_bits=9", "crossbar.dac_bits=8"}));
    EXPECT_NO_THROW(parse("", {"crossbar.fidelity=circuit", "crossbar.weight_levels=3"}));
    EXPECT_THROW(parse("", {"crossbar.fidelity=circuit", "crossbar.input_bits=8", "crossbar.dac_bits=8"}),
                 ConfigError);
    EXPECT_THROW(parse("", {"fidelity_of.head=sliced", "crossbar.weight_levels=0"}), ConfigError);
}

TEST(Rules, of_clipping_bind_the_devices_of_keys_and_values_alone) {
    const auto with = [](std::vector<std::string> overrides) {
        overrides.insert(overrides.end(), {"devices.leaky.on_off_ratio=2", "transform.name=(2, 0.25)"});
        return parse("", overrides);
    };
    EXPECT_NO_THROW(with({}));
    EXPECT_NO_THROW(with({"device_of.fc1=leaky"}));
    EXPECT_NO_THROW(with({"device_of.keys=leaky", "fidelity_of.keys=digital"}));
    EXPECT_THROW(with({"device_of.keys=leaky"}), ConfigError);
    EXPECT_THROW(with({"device_of.values=leaky"}), ConfigError);
    EXPECT_NO_THROW(with({"device.on_off_ratio=2", "device_of.rest=good", "devices.good.on_off_ratio=4"}));
}

}  // namespace
}  // namespace crossweep::config
