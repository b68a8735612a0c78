// What this binary is: version, commit, compiler, and the instruction set it runs with here.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace crossweep {

/// (name, value) pairs: version, git_commit, compiler, build_type, instruction_set, integer_kernels,
/// host.
std::vector<std::pair<std::string, std::string>> build_info();

/// "x86-64-v4", "x86-64-v3" or "portable": the version of the vectorised loops that this processor selects.
std::string instruction_set();

}  // namespace crossweep
