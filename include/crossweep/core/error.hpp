// Errors: who is at fault decides the type, and the type decides the exit code.
// Libraries throw; only `main` turns an error into an exit code.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace crossweep {

/// Exit codes of the program; scripts depend on them.
enum class ExitCode : int { done = 0, usage = 2, configuration = 3, data = 4, internal = 5, unfinished = 75 };

/// Base of all errors. `what()` is one sentence: the problem with the value, why it is wrong, what to do.
class Error : public std::runtime_error {
  public:
    Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
    ExitCode exit_code() const { return code_; }

  private:
    ExitCode code_;
};

/// The command line is wrong.
class UsageError : public Error {
  public:
    explicit UsageError(const std::string& message) : Error(ExitCode::usage, message) {}
};

/// The study file is wrong. Carries every problem found, one sentence each, in file order.
class ConfigError : public Error {
  public:
    explicit ConfigError(std::vector<std::string> problems);
    const std::vector<std::string>& problems() const { return problems_; }

  private:
    std::vector<std::string> problems_;
};

/// Weights, a data set, a run directory or a disk is wrong.
class DataError : public Error {
  public:
    explicit DataError(const std::string& message) : Error(ExitCode::data, message) {}
};

/// A caller broke a precondition, or this program broke its own promise.
class InternalError : public Error {
  public:
    explicit InternalError(const std::string& message) : Error(ExitCode::internal, message) {}
};

/// Throws InternalError naming the place and the broken condition.
[[noreturn]] void fail_check(const char* kind, const char* condition, const char* file, int line);

}  // namespace crossweep

// Checked in debug and audit builds only: EXPECT is what the caller must provide, ENSURE what we promise
// ourselves.
#ifdef CROSSWEEP_CHECKS
#define CROSSWEEP_EXPECT(condition) \
    ((condition) ? void(0) : ::crossweep::fail_check("precondition", #condition, __FILE__, __LINE__))
#define CROSSWEEP_ENSURE(condition) \
    ((condition) ? void(0) : ::crossweep::fail_check("promise", #condition, __FILE__, __LINE__))
#else
#define CROSSWEEP_EXPECT(condition) void(0)
#define CROSSWEEP_ENSURE(condition) void(0)
#endif
