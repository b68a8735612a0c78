// What must hold between the keys of one point.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "crossweep/config/study.hpp"

namespace crossweep::config {

/// Takes a sentence, and the keys to blame for it: the problem is where the first of them is given.
using Complain = std::function<void(std::span<const std::string> paths, std::string sentence)>;

/// Check all devices that the study has, and what is in force of the rest.
void check_point(const Settings& settings, const Complain& complain);

}  // namespace crossweep::config
