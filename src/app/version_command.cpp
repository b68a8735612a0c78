// crossweep schema and version: what a study file may say, and which program this is.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "crossweep/config/study.hpp"
#include "provenance.hpp"

namespace crossweep::app {

ExitCode schema() {
    fmt::print("{}", config::reference_markdown());
    return ExitCode::done;
}

ExitCode version(bool json) {
    if (json) {
        nlohmann::ordered_json facts;
        for (const auto& [name, value] : provenance()) facts[name] = value;
        fmt::print("{}\n", facts.dump(2));
        return ExitCode::done;
    }
    for (const auto& [name, value] : provenance()) fmt::print("{:<18}{}\n", name, value);
    return ExitCode::done;
}

}  // namespace crossweep::app
