// Reading a study: text to tree to settings, axes and points, with every problem reported at once.
#include "crossweep/config/study.hpp"

#include <fmt/format.h>

#include <array>

#include "crossweep/core/error.hpp"
#include "echo.hpp"
#include "sweep.hpp"
#include "text_file.hpp"

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

}  // namespace

Study parse_study(const std::string& toml, const std::filesystem::path& file,
                  const std::vector<std::string>& overrides) {
    Problems problems(file.string());
    const auto root = parse_document(toml, overrides, problems);
    Context context{file.parent_path(), names_in(root), problems};
    auto reading = read_settings(root, context);
    const auto axes = read_axes(root, reading, context);
    require_path("model", "weights", root, reading, context);
    if (reading.base.data.texts.empty()) {
        require_path("data", "images", root, reading, context);
    } else if (!reading.base.data.images.empty()) {
        context.problems.add(reading.given.at("data.texts"),
                             "data.texts and data.images are both given (a study has inputs of one kind). "
                             "Leave one out.");
    }
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
    const auto found = read_text(file);
    if (!found.trouble.empty()) {
        throw DataError(fmt::format("{} cannot be read ({}). Give the path of a study file.", file.string(),
                                    found.trouble));
    }
    return parse_study(found.text, file, overrides);
}

}  // namespace crossweep::config
