#include "crossweep/io/scratch_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "file_descriptor.hpp"

namespace crossweep::io {

ScratchFile::ScratchFile(std::filesystem::path path, std::size_t buffer_bytes)
    : path_(std::move(path)), buffer_bytes_(buffer_bytes) {}

ScratchFile::~ScratchFile() {
    ::unlink(path_.c_str());  // also what a full disk left half written
}

ScratchFile::ScratchFile(ScratchFile&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      buffer_bytes_(other.buffer_bytes_),
      written_(std::exchange(other.written_, 0)),
      buffer_(std::move(other.buffer_)) {}

void ScratchFile::append(std::span<const std::byte> bytes) {
    if (buffer_.size() + bytes.size() > buffer_bytes_) flush();
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

/// The file is open only while it is used: there may be more of them than a process may have open.
void ScratchFile::flush() {
    if (buffer_.empty()) return;
    const bool is_new = written_ == 0;
    if (is_new) {
        std::error_code error;  // what is wrong with the folder, opening the file says
        std::filesystem::create_directories(path_.parent_path(), error);
    }
    FileDescriptor file(path_, is_new ? FileDescriptor::Mode::create : FileDescriptor::Mode::append);
    file.write(buffer_);
    file.close();
    written_ += buffer_.size();
    buffer_.clear();
}

std::vector<std::byte> ScratchFile::read(std::size_t first, std::size_t count) {
    if (written_ == 0) {
        const auto begin = buffer_.begin() + static_cast<std::ptrdiff_t>(first);
        return {begin, begin + static_cast<std::ptrdiff_t>(count)};
    }
    flush();
    std::vector<std::byte> bytes(count);
    const FileDescriptor file(path_, FileDescriptor::Mode::read);
    for (std::size_t done = 0; done < count;) {
        const ssize_t got =
            ::pread(file.number(), bytes.data() + done, count - done, static_cast<off_t>(first + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) fail_with_errno(path_, "read", got < 0 ? errno : EIO);
        done += static_cast<std::size_t>(got);
    }
    return bytes;
}

std::vector<std::byte> ScratchFile::take() {
    std::vector<std::byte> bytes = written_ == 0 ? std::exchange(buffer_, {}) : read(0, size());
    ::unlink(path_.c_str());
    buffer_ = {};
    written_ = 0;
    return bytes;
}

}  // namespace crossweep::io
