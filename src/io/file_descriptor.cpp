#include "file_descriptor.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "crossweep/core/error.hpp"

namespace crossweep::io {
namespace {

struct Advice {
    int code;
    const char* why;
    const char* what_to_do;
};

constexpr std::array advices{
    Advice{ENOSPC, "the disk is full", "Free some space and start again."},
    Advice{EDQUOT, "the disk quota is used up", "Free some space and start again."},
    Advice{EFBIG, "it would be larger than a file may be", "Raise the limit (ulimit -f) and start again."},
    Advice{EMFILE, "too many files are open", "Raise the limit (ulimit -n) and start again."},
    Advice{ESTALE, "the file server has lost it", "Check the file server and start again."},
    Advice{EACCES, "permission denied", "Check the permissions of the file and of its folder."},
    Advice{EPERM, "permission denied", "Check the permissions of the file and of its folder."},
    Advice{EROFS, "the file system is read-only", "Choose a folder that can be written."},
    Advice{ENOENT, "no such file or folder", "Check the name."},
    Advice{ENOTDIR, "part of the path is not a folder", "Check the name."},
    Advice{EISDIR, "it is a folder", "Give the name of a file."},
    Advice{EIO, "the disk reports an input/output error", "Check the disk, or use another one."},
};

int flags_of(FileDescriptor::Mode mode) {
    switch (mode) {
        case FileDescriptor::Mode::read:
            return O_RDONLY | O_CLOEXEC;
        case FileDescriptor::Mode::create:
            return O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
        case FileDescriptor::Mode::append:
            return O_WRONLY | O_APPEND | O_CLOEXEC;
    }
    return O_RDONLY;
}

}  // namespace

void fail_with_errno(const std::filesystem::path& path, const char* action, int code) {
    const auto* advice = std::ranges::find(advices, code, &Advice::code);
    if (advice != advices.end()) {
        throw DataError(
            fmt::format("{}: cannot be {} ({}). {}", path.string(), action, advice->why, advice->what_to_do));
    }
    throw DataError(fmt::format("{}: cannot be {} ({}). Check the file and its disk.", path.string(), action,
                                std::generic_category().message(code)));
}

FileDescriptor::FileDescriptor(const std::filesystem::path& path, Mode mode) : path_(path) {
    constexpr int permissions = 0666;  // less the user's umask
    number_ = ::open(path.c_str(), flags_of(mode), permissions);
    if (number_ < 0) fail_with_errno(path, mode == Mode::read ? "read" : "written", errno);
}

FileDescriptor::~FileDescriptor() {
    if (number_ >= 0) ::close(number_);
}

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : path_(std::move(other.path_)), number_(std::exchange(other.number_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(number_, other.number_);
    return *this;
}

int FileDescriptor::release() {
    return std::exchange(number_, -1);
}

void FileDescriptor::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(number_, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail_with_errno(path_, "written", errno);
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
}

std::string FileDescriptor::read_all() const {
    // What is no regular file has no size, and a file may still grow: the size is a guess, with room to see
    // the end.
    struct stat status {};
    const bool is_known = ::fstat(number_, &status) == 0 && status.st_size > 0;
    std::string contents(is_known ? static_cast<std::size_t>(status.st_size) + 1 : 1 << 16, '\0');
    for (std::size_t done = 0;;) {
        if (done == contents.size()) contents.resize(2 * done);
        const ssize_t count = ::read(number_, contents.data() + done, contents.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail_with_errno(path_, "read", errno);
        done += static_cast<std::size_t>(count);
        if (count != 0) continue;
        contents.resize(done);
        return contents;
    }
}

void FileDescriptor::flush_to_disk() {
    while (::fsync(number_) != 0) {
        // Some network file systems cannot flush a folder and say so; their rename is as durable as they make
        // it.
        if (errno == EINVAL || errno == ENOTSUP) return;
        if (errno != EINTR) fail_with_errno(path_, "written", errno);
    }
}

void FileDescriptor::close() {
    // After EINTR Linux has closed the descriptor all the same.
    if (number_ >= 0 && ::close(release()) != 0 && errno != EINTR) fail_with_errno(path_, "written", errno);
}

}  // namespace crossweep::io
