// A folder of its own for each test, removed with everything in it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>

#include "crossweep/core/error.hpp"

namespace crossweep::io {

class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "crossweep_io_XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
        path_ = pattern;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

inline void write_file(const std::filesystem::path& path, const std::string& contents) {
    std::filesystem::remove(
        path);  // ext4 writes a file that is truncated and filled again to the disk at once
    std::ofstream(path, std::ios::binary) << contents;
}

template <class T>
std::string bytes_of(const T& value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// What the DataError says that `action` throws; a failure of the test if it throws none.
template <class Action>
std::string data_error_of(Action&& action) {
    try {
        action();
    } catch (const DataError& error) {
        return error.what();
    }
    ADD_FAILURE() << "no DataError was thrown";
    return {};
}

/// A file system of `size_kib` KiB mounted at a folder, where the rights to do so exist.
class SmallDisk {
  public:
    SmallDisk(const std::filesystem::path& folder, int size_kib) : folder_(folder) {
        std::filesystem::create_directories(folder);
        const std::string command = "mount -t tmpfs -o size=" + std::to_string(size_kib) + "k tmpfs '" +
                                    folder.string() + "' 2>/dev/null";
        mounted_ = ::geteuid() == 0 && std::system(command.c_str()) == 0;
    }
    ~SmallDisk() {
        if (!mounted_) return;
        EXPECT_EQ(std::system(("umount '" + folder_.string() + "'").c_str()), 0);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    bool mounted() const { return mounted_; }

  private:
    std::filesystem::path folder_;
    bool mounted_ = false;
};

}  // namespace crossweep::io
