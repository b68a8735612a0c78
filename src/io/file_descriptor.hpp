// One open POSIX file whose every failure names the file, says why and what to do.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace crossweep::io {

/// Throws the DataError for `path` that "cannot be `action`" because of the errno value `code`.
[[noreturn]] void fail_with_errno(const std::filesystem::path& path, const char* action, int code);

/// Owns one file descriptor. All members throw DataError.
class FileDescriptor {
  public:
    enum class Mode { read, create, append };
    FileDescriptor(const std::filesystem::path& path, Mode mode);
    ~FileDescriptor();
    FileDescriptor(FileDescriptor&& other) noexcept;
    FileDescriptor& operator=(FileDescriptor&& other) noexcept;
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;

    int number() const { return number_; }
    /// Give the descriptor to the caller, who closes it.
    int release();

    void write(std::span<const std::byte> bytes);
    std::string read_all() const;
    /// Wait until the bytes are on the disk, where the file system can say so.
    void flush_to_disk();
    /// Close; some file systems report a full disk only here.
    void close();

  private:
    std::filesystem::path path_;
    int number_ = -1;
};

}  // namespace crossweep::io
