#include "crossweep/core/error.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace crossweep {

ConfigError::ConfigError(std::vector<std::string> problems)
    : Error(ExitCode::configuration, fmt::format("{}", fmt::join(problems, "\n"))),
      problems_(std::move(problems)) {}

void fail_check(const char* kind, const char* condition, const char* file, int line) {
    throw InternalError(fmt::format("{}:{}: broken {}: {}", file, line, kind, condition));
}

}  // namespace crossweep
