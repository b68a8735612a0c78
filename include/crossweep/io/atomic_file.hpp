// Files that exist whole or not at all: written beside their name, flushed to the disk, renamed.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace crossweep::io {

/// Call `write(temporary)`, where `temporary` is `path` with ".tmp" appended, flush it to the disk and rename
/// it to `path`. `write` throws if it could not write everything. Whatever throws leaves no temporary behind
/// and `path` as it was. Throws DataError (disk full, not writable).
void write_atomically(const std::filesystem::path& path,
                      const std::function<void(const std::filesystem::path& temporary)>& write);

/// The same for a text.
void write_text_atomically(const std::filesystem::path& path, std::string_view text);

/// Whole contents of a text file; throws DataError if it cannot be read.
std::string read_text(const std::filesystem::path& path);

}  // namespace crossweep::io
