#include "crossweep/io/atomic_file.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <span>

#include "file_descriptor.hpp"

namespace crossweep::io {
namespace {

void flush_folder_of(const std::filesystem::path& path) {
    const std::filesystem::path folder = path.parent_path();
    FileDescriptor(folder.empty() ? "." : folder, FileDescriptor::Mode::read).flush_to_disk();
}

}  // namespace

void write_atomically(const std::filesystem::path& path,
                      const std::function<void(const std::filesystem::path& temporary)>& write) {
    std::filesystem::path temporary = path;
    temporary += ".tmp";
    try {
        write(temporary);
        FileDescriptor written(temporary, FileDescriptor::Mode::read);
        written.flush_to_disk();
        written.close();
        if (std::rename(temporary.c_str(), path.c_str()) != 0) fail_with_errno(path, "written", errno);
    } catch (...) {
        ::unlink(temporary.c_str());  // unlike std::filesystem::remove, never removes a folder of that name
        throw;
    }
    flush_folder_of(path);
}

void write_text_atomically(const std::filesystem::path& path, std::string_view text) {
    write_atomically(path, [text](const std::filesystem::path& temporary) {
        FileDescriptor file(temporary, FileDescriptor::Mode::create);
        file.write(std::as_bytes(std::span(text)));
        file.close();
    });
}

std::string read_text(const std::filesystem::path& path) {
    return FileDescriptor(path, FileDescriptor::Mode::read).read_all();
}

}  // namespace crossweep::io
