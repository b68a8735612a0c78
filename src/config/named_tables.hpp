// Tables that a study may have any number of, each under a name of its own: [devices.NAME] and
// [transforms.NAME].
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fields.hpp"

namespace crossweep::config {

/// A name that a study cannot give.
struct ReservedName {
    std::string_view name;
    std::string_view why;           ///< "the transform none always changes nothing"
    std::string_view sweep_remedy;  ///< what to sweep instead
};

struct NamedTables {
    std::string_view prefix;                 ///< "devices"
    std::string_view table;                  ///< "devices.NAME"
    std::string_view noun;                   ///< "device"
    FieldKind names;                         ///< of the fields that hold such a name
    std::span<const ReservedName> reserved;  ///< the first always exists
    void (*add)(Settings& settings, const std::string& name);
    std::vector<std::string> (*given)(const Settings& settings);  ///< names in order, none of them reserved

    const ReservedName* find_reserved(std::string_view name) const;
};

std::span<const NamedTables> named_tables();

/// The named tables with this prefix, or null.
const NamedTables* named_tables_at(std::string_view prefix);

/// The named tables that a field belongs to, or null.
const NamedTables* named_tables_of(const Field& field);

/// Those whose names a kind of field holds, or null.
const NamedTables* named_tables_held_by(FieldKind kind);

}  // namespace crossweep::config
