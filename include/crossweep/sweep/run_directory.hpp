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

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path results() const { return path_ / "results.h5"; }
    std::string study_toml() const;
    /// Store `study_toml`, which differs from the frozen study in nothing that decides results, such as more
    /// trials.
    void follow(const std::string& study_toml) const;

    /// Run `action` while no other process does so here: for files that the jobs of a directory share.
    void exclusively(const std::function<void()>& action) const;
    /// The lock of that name, once no other process has it.
    DirectoryLock lock(const std::string& name) const;
    /// The lock of that name, or nothing while another process has it: for what takes long.
    std::optional<DirectoryLock> try_lock(const std::string& name) const;

    /// Write `records` as the next segment. Throws DataError; then nothing of it exists.
    void append(std::span<const io::Record> records);

    /// The segments that were there at one moment.
    struct Segments {
        std::vector<std::filesystem::path> whole;
        std::vector<std::string> damaged;  ///< those that could not be read, with the reason

        std::size_t count() const { return whole.size() + damaged.size(); }
    };
    using VisitStatus =
        std::function<void(const io::RecordStatus& record, const std::filesystem::path& segment)>;
    /// Visit every record of the segments that are there now, without its arrays.
    Segments scan(const VisitStatus& visit) const;

  private:
    RunDirectory(std::filesystem::path path, Part part) : path_(std::move(path)), part_(part) {}
    std::vector<std::filesystem::path> segments() const;

    std::filesystem::path path_;
    Part part_;
    std::vector<DirectoryLock> locks_;
};

/// Visit every record of `segments`, one of which at a time is in memory. Throws DataError if one is damaged.
void read_records(std::span<const std::filesystem::path> segments,
                  const std::function<void(const io::Record&)>& visit);

}  // namespace crossweep::sweep
