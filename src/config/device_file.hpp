// A device file: keys of a device as flat TOML, read in the place of the study's own.
#pragma once

#include "reader.hpp"

namespace crossweep::config {

/// Read the file that `member`, the study's key `file`, names. What is wrong in it goes to the context's
/// problems, at its place in that file.
void read_device_file(const Key& file, const Member& member, Reading& reading, Context& context);

}  // namespace crossweep::config
