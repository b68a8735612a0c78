#include "check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
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

std::optional<Value> check_transform(const std::string& subject, const Node& node, Context& context) {
    const auto& names = context.transforms;
    if (std::find(names.begin(), names.end(), node.text) != names.end()) return node.text;
    context.problems.add(node.place, unknown_transform_sentence(fmt::format("{} = {}", subject, node.echo),
                                                                node.text, context));
    return std::nullopt;
}

/// Paths of a study are relative to its file, those of an override to where the command is given.
std::string absolute_text(const Node& node, const Context& context) {
    if (node.text.empty()) return node.text;
    const auto base = node.place.is_override() ? std::filesystem::current_path() : context.directory;
    return (base / node.text).lexically_normal().string();
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
    if (path.size() == 3 && path[0] == "transforms") return nearest_in(transforms_table, path);
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
    tables.insert(tables.end(), {"transforms", "sweep"});
    return tables;
}

/// A path as messages show it: one with quotes of its own stands without further ones.
std::string shown_path(const std::string& path) {
    return path.find('"') == std::string::npos ? fmt::format("\"{}\"", path) : path;
}

}  // namespace

std::optional<Value> check_value(const Key& key, const Node& node, Context& context) {
    const auto& field = *key.field;
    const auto subject = key.path();
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
    if (field.kind == FieldKind::transform_name) return check_transform(subject, node, context);
    if (field.kind == FieldKind::path) return absolute_text(node, context);
    if (!node.text.empty()) return node.text;
    report(subject, node, field, "is empty", context);
    return std::nullopt;
}

std::string unknown_key_sentence(std::span<const std::string> segments) {
    const auto shown = shown_path(join_path(segments));
    const auto keys = keys_of(segments[0]);
    if (segments.size() == 1 && !keys.empty()) {
        return fmt::format("{} is a table. Name one of its keys, such as {}.{}.", shown, segments[0],
                           keys[0]);
    }
    if (const auto near = nearest_path(segments)) {
        return fmt::format("unknown key {}; did you mean {}?", shown, shown_path(*near));
    }
    if (segments.size() == 2 && !keys.empty()) {
        return fmt::format("unknown key {}. The keys of [{}] are {}.", shown, segments[0],
                           fmt::join(keys, ", "));
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

std::string unknown_transform_sentence(const std::string& subject, const std::string& name,
                                       const Context& context) {
    if (const auto near = nearest(name, context.transforms)) {
        return fmt::format("{} is not a transform; did you mean {}?", subject, quote_text(*near));
    }
    std::vector<std::string> names;
    for (const auto& known : context.transforms) names.push_back(quote_text(known));
    return fmt::format("{} is not a transform. This study has {}; add others as [transforms.{}].", subject,
                       fmt::join(names, ", "), join_path(std::vector{name}));
}

}  // namespace crossweep::config
