// One value against its field: type, range, words. And what to say of a key that does not exist.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "document.hpp"
#include "fields.hpp"

namespace crossweep::config {

/// What a value may refer to.
struct Context {
    std::filesystem::path directory;      ///< of the study file, absolute
    std::vector<std::string> transforms;  ///< names, "none" first
    Problems& problems;
};

/// The value of `key` as `node` gives it, paths made absolute; otherwise the problem is reported at the node.
std::optional<Value> check_value(const Key& key, const Node& node, Context& context);

/// `unknown key "device.gmax_S"; did you mean "device.g_max_S"?`
std::string unknown_key_sentence(std::span<const std::string> segments);

/// `unknown table [devise]; did you mean [device]?`
std::string unknown_table_sentence(const std::string& name);

/// `transform.name = "(2, 0.2)" is not a transform; did you mean "(2, 0.25)"?`
std::string unknown_transform_sentence(const std::string& subject, const std::string& name,
                                       const Context& context);

}  // namespace crossweep::config
