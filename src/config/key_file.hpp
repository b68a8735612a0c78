// A device or technology file: keys of one table as flat TOML, read in the place of the study's own.
#pragma once

#include "reader.hpp"

namespace crossweep::config {

/// Read the file that `member`, the study's key `file`, names. What is wrong in it goes to the context's
/// problems, at its place in that file.
void read_key_file(const Key& file, const Member& member, Reading& reading, Context& context);

}  // namespace crossweep::config
