// A small file as one text.
#pragma once

#include <filesystem>
#include <string>

namespace crossweep::config {

struct TextFile {
    std::string text;
    std::string trouble;  ///< why it cannot be read; empty if it could
};

TextFile read_text(const std::filesystem::path& file);

}  // namespace crossweep::config
