#include "crossweep/io/mapped_file.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "crossweep/core/error.hpp"
#include "file_descriptor.hpp"

namespace crossweep::io {

MappedFile::MappedFile(const std::filesystem::path& path) {
    const FileDescriptor file(path, FileDescriptor::Mode::read);
    struct stat status {};
    if (::fstat(file.number(), &status) != 0) fail_with_errno(path, "read", errno);
    if (S_ISDIR(status.st_mode)) fail_with_errno(path, "read", EISDIR);
    if (!S_ISREG(status.st_mode)) {
        throw DataError(
            fmt::format("{}: is not a regular file (a pipe or a device cannot be mapped). Copy it to a file.",
                        path.string()));
    }
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size == 0) return;  // mmap refuses empty mappings
    void* const start = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.number(), 0);
    if (start == MAP_FAILED) fail_with_errno(path, "mapped", errno);
    bytes_ = {static_cast<const std::byte*>(start), size};
}

MappedFile::~MappedFile() {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
}

SharedBytes map_file(const std::filesystem::path& path) {
    const auto file = std::make_shared<const MappedFile>(path);
    return {file->bytes(), file};
}

}  // namespace crossweep::io
