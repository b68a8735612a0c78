// Hardware files: those that ship, and one bad file per message.
#include "crossweep/config/hardware.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "crossweep/core/error.hpp"

namespace crossweep::config {
namespace {

constexpr const char* whole = R"(description = "a machine"
source = "its maker"
peak_flop_per_s = 1e12
bandwidth_B_per_s = 100_000_000_000
)";

std::string refusal(const std::string& toml) {
    try {
        parse_hardware(toml, "m.toml");
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "accepted";
}

std::string replaced(const std::string& from, const std::string& to) {
    std::string text = whole;
    const auto at = text.find(from);
    return at == std::string::npos ? "" : text.replace(at, from.size(), to);
}

TEST(HardwareFile, is_read) {
    const cost::Hardware hardware =
        parse_hardware(std::string(whole) + "keeps = [\"weights\"]", "folder/m.toml");
    EXPECT_EQ(hardware.name, "m");
    EXPECT_EQ(hardware.description, "a machine");
    EXPECT_DOUBLE_EQ(hardware.ridge_flop_per_B(), 10);
    EXPECT_TRUE(hardware.keeps_weights);
    EXPECT_FALSE(hardware.keeps_cache);
}

TEST(HardwareFile, those_that_ship_are_sound) {
    const std::filesystem::path folder = std::filesystem::path(CROSSWEEP_SOURCE_DIR) / "configs/hardware";
    for (const char* name : {"xeon_6242", "a100", "tpu_v4", "rram_crossbars"})
        EXPECT_EQ(load_hardware(folder / (std::string(name) + ".toml")).name, name);
    EXPECT_TRUE(load_hardware(folder / "rram_crossbars.toml").keeps_weights);
}

TEST(HardwareFile, every_mistake_has_its_sentence) {
    EXPECT_EQ(
        refusal(replaced("peak_flop_per_s = 1e12\n", "")),
        "m.toml:1:1: peak_flop_per_s is missing (operations per second at most). Give a number above 0.");
    EXPECT_EQ(
        refusal(replaced("1e12", "0")),
        "m.toml:3:19: peak_flop_per_s = 0 is not positive (operations per second at most). Give a number "
        "above 0.");
    EXPECT_EQ(refusal(replaced("1e12", "-2.5")),
              "m.toml:3:19: peak_flop_per_s = -2.5 is not positive (operations per second at most). Give a "
              "number above 0.");
    EXPECT_EQ(
        refusal(replaced("1e12", "inf")),
        "m.toml:3:19: peak_flop_per_s = inf is not finite (operations per second at most). Give a number "
        "above 0.");
    EXPECT_EQ(
        refusal(replaced("1e12", "\"fast\"")),
        "m.toml:3:19: peak_flop_per_s = \"fast\" is not a number (operations per second at most). Give a "
        "number above 0.");
    EXPECT_EQ(refusal(replaced("\"its maker\"", "\"\"")),
              "m.toml:2:10: source is empty (where its figures come from). Give a text.");
    EXPECT_EQ(
        refusal(std::string(whole) + "peak_flops = 3"),
        "m.toml:5:1: unknown key \"peak_flops\". A hardware file has description, source, peak_flop_per_s, "
        "bandwidth_B_per_s, vector_product_s, die_area_m2, power_W, keeps.");
    EXPECT_EQ(refusal(std::string(whole) + "kepes = []"),
              "m.toml:5:1: unknown key \"kepes\"; did you mean \"keeps\"?");
    EXPECT_EQ(
        refusal(std::string(whole) + "keeps = [\"wights\"]"),
        "m.toml:5:10: keeps = \"wights\" (what stays where it is multiplied). Give a list of \"weights\" and "
        "\"cache\".");
    EXPECT_TRUE(refusal("peak = = 3").starts_with("m.toml:1:8: this is not TOML:"));
}

TEST(HardwareFile, all_mistakes_are_told_together) {
    const std::string told = refusal("peak_flop_per_s = 0\nbandwidth_B_per_s = -1");
    EXPECT_EQ(std::ranges::count(told, '\n'), 3);  // four: both figures, no description, no source
}

TEST(HardwareFile, that_cannot_be_read_is_named) {
    try {
        load_hardware("no/such.toml");
        FAIL() << "accepted";
    } catch (const DataError& error) {
        EXPECT_STREQ(error.what(),
                     "no/such.toml cannot be read (No such file or directory). Give the path of a "
                     "hardware file.");
    }
}

}  // namespace
}  // namespace crossweep::config
