#include "reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "key_path.hpp"

namespace crossweep::config {
namespace {

using Kind = Node::Kind;

bool require_table(const std::string& path, const Member& member, Context& context) {
    if (member.value.kind == Kind::table) return true;
    context.problems.add(member.place,
                         fmt::format("{} = {} is not a table. Write [{}] and its keys below it.", path,
                                     member.value.echo, path));
    return false;
}

void read_member(std::span<const std::string> segments, const Member& member, Reading& reading,
                 Context& context) {
    const auto key = find_key(segments);
    if (!key) {
        context.problems.add(member.place, unknown_key_sentence(segments));
    } else if (const auto value = check_value(*key, member.value, context)) {
        key->set(reading.base, *value);
        reading.given[key->path()] = member.value.place;
    } else {
        reading.failed.insert(key->path());
    }
}

/// A transform's name becomes a label in the results, where '/' would separate groups.
bool check_transform_name(const Member& member, Context& context) {
    if (member.key == "none") {
        context.problems.add(
            member.place,
            "the transform none always changes nothing and cannot be set. Choose another name.");
        return false;
    }
    const bool is_label = std::all_of(member.key.begin(), member.key.end(), [](char c) {
        return c != '/' && (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    });
    if (!member.key.empty() && is_label) return true;
    context.problems.add(member.place,
                         fmt::format("{} cannot name a transform (it becomes a label in the results). "
                                     "Choose a name that is not empty, on one line and without '/'.",
                                     quote_text(member.key)));
    return false;
}

void read_transforms(const Member& transforms, Reading& reading, Context& context) {
    if (transforms.value.kind != Kind::table) {
        context.problems.add(transforms.place,
                             fmt::format("transforms = {} is not a table. Write [transforms.NAME] "
                                         "with alpha and beta below it.",
                                         transforms.value.echo));
        return;
    }
    for (const auto& variant : transforms.value.members) {
        const auto path = join_path(std::array<std::string, 2>{"transforms", variant.key});
        if (variant.value.kind != Kind::table) {
            context.problems.add(variant.place,
                                 fmt::format("{} = {} is not a table. Write [transforms.NAME] with "
                                             "alpha and beta below it.",
                                             path, variant.value.echo));
            continue;
        }
        if (!check_transform_name(variant, context)) continue;
        reading.base.transforms[variant.key] = {};
        for (const auto& member : variant.value.members) {
            read_member(std::array<std::string, 3>{"transforms", variant.key, member.key}, member, reading,
                        context);
        }
    }
}

void check_channels(const Reading& reading, Context& context) {
    const auto& data = reading.base.data;
    if (reading.failed.contains("data.mean") || reading.failed.contains("data.std")) return;
    if (data.mean.size() == data.std.size()) return;
    const auto at = reading.given.contains("data.std") ? "data.std" : "data.mean";
    context.problems.add(reading.given.at(at),
                         fmt::format("data.std has {} and data.mean {} values (one of each per channel). "
                                     "Give as many of both.",
                                     data.std.size(), data.mean.size()));
}

}  // namespace

std::vector<std::string> transform_names(const Node& root) {
    std::vector<std::string> names{"none"};
    if (const auto* transforms = root.find("transforms")) {
        for (const auto& variant : transforms->value.members) {
            if (variant.key != "none") names.push_back(variant.key);
        }
    }
    return names;
}

Reading read_settings(const Node& root, Context& context) {
    Reading reading;
    const auto tables = table_names();
    for (const auto& top : root.members) {
        if (top.key == "sweep") continue;
        if (top.key == "transforms") {
            read_transforms(top, reading, context);
        } else if (std::find(tables.begin(), tables.end(), top.key) != tables.end()) {
            if (!require_table(top.key, top, context)) continue;
            for (const auto& member : top.value.members) {
                read_member(std::array{top.key, member.key}, member, reading, context);
            }
        } else if (top.value.kind == Kind::table) {
            context.problems.add(top.place, unknown_table_sentence(top.key));
        } else {
            context.problems.add(top.place, unknown_key_sentence(std::array{top.key}));
        }
    }
    check_channels(reading, context);
    return reading;
}

}  // namespace crossweep::config
