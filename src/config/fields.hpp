// The one table of fields. Reading, checking, suggestions, echo, identity and the reference manual all come
// from it.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "crossweep/config/study.hpp"

namespace crossweep::config {

/// A value of any field: numbers and the index of a choice as double (exact for all integers in use).
using Value = std::variant<double, std::string, std::vector<double>>;

enum class FieldKind {
    real,
    integer,
    text,
    path,
    choice,          ///< one of Field::words
    transform_name,  ///< one of the study's transforms
    device_name,     ///< one of the study's devices, or of Field::words
    key_file,        ///< a file of the keys of one table; read in their place, and no value of its own
    reals,           ///< a list of reals
};

/// What a field decides.
enum class Role {
    result,       ///< results: part of a point's identity
    addition,     ///< the same, but left out at its default: a key newer than records that are to stay valid
    selection,    ///< results, by what it selects: that is part of the identity, not its name
    contents,     ///< results, by what the file contains: the path itself is no part of the identity
    bookkeeping,  ///< names, extents and ways of running: no result of a (point, trial, image)
};

/// The allowed numbers; always finite.
struct Range {
    double low = -std::numeric_limits<double>::infinity();
    double high = std::numeric_limits<double>::infinity();
    bool low_open = false;
    bool high_open = false;
    bool or_zero = false;  ///< 0 is allowed besides, as "off" or "automatic"

    bool contains(double number) const;
};

/// Reads or writes one member of Settings; `name` is the NAME of the table for the fields of named tables.
struct Access {
    Value (*get)(const Settings& settings, const std::string& name);
    void (*set)(Settings& settings, const std::string& name, const Value& value);
};

struct Field {
    std::string_view table;  ///< TOML table; of named tables "devices.NAME", "transforms.NAME"
    std::string_view key;
    FieldKind kind;
    Access access;
    Range range;
    std::vector<std::string> words;  ///< of a choice, in the order of its enumerators; see device_name
    std::string_view quantity;       ///< what the value is, with its unit: "conductance in siemens"
    std::string_view meaning;        ///< sentences with the source, or "Assumption: ..."
    Role role;

    std::string path() const;
    bool is_number() const { return kind == FieldKind::real || kind == FieldKind::integer; }
};

/// All fields, table by table in the order of the echo and the manual.
std::span<const Field> fields();

/// A field at a concrete path: the name of a named table is filled in.
struct Key {
    const Field* field = nullptr;
    std::string name;

    std::string path() const;
    Value get(const Settings& settings) const { return field->access.get(settings, name); }
    void set(Settings& settings, const Value& value) const { field->access.set(settings, name, value); }
};

/// The key at a dotted path, split into segments; nothing if there is none. Any name of a named table is
/// taken as given.
std::optional<Key> find_key(std::span<const std::string> segments);

/// Names of all tables with fixed names, in order.
std::vector<std::string> table_names();

/// Keys of one table, without the table's name.
std::vector<std::string> keys_of(std::string_view table);

inline constexpr std::string_view devices_table = "devices.NAME";
inline constexpr std::string_view transforms_table = "transforms.NAME";
inline constexpr std::string_view technology_table = "technology";

/// A value as people read it: 3, per_read, [0.286].
std::string value_text(const Field& field, const Value& value);

/// A value as TOML: 3, "per_read", [0.286].
std::string value_toml(const Field& field, const Value& value);

/// What may be given: "a value in (0, 1]", "\"none\" or \"window\"".
std::string allowed_text(const Field& field);

}  // namespace crossweep::config
