// The directory of a run: the frozen study, the segments with finished records, the lock of whoever writes.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "crossweep/io/record.hpp"
#include "crossweep/sweep/plan.hpp"

namespace crossweep::sweep {

/// One of `count` jobs that feed one directory; the first has index 1.
struct Part {
    std::size_t index = 1;
    std::size_t count = 1;
};

/// Gives the sentences in which a stored study differs from the present one; empty if they are the same.
using StudyDifferences = std::function<std::vector<std::string>(const std::string& stored)>;

/// Holds a lock on a file of the directory for as long as it lives.
class DirectoryLock {
  public:
    explicit DirectoryLock(int descriptor) : descriptor_(descriptor) {}
    ~DirectoryLock();
    DirectoryLock(DirectoryLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    DirectoryLock& operator=(DirectoryLock&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }

  private:
    int descriptor_;
};

/// RUNDIR with `study.toml`, `segments/NNNNNN.h5` and `results.h5`. Opening it to write takes the part's
/// lock.
class RunDirectory {
  public:
    /// Open for writing; makes the directory and freezes `study_toml` if there is none yet. Throws DataError:
    /// not writable, holds another study (says what differs), or another process writes the same part.
    static RunDirectory open(const std::filesystem::path& path, const std::string& study_toml,
                             const StudyDifferences& differences, Part part);
    /// Open for reading. Throws DataError if it is not a run directory.
    static RunDirectory read(const std::filesystem::path& path);

    ~RunDirectory();
    RunDirectory(RunDirectory&& other) noexcept;
    RunDirectory& operator=(RunDirectory&& other) noexcept;
    RunDirectory(const RunDirectory&) = delete;
    RunDirectory& operator=(const RunDirectory&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path results() const { return path_ / "results.h5"; }
    std::string study_toml() const;
    /// Store `study_toml`, which differs from the frozen study in nothing that decides results, such as more
    /// trials.
    void follow(const std::string& study_toml) const;

    /// Run `action` while no other process does so here: for files that the jobs of a directory share.
    void exclusively(const std::function<void()>& action) const;
    /// The lock of that name, or nothing while another process has it: for what takes long.
    std::optional<DirectoryLock> try_lock(const std::string& name) const;

    /// Write `records` as the next segment. Throws DataError; then nothing of it exists.
    void append(std::span<const io::Record> records);

    struct Contents {
        std::vector<io::Record> records;   ///< one per key: a success if there is one
        std::vector<std::string> damaged;  ///< segments that could not be read, with the reason
        std::size_t segments = 0;
    };
    Contents load() const;

  private:
    RunDirectory(std::filesystem::path path, Part part) : path_(std::move(path)), part_(part) {}
    std::vector<std::filesystem::path> segments() const;

    std::filesystem::path path_;
    Part part_;
    int lock_ = -1;
};

/// Keys of the records that succeeded.
DoneRecords done_records(std::span<const io::Record> records);

}  // namespace crossweep::sweep
