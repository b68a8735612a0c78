// One bad study per message: tests/config/bad/NAME.toml and, beside it, NAME.expected with the exact text,
// where FILE stands for the file's name. Lines "# --set key=value" of a study are its overrides. Device files
// of bad studies are in tests/config/bad/devices; they are shown relative to the study.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "crossweep/config/study.hpp"
#include "crossweep/core/error.hpp"

namespace crossweep::config {
namespace {

const std::filesystem::path folder = std::filesystem::path(CROSSWEEP_SOURCE_DIR) / "tests/config/bad";

std::string contents(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<std::string> overrides_in(const std::string& toml) {
    const std::string marker = "# --set ";
    std::vector<std::string> overrides;
    std::istringstream lines(toml);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(marker)) overrides.push_back(line.substr(marker.size()));
    }
    return overrides;
}

std::string without(const std::string& part, std::string text) {
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part))
        text.erase(at, part.size());
    return text;
}

std::vector<std::string> bad_studies() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

class BadStudy : public testing::TestWithParam<std::string> {};

TEST_P(BadStudy, is_refused_with_the_expected_text) {
    const auto toml = contents(folder / (GetParam() + ".toml"));
    std::string message = "accepted";
    try {
        parse_study(toml, folder / "FILE", overrides_in(toml));
    } catch (const ConfigError& error) {
        message = without(folder.string() + "/", error.what());
    }
    EXPECT_EQ(message + "\n", contents(folder / (GetParam() + ".expected")));
}

INSTANTIATE_TEST_SUITE_P(Folder, BadStudy, testing::ValuesIn(bad_studies()),
                         [](const auto& study) { return study.param; });

}  // namespace
}  // namespace crossweep::config
