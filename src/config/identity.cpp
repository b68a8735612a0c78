// What a point is, and how two studies differ.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "crossweep/config/study.hpp"
#include "document.hpp"
#include "fields.hpp"
#include "key_path.hpp"
#include "operands.hpp"

namespace crossweep::config {
namespace {

bool is_path(const std::string& path) {
    const auto key = find_key(split_path(path));
    return key && key->field->kind == FieldKind::path;
}

/// Whether a key decides results by what it says. Keys that this version does not know count: they may have.
bool decides_results(const std::string& path) {
    const auto key = find_key(split_path(path));
    return !key || key->field->role == Role::result || key->field->role == Role::addition ||
           key->field->role == Role::selection;
}

/// Name under which a point shows a field: that of the transform in force goes without the transform's name.
std::string point_path(const Field& field) {
    return field.table == transforms_table ? fmt::format("transform.{}", field.key) : field.path();
}

/// The value of a field that is of no device, or of [device].
Value value_in_force(const Field& field, const Settings& settings) {
    return field.access.get(settings, field.table == transforms_table ? settings.transform : "");
}

bool is_of_device(const Field& field) {
    return field.table == "device" || field.table == devices_table;
}

using Entries = std::vector<std::pair<std::string, std::string>>;

/// Whether a field of a device or of a table of its own is as it is when nobody sets it.
bool is_default(const Field& field, const Value& value) {
    static const Settings defaults = [] {
        Settings settings;
        settings.devices["any"] = {};
        return settings;
    }();
    return value == field.access.get(defaults, field.table == devices_table ? "any" : "");
}

void add_device(std::size_t number, const std::string& name, const Settings& settings, Entries& entries) {
    const auto table = name == default_device ? std::string_view("device") : devices_table;
    const auto of_access = name == default_device ? std::string() : name;
    for (const auto& field : fields()) {
        if (field.table != table || (field.role != Role::result && field.role != Role::addition)) continue;
        const auto value = field.access.get(settings, of_access);
        if (field.role == Role::addition && is_default(field, value)) continue;
        entries.emplace_back(fmt::format("device {}.{}", number, field.key), value_text(field, value));
    }
}

/// Devices count by their values: those of equal parameters are one, whatever their names.
void add_operands(const Settings& settings, Entries& entries) {
    const auto operands = operands_in_force(settings);
    std::vector<const device::DeviceParams*> devices;
    Entries of_operands;
    for (const auto& key : operand_keys) {
        const auto& operand = operands[static_cast<std::size_t>(key.role)];
        // Newer than records that are to stay valid: named only where it says something.
        const bool is_newer = key.role == linalg::Role::selector || linalg::is_function(key.role);
        if (is_newer && operand.device == nullptr) continue;
        auto& entry =
            of_operands.emplace_back(fmt::format("operand {}", key.key), fidelity_word(operand.fidelity));
        if (operand.device == nullptr) continue;
        const auto known = std::find_if(devices.begin(), devices.end(),
                                        [&](const auto* device) { return *device == *operand.device; });
        const auto number = static_cast<std::size_t>(known - devices.begin());
        if (known == devices.end()) {
            devices.push_back(operand.device);
            add_device(number, *operand.device_name, settings, entries);
        }
        entry.second += fmt::format(", device {}", number);
    }
    entries.insert(entries.end(), of_operands.begin(), of_operands.end());
}

void collect_sweep(const std::string& path, const Node& table, Entries& entries) {
    for (const auto& member : table.members) {
        // Paths differ between machines; how many there are does not.
        const auto echo =
            is_path(member.key)
                ? fmt::format("{} paths", std::max<std::size_t>(member.value.elements.size(), 1))
                : member.value.echo;
        entries.emplace_back(fmt::format("{}.{}", path, quote_text(member.key)), echo);
    }
}

void collect(const std::string& path, const Node& table, Entries& entries) {
    for (const auto& member : table.members) {
        const auto segment = join_path(std::vector{member.key});
        const auto below = path.empty() ? segment : fmt::format("{}.{}", path, segment);
        if (below == "sweep.grid") {
            collect_sweep(below, member.value, entries);
        } else if (below == "sweep.zip" || below == "sweep.points") {
            for (std::size_t i = 0; i < member.value.elements.size(); ++i) {
                collect_sweep(fmt::format("{}[{}]", below, i), member.value.elements[i], entries);
            }
        } else if (member.value.kind == Node::Kind::table) {
            collect(below, member.value, entries);
        } else if (decides_results(below)) {
            entries.emplace_back(below, member.value.echo);
        }
    }
}

Entries entries_of(const std::string& toml, const std::string& name) {
    Problems problems(name);
    Entries entries;
    collect("", parse_document(toml, {}, problems), entries);
    return entries;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> identity(const Settings& settings) {
    Entries entries;
    for (const auto& field : fields()) {
        if (is_of_device(field) || (field.role != Role::result && field.role != Role::addition)) continue;
        const auto value = value_in_force(field, settings);
        if (field.role == Role::addition && is_default(field, value)) continue;
        entries.emplace_back(point_path(field), value_text(field, value));
    }
    add_operands(settings, entries);
    return entries;
}

std::vector<KeyValue> key_values(const Settings& settings) {
    std::vector<KeyValue> values;
    for (const auto& field : fields()) {
        const bool is_scalar = field.kind != FieldKind::reals && field.kind != FieldKind::key_file;
        if (!is_scalar || field.table == "run" || field.table == devices_table) continue;
        const auto value = value_in_force(field, settings);
        values.push_back({point_path(field), value_text(field, value),
                          field.is_number() ? std::optional(std::get<double>(value)) : std::nullopt});
    }
    return values;
}

std::vector<std::string> differences(const std::string& stored_toml, const std::string& new_toml) {
    const auto stored = entries_of(stored_toml, "the stored study");
    const auto fresh = entries_of(new_toml, "the new study");
    const std::map<std::string, std::string> stored_by_path(stored.begin(), stored.end());
    const std::map<std::string, std::string> fresh_by_path(fresh.begin(), fresh.end());
    std::vector<std::string> sentences;
    for (const auto& [path, value] : stored) {
        const auto found = fresh_by_path.find(path);
        if (found == fresh_by_path.end()) {
            sentences.push_back(
                fmt::format("{} is {} in the stored study and absent from the new one.", path, value));
        } else if (found->second != value) {
            sentences.push_back(fmt::format("{} is {} in the stored study and {} in the new one.", path,
                                            value, found->second));
        }
    }
    for (const auto& [path, value] : fresh) {
        if (stored_by_path.contains(path)) continue;
        sentences.push_back(
            fmt::format("{} is absent from the stored study and {} in the new one.", path, value));
    }
    return sentences;
}

}  // namespace crossweep::config
