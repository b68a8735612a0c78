// The tree of a study file, [sweep] aside, to the settings that hold where the sweep does not say otherwise.
#pragma once

#include <map>
#include <set>
#include <string>

#include "check.hpp"

namespace crossweep::config {

struct Reading {
    Settings base;
    std::map<std::string, Place> given;  ///< path of each key that was read, with the place of its value
    std::set<std::string> failed;        ///< paths whose value was refused
};

/// Names that a study defines, the reserved one that always exists first; by prefix, as Context holds them.
std::map<std::string_view, std::vector<std::string>> names_in(const Node& root);

/// Read all settings; what is wrong goes to the context's problems.
Reading read_settings(const Node& root, Context& context);

}  // namespace crossweep::config
