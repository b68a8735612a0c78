#include "node_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

namespace crossweep::comm {
namespace {

/// An open file in memory of `size` bytes, and the path by which others can open it.
struct MemoryFile {
    int descriptor = -1;
    std::string path;
    bool named = false;
};

/// Every process of the node can open a file in /dev/shm, those in other user namespaces included.
MemoryFile make_named(std::size_t size) {
    MemoryFile file{-1, "/dev/shm/crossweep.XXXXXX", true};
    file.descriptor = ::mkostemp(file.path.data(), O_CLOEXEC);
    // Room is reserved now: where there is none later, writing would end the process.
    if (file.descriptor < 0 || ::posix_fallocate(file.descriptor, 0, static_cast<off_t>(size)) == 0)
        return file;
    ::unlink(file.path.c_str());
    ::close(file.descriptor);
    file.descriptor = -1;
    return file;
}

/// A container may limit /dev/shm to 64 MiB; this is bounded by the memory alone.
MemoryFile make_nameless(std::size_t size) {
    MemoryFile file{::memfd_create("crossweep", MFD_CLOEXEC), "", false};
    if (file.descriptor < 0) return file;
    file.path = fmt::format("/proc/{}/fd/{}", ::getpid(), file.descriptor);
    if (::ftruncate(file.descriptor, static_cast<off_t>(size)) == 0) return file;
    ::close(file.descriptor);
    file.descriptor = -1;
    return file;
}

}  // namespace

NodeMemory::~NodeMemory() {
    close();
    if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

std::shared_ptr<NodeMemory> NodeMemory::map(std::size_t size, int protection, int flags, int descriptor) {
    std::shared_ptr<NodeMemory> memory(new NodeMemory);
    void* const start = ::mmap(nullptr, size, protection, flags, descriptor, 0);
    if (start == MAP_FAILED) return nullptr;
    memory->bytes_ = {static_cast<std::byte*>(start), size};
    return memory;
}

std::shared_ptr<NodeMemory> NodeMemory::for_others(std::size_t size) {
    MemoryFile file = make_named(size);
    if (file.descriptor < 0) file = make_nameless(size);
    if (file.descriptor < 0) return nullptr;
    auto memory = map(size, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor);
    struct stat status {};
    if (!memory || ::fstat(file.descriptor, &status) != 0) {
        if (file.named) ::unlink(file.path.c_str());
        ::close(file.descriptor);
        return nullptr;
    }
    memory->address_.device = status.st_dev;
    memory->address_.inode = status.st_ino;
    file.path.copy(memory->address_.path.data(), memory->address_.path.size() - 1);
    memory->descriptor_ = file.descriptor;
    memory->named_ = file.named;
    return memory;
}

std::shared_ptr<NodeMemory> NodeMemory::of_another(const MemoryAddress& address, std::size_t size) {
    const int descriptor =
        ::open(address.path.data(), O_RDONLY | O_CLOEXEC);  // an empty path cannot be opened
    if (descriptor < 0) return nullptr;
    struct stat status {};
    std::shared_ptr<NodeMemory> memory;
    if (::fstat(descriptor, &status) == 0 && status.st_dev == address.device &&
        status.st_ino == address.inode) {
        memory = map(size, PROT_READ, MAP_SHARED, descriptor);
    }
    ::close(descriptor);
    return memory;
}

std::shared_ptr<NodeMemory> NodeMemory::for_oneself(std::size_t size) {
    return map(size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

void NodeMemory::close() {
    if (descriptor_ < 0) return;
    if (named_) ::unlink(address_.path.data());
    ::close(descriptor_);
    descriptor_ = -1;
}

void NodeMemory::make_read_only() {
    ::mprotect(bytes_.data(), bytes_.size(), PROT_READ);
}

}  // namespace crossweep::comm
