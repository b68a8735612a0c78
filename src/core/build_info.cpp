#include "crossweep/core/build_info.hpp"

#include <unistd.h>

#include <array>

#include "build_info.hpp"  // generated: version, commit, build type
#include "crossweep/core/instruction_set.hpp"

namespace crossweep {

std::string instruction_set() {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(CROSSWEEP_SINGLE_VERSION)
    if (__builtin_cpu_supports("x86-64-v4")) return "x86-64-v4";
    if (__builtin_cpu_supports("x86-64-v3")) return "x86-64-v3";
#endif
    return "portable";
}

std::vector<std::pair<std::string, std::string>> build_info() {
    std::array<char, 256> host{};
    gethostname(host.data(), host.size() - 1);
    return {{"version", CROSSWEEP_VERSION},
            {"git_commit", CROSSWEEP_GIT_COMMIT},
            {"compiler", "g++ " __VERSION__},
            {"build_type", CROSSWEEP_BUILD_TYPE},
            {"instruction_set", instruction_set()},
            {"integer_kernels", std::string(name_of(best_instruction_set()))},
            {"host", host.data()}};
}

}  // namespace crossweep
