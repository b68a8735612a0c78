// Reading a study: text to tree to settings, axes and points, with every problem reported at once.
#include "crossweep/config/study.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "crossweep/core/error.hpp"
#include "echo.hpp"
#include "sweep.hpp"

namespace crossweep::config {
namespace {

void require_path(const std::string& table, const std::string& name, const Node& root, const Reading& reading,
                  Context& context) {
    const auto key = find_key(std::array{table, name}).value();
    const auto path = key.path();
    const bool is_given = !std::get<std::string>(key.get(reading.base)).empty();
    if (is_given || reading.failed.contains(path) || names_key(root, path)) return;
    const auto* at = root.find(table);
    const auto given = reading.given.find(path);
    const bool is_empty = given != reading.given.end();
    const auto place = is_empty ? given->second : at != nullptr ? at->place : Place{};
    context.problems.add(place,
                         fmt::format("{} {} ({}). Give {}.", path, is_empty ? "is empty" : "is missing",
                                     key.field->quantity, allowed_text(*key.field)));
}

[[noreturn]] void fail_to_read(const std::filesystem::path& file, const char* why) {
    throw DataError(
        fmt::format("{} cannot be read ({}). Give the path of a study file.", file.string(), why));
}

std::string read_text(const std::filesystem::path& file) {
    // A directory opens like a file, and fails at the first read only.
    if (std::filesystem::is_directory(file)) fail_to_read(file, "it is a directory");
    std::ifstream stream(file, std::ios::binary);
    if (!stream) fail_to_read(file, std::strerror(errno));
    try {
        return {std::istreambuf_iterator<char>(stream), {}};
    } catch (const std::ios_base::failure& failure) {
        fail_to_read(file, failure.what());
    }
}

}  // namespace

trial::PointParams Settings::point() const {
    return {model, device, crossbar, transforms.at(transform)};
}

Study parse_study(const std::string& toml, const std::filesystem::path& file,
                  const std::vector<std::string>& overrides) {
    Problems problems(file.string());
    const auto root = parse_document(toml, overrides, problems);
    Context context{std::filesystem::absolute(file).parent_path(), transform_names(root), problems};
    auto reading = read_settings(root, context);
    const auto axes = read_axes(root, reading, context);
    require_path("model", "weights", root, reading, context);
    require_path("data", "images", root, reading, context);
    problems.throw_if_any();

    settle_base(axes, reading.base);
    Study study;
    study.points = expand(axes, reading, problems);
    problems.throw_if_any();
    for (const auto& axis : axes) study.axes.push_back(describe(axis));
    study.resolved_toml = echo_study(reading.base, axes);
    study.base = std::move(reading.base);
    return study;
}

Study load_study(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
    return parse_study(read_text(file), file, overrides);
}

}  // namespace crossweep::config
