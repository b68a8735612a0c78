// Fields as texts: paths, values, ranges; and finding a field by its path.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "fields.hpp"
#include "key_path.hpp"
#include "named_tables.hpp"

namespace crossweep::config {
namespace {

std::string list_text(const std::vector<double>& numbers) {
    std::vector<std::string> texts;
    texts.reserve(numbers.size());
    for (const double number : numbers) texts.push_back(number_text(number));
    return fmt::format("[{}]", fmt::join(texts, ", "));
}

std::string range_text(const Range& range, bool whole) {
    const std::string zero = range.or_zero ? "0 or " : "";
    const std::string value = whole ? "a whole number" : "a value";
    const bool has_low = std::isfinite(range.low);
    if (has_low && std::isfinite(range.high)) {
        if (whole) return fmt::format("{}{} from {} to {}", zero, value, range.low, range.high);
        return fmt::format("{}{} in {}{}, {}{}", zero, value, range.low_open ? '(' : '[', range.low,
                           range.high, range.high_open ? ')' : ']');
    }
    if (has_low)
        return fmt::format("{}{} {} {}", zero, value, range.low_open ? "above" : "of at least", range.low);
    return "a finite value";
}

std::string words_text(const std::vector<std::string>& words) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
        text += quote_text(words[i]);
    }
    return text;
}

}  // namespace

bool Range::contains(double number) const {
    if (!std::isfinite(number)) return false;
    if (or_zero && number == 0) return true;
    const bool above_low = low_open ? number > low : number >= low;
    const bool below_high = high_open ? number < high : number <= high;
    return above_low && below_high;
}

std::string Field::path() const {
    return fmt::format("{}.{}", table, key);
}

std::string Key::path() const {
    const auto* tables = named_tables_of(*field);
    if (tables == nullptr) return field->path();
    return join_path(std::array{std::string(tables->prefix), name, std::string(field->key)});
}

std::optional<Key> find_key(std::span<const std::string> segments) {
    const auto* named = segments.size() == 3 ? named_tables_at(segments[0]) : nullptr;
    if (named == nullptr && segments.size() != 2) return std::nullopt;
    const auto table = named != nullptr ? named->table : std::string_view(segments[0]);
    for (const auto& field : fields()) {
        if (field.table == table && field.key == segments.back()) {
            return Key{&field, named != nullptr ? segments[1] : ""};
        }
    }
    return std::nullopt;
}

std::vector<std::string> table_names() {
    std::vector<std::string> names;
    for (const auto& field : fields()) {
        if (named_tables_of(field) != nullptr) continue;
        if (names.empty() || names.back() != field.table) names.emplace_back(field.table);
    }
    return names;
}

std::vector<std::string> keys_of(std::string_view table) {
    std::vector<std::string> keys;
    for (const auto& field : fields()) {
        if (field.table == table) keys.emplace_back(field.key);
    }
    return keys;
}

std::string value_text(const Field& field, const Value& value) {
    if (field.kind == FieldKind::choice)
        return field.words.at(static_cast<std::size_t>(std::get<double>(value)));
    if (const auto* number = std::get_if<double>(&value)) return number_text(*number);
    if (const auto* list = std::get_if<std::vector<double>>(&value)) return list_text(*list);
    return std::get<std::string>(value);
}

std::string value_toml(const Field& field, const Value& value) {
    const auto text = value_text(field, value);
    return field.is_number() || field.kind == FieldKind::reals ? text : quote_text(text);
}

std::string allowed_text(const Field& field) {
    switch (field.kind) {
        case FieldKind::real:
            return range_text(field.range, false);
        case FieldKind::integer:
            return range_text(field.range, true);
        case FieldKind::text:
            return "a text that is not empty";
        case FieldKind::path:
        case FieldKind::key_file:
            return "a path, relative to the study file or absolute";
        case FieldKind::choice:
            return words_text(field.words);
        case FieldKind::transform_name:
            return "\"none\" or the NAME of a [transforms.NAME]";
        case FieldKind::device_name:
            return fmt::format("{}\"default\" or the NAME of a [devices.NAME]",
                               field.words.empty() ? "" : quote_text(field.words[0]) + ", ");
        case FieldKind::reals:
            return fmt::format("a list, each element {}", range_text(field.range, false));
    }
    return "";
}

}  // namespace crossweep::config
