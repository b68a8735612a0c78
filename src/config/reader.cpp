#include "reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "key_file.hpp"
#include "key_path.hpp"

namespace crossweep::config {
namespace {

using Kind = Node::Kind;

/// `table` is what to write instead of a value.
bool require_table(const std::string& path, std::string_view table, const Member& member, Context& context) {
    if (member.value.kind == Kind::table) return true;
    context.problems.add(member.place,
                         fmt::format("{} = {} is not a table. Write [{}] and its keys below it.", path,
                                     member.value.echo, table));
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

/// The keys of one table, those of its file first. `path` names the table and has room for the key.
void read_table(std::vector<std::string> path, const Node& table, Reading& reading, Context& context) {
    for (const auto& member : table.members) {
        path.back() = member.key;
        const auto key = find_key(path);
        if (key && key->field->kind == FieldKind::key_file) read_key_file(*key, member, reading, context);
    }
    for (const auto& member : table.members) {
        path.back() = member.key;
        read_member(path, member, reading, context);
    }
}

/// A name becomes a label in the results, where '/' would separate groups.
bool check_new_name(const NamedTables& tables, const Member& member, Context& context) {
    if (const auto* reserved = tables.find_reserved(member.key)) {
        context.problems.add(member.place,
                             fmt::format("{} and cannot be set here. Choose another name.", reserved->why));
        return false;
    }
    const bool is_label = std::all_of(member.key.begin(), member.key.end(), [](char c) {
        return c != '/' && (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    });
    if (!member.key.empty() && is_label) return true;
    context.problems.add(member.place,
                         fmt::format("{} cannot name a {} (it becomes a label in the results). "
                                     "Choose a name that is not empty, on one line and without '/'.",
                                     quote_text(member.key), tables.noun));
    return false;
}

void read_named_tables(const NamedTables& tables, const Member& all, Reading& reading, Context& context) {
    const std::string prefix(tables.prefix);
    if (!require_table(prefix, tables.table, all, context)) return;
    for (const auto& variant : all.value.members) {
        if (!require_table(join_path(std::array{prefix, variant.key}), tables.table, variant, context))
            continue;
        if (!check_new_name(tables, variant, context)) continue;
        tables.add(reading.base, variant.key);
        read_table({prefix, variant.key, ""}, variant.value, reading, context);
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

std::map<std::string_view, std::vector<std::string>> names_in(const Node& root) {
    std::map<std::string_view, std::vector<std::string>> names;
    for (const auto& tables : named_tables()) {
        auto& of_tables = names[tables.prefix];
        of_tables.emplace_back(tables.reserved.front().name);
        const auto* given = root.find(std::string(tables.prefix));
        if (given == nullptr) continue;
        for (const auto& variant : given->value.members) {
            if (tables.find_reserved(variant.key) == nullptr) of_tables.push_back(variant.key);
        }
    }
    return names;
}

Reading read_settings(const Node& root, Context& context) {
    Reading reading;
    const auto tables = table_names();
    for (const auto& top : root.members) {
        if (top.key == "sweep") continue;
        if (const auto* named = named_tables_at(top.key)) {
            read_named_tables(*named, top, reading, context);
        } else if (std::find(tables.begin(), tables.end(), top.key) != tables.end()) {
            if (require_table(top.key, top.key, top, context))
                read_table({top.key, ""}, top.value, reading, context);
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
