// A hardware file: a processor with its memory as flat TOML (configs/hardware), for the cost of models.
#pragma once

#include <filesystem>
#include <string>

#include "crossweep/cost/roofline.hpp"

namespace crossweep::config {

/// Read and check a hardware file; its name without the extension becomes that of the hardware. Throws
/// ConfigError with every problem found, each as `FILE:LINE:COLUMN: problem (why). What to do.`; DataError if
/// the file cannot be read.
cost::Hardware load_hardware(const std::filesystem::path& file);
cost::Hardware parse_hardware(const std::string& toml, const std::filesystem::path& file);

}  // namespace crossweep::config
