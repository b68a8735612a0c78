#include "text_file.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace crossweep::config {

TextFile read_text(const std::filesystem::path& file) {
    // A directory opens like a file, and fails at the first read only.
    if (std::filesystem::is_directory(file)) return {"", "it is a directory"};
    std::ifstream stream(file, std::ios::binary);
    if (!stream) return {"", std::strerror(errno)};
    try {
        return {{std::istreambuf_iterator<char>(stream), {}}, ""};
    } catch (const std::ios_base::failure& failure) {
        return {"", failure.what()};
    }
}

}  // namespace crossweep::config
