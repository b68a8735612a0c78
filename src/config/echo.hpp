// A study written back in full.
#pragma once

#include <string>
#include <vector>

#include "sweep.hpp"

namespace crossweep::config {

/// Every key with its value, then devices and transforms, then the sweep; what device files gave stands as
/// values. Reading the result gives the same study, and writing that gives the same text.
std::string echo_study(const Settings& base, const std::vector<AxisValues>& axes);

}  // namespace crossweep::config
