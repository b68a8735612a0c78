#include "check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "key_path.hpp"

namespace crossweep::config {
namespace {

using Kind = Node::Kind;

std::string_view kind_name(Kind kind) {
    switch (kind) {
        case Kind::text:
            return "text";
        case Kind::integer:
        case Kind::real:
            return "a number";
        case Kind::boolean:
            return "a truth value";
        case Kind::date:
            return "a date or time";
        case Kind::list:
            return "a list";
        case Kind::table:
            return "a table";
    }
    return "";
}

std::string_view wanted_name(FieldKind kind) {
    switch (kind) {
        case FieldKind::real:
        case FieldKind::integer:
            return "a number";
        case FieldKind::reals:
            return "a list of numbers";
        default:
            return "text";
    }
}

bool is_number(const Node& node) {
    return node.kind == Kind::integer || node.kind == Kind::real;
}

/// Why a number is refused, as the end of "device.g_max_S = -1e-06 ..."; empty if it is not.
std::string range_complaint(double number, const Range& range, bool whole) {
    if (!std::isfinite(number)) return "is not finite";
    if (whole && number != std::floor(number)) return "is not a whole number";
    if (range.contains(number)) return "";
    if (range.or_zero && number < range.low) return fmt::format("is neither 0 nor at least {}", range.low);
    if (number <= range.low) {
        if (range.low == 0) return range.low_open ? "is not positive" : "is negative";
        return fmt::format("is {} {}", range.low_open ? "not above" : "below", range.low);
    }
    return fmt::format("is {} {}", range.high_open ? "not below" : "above", range.high);
}

void report(const std::string& subject, const Node& node, const Field& field, const std::string& complaint,
            Context& context) {
    context.problems.add(node.place, fmt::format("{} = {} {} ({}). Give {}.", subject, node.echo, complaint,
                                                 field.quantity, allowed_text(field)));
}

std::optional<double> check_number(const std::string& subject, const Node& node, const Field& field,
                                   Context& context) {
    std::string complaint;
    if (!is_number(node)) {
        complaint = fmt::format("is {}, not a number", kind_name(node.kind));
    } else {
        complaint = range_complaint(node.number, field.range, field.kind == FieldKind::integer);
    }
    if (complaint.empty()) return node.number;
    report(subject, node, field, complaint, context);
    return std::nullopt;
}

std::optional<Value> check_list(const std::string& subject, const Node& node, const Field& field,
                                Context& context) {
    if (node.kind != Kind::list) {
        report(subject, node, field, fmt::format("is {}, not a list of numbers", kind_name(node.kind)),
               context);
        return std::nullopt;
    }
    std::vector<double> numbers;
    for (std::size_t i = 0; i < node.elements.size(); ++i) {
        const auto number = check_number(fmt::format("{}[{}]", subject, i), node.elements[i], field, context);
        if (number) numbers.push_back(*number);
    }
    if (numbers.size() != node.elements.size()) return std::nullopt;
    return numbers;
}

std::optional<Value> check_choice(const std::string& subject, const Node& node, const Field& field,
                                  Context& context) {
    const auto word = std::find(field.words.begin(), field.words.end(), node.text);
    if (word != field.words.end()) return static_cast<double>(word - field.words.begin());
    const auto near = nearest(node.text, field.words);
    const auto remedy = near ? fmt::format("Did you mean {}?", quote_text(*near))
                             : fmt::format("Give {}.", allowed_text(field));
    context.problems.add(node.place, fmt::format("{} = {} is not one of its words ({}). {}", subject,
                                                 node.echo, field.quantity, remedy));
    return std::nullopt;
}

std::optional<Value> check_name(const std::string& subject, const Node& node, const Field& field,
                                Context& context) {
    const auto& tables = *named_tables_held_by(field.kind);
    auto known = context.names.at(tables.prefix);
    known.insert(known.begin(), field.words.begin(), field.words.end());
    if (std::find(known.begin(), known.end(), node.text) != known.end()) return node.text;
    context.problems.add(node.place, unknown_name_sentence(tables, fmt::format("{} = {}", subject, node.echo),
                                                           node.text, known));
    return std::nullopt;
}

/// The nearest key of a table, as a whole path.
std::optional<std::string> nearest_in(std::string_view table, std::vector<std::string> segments) {
    const auto key = nearest(segments.back(), keys_of(table));
    if (!key) return std::nullopt;
    segments.back() = *key;
    return join_path(segments);
}

/// The key most likely meant: in the table given, in a table of similar name, or in any table.
std::optional<std::string> nearest_path(std::span<const std::string> segments) {
    const std::vector<std::string> path(segments.begin(), segments.end());
    const auto* named = path.size() == 3 ? named_tables_at(path[0]) : nullptr;
    if (named != nullptr) return nearest_in(named->table, path);
    if (path.size() == 2) {
        if (const auto table = nearest(path[0], table_names())) {
            if (const auto found = nearest_in(*table, {*table, path[1]})) return found;
        }
    }
    std::vector<std::string> keys;
    for (const auto& field : fields()) keys.emplace_back(field.key);
    const auto key = nearest(path.back(), keys);
    if (!key) return std::nullopt;
    return fields()[static_cast<std::size_t>(std::find(keys.begin(), keys.end(), *key) - keys.begin())]
        .path();
}

std::vector<std::string> all_tables() {
    auto tables = table_names();
    for (const auto& named : named_tables()) tables.emplace_back(named.prefix);
    tables.emplace_back("sweep");
    return tables;
}

/// A path as messages show it: one with quotes of its own stands without further ones.
std::string shown_path(const std::string& path) {
    return path.find('"') == std::string::npos ? fmt::format("\"{}\"", path) : path;
}

}  // namespace

std::filesystem::path located(const Node& node, const Context& context) {
    const std::filesystem::path path(node.text);
    return (node.place.is_override() ? path : context.directory / path).lexically_normal();
}

std::optional<Value> check_value(const Key& key, const Node& node, Context& context) {
    return check_value(*key.field, key.path(), node, context);
}

std::optional<Value> check_value(const Field& field, const std::string& subject, const Node& node,
                                 Context& context) {
    if (field.is_number()) {
        const auto number = check_number(subject, node, field, context);
        return number ? std::optional<Value>(*number) : std::nullopt;
    }
    if (field.kind == FieldKind::reals) return check_list(subject, node, field, context);
    if (node.kind != Kind::text) {
        report(subject, node, field,
               fmt::format("is {}, not {}", kind_name(node.kind), wanted_name(field.kind)), context);
        return std::nullopt;
    }
    if (field.kind == FieldKind::choice) return check_choice(subject, node, field, context);
    if (named_tables_held_by(field.kind) != nullptr) return check_name(subject, node, field, context);
    if (field.kind == FieldKind::path || field.kind == FieldKind::key_file) {
        if (node.text.empty()) return node.text;
        return std::filesystem::absolute(located(node, context)).lexically_normal().string();
    }
    if (!node.text.empty()) return node.text;
    report(subject, node, field, "is empty", context);
    return std::nullopt;
}

std::string unknown_key_sentence(std::span<const std::string> segments) {
    const auto shown = shown_path(join_path(segments));
    const auto* named = segments.size() == 3 ? named_tables_at(segments[0]) : nullptr;
    const auto table = named != nullptr ? std::string(named->table) : segments[0];
    const auto keys = keys_of(table);
    if (segments.size() == 1 && !keys.empty()) {
        return fmt::format("{} is a table. Name one of its keys, such as {}.{}.", shown, table, keys[0]);
    }
    if (const auto near = nearest_path(segments)) {
        return fmt::format("unknown key {}; did you mean {}?", shown, shown_path(*near));
    }
    if ((segments.size() == 2 || named != nullptr) && !keys.empty()) {
        return fmt::format("unknown key {}. The keys of [{}] are {}.", shown, table, fmt::join(keys, ", "));
    }
    return fmt::format("unknown key {}. The tables are {}.", shown, fmt::join(all_tables(), ", "));
}

std::string unknown_table_sentence(const std::string& name) {
    const auto tables = all_tables();
    const auto shown = join_path(std::vector{name});
    if (const auto near = nearest(name, tables))
        return fmt::format("unknown table [{}]; did you mean [{}]?", shown, *near);
    return fmt::format("unknown table [{}]. The tables are {}.", shown, fmt::join(tables, ", "));
}

std::string unknown_name_sentence(const NamedTables& tables, const std::string& subject,
                                  const std::string& name, std::span<const std::string> known) {
    if (const auto near = nearest(name, known)) {
        return fmt::format("{} is not a {}; did you mean {}?", subject, tables.noun, quote_text(*near));
    }
    std::vector<std::string> names;
    for (const auto& candidate : known) {
        const auto* reserved = tables.find_reserved(candidate);
        const bool is_there = reserved == nullptr || reserved == &tables.reserved.front();
        if (is_there) names.push_back(quote_text(candidate));
    }
    const auto remedy =
        tables.find_reserved(name) == nullptr
            ? fmt::format("; add others as [{}]", join_path(std::array{std::string(tables.prefix), name}))
            : "";
    return fmt::format("{} is not a {}. This study has {}{}.", subject, tables.noun, fmt::join(names, ", "),
                       remedy);
}

}  // namespace crossweep::config
