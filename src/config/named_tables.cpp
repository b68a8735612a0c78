#include "named_tables.hpp"

#include <algorithm>
#include <array>

namespace crossweep::config {
namespace {

constexpr std::array<ReservedName, 2> device_names{{
    {"default", "the device default is the table [device]", "Sweep the keys of [device] instead."},
    {"rest", "the device rest is the one that device_of.rest names",
     "Sweep the keys of that device instead."},
}};

constexpr std::array<ReservedName, 1> transform_names{{
    {"none", "the transform none always changes nothing", "Define another and sweep that."},
}};

constexpr std::array<NamedTables, 2> families{{
    {"devices", devices_table, "device", FieldKind::device_name, device_names,
     [](Settings& settings, const std::string& name) { settings.devices[name] = {}; },
     [](const Settings& settings) {
         std::vector<std::string> names;
         for (const auto& [name, params] : settings.devices) names.push_back(name);
         return names;
     }},
    {"transforms", transforms_table, "transform", FieldKind::transform_name, transform_names,
     [](Settings& settings, const std::string& name) { settings.transforms[name] = {}; },
     [](const Settings& settings) {
         std::vector<std::string> names;
         for (const auto& [name, params] : settings.transforms) {
             if (name != "none") names.push_back(name);
         }
         return names;
     }},
}};

template <class Predicate>
const NamedTables* find_if(const Predicate& predicate) {
    const auto* found = std::find_if(families.begin(), families.end(), predicate);
    return found == families.end() ? nullptr : found;
}

}  // namespace

const ReservedName* NamedTables::find_reserved(std::string_view name) const {
    const auto found = std::find_if(reserved.begin(), reserved.end(),
                                    [&](const ReservedName& candidate) { return candidate.name == name; });
    return found == reserved.end() ? nullptr : &*found;
}

std::span<const NamedTables> named_tables() {
    return families;
}

const NamedTables* named_tables_at(std::string_view prefix) {
    return find_if([&](const NamedTables& tables) { return tables.prefix == prefix; });
}

const NamedTables* named_tables_of(const Field& field) {
    return find_if([&](const NamedTables& tables) { return tables.table == field.table; });
}

const NamedTables* named_tables_held_by(FieldKind kind) {
    return find_if([&](const NamedTables& tables) { return tables.names == kind; });
}

}  // namespace crossweep::config
