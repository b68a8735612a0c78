// One value against its field: type, range, words. And what to say of a key that does not exist.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "document.hpp"
#include "fields.hpp"
#include "named_tables.hpp"

namespace crossweep::config {

/// What a value may refer to.
struct Context {
    std::filesystem::path directory;  ///< of the study file, as given
    /// Names that the study has, the reserved one that always exists first; by prefix: "devices",
    /// "transforms".
    std::map<std::string_view, std::vector<std::string>> names;
    Problems& problems;
};

/// The value of `key` as `node` gives it, paths made absolute; otherwise the problem is reported at the node.
std::optional<Value> check_value(const Key& key, const Node& node, Context& context);
/// The same, under another name of the key than its path.
std::optional<Value> check_value(const Field& field, const std::string& subject, const Node& node,
                                 Context& context);

/// A path that the study gives, relative to what the process is: those of a study are relative to its file,
/// those of an override to where the command is given.
std::filesystem::path located(const Node& node, const Context& context);

/// `unknown key "device.gmax_S"; did you mean "device.g_max_S"?`
std::string unknown_key_sentence(std::span<const std::string> segments);

/// `unknown table [devise]; did you mean [device]?`
std::string unknown_table_sentence(const std::string& name);

/// `transform.name = "(2, 0.2)" is not a transform; did you mean "(2, 0.25)"?`
std::string unknown_name_sentence(const NamedTables& tables, const std::string& subject,
                                  const std::string& name, std::span<const std::string> known);

}  // namespace crossweep::config
