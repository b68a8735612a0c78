#include "crossweep/sweep/run_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "crossweep/core/error.hpp"
#include "crossweep/io/atomic_file.hpp"
#include "crossweep/io/segment.hpp"

namespace crossweep::sweep {

namespace fs = std::filesystem;

namespace {

void make_directories(const fs::path& path) {
    std::error_code error;
    fs::create_directories(path / "segments", error);
    if (error || access(path.c_str(), W_OK) != 0 || access((path / "segments").c_str(), W_OK) != 0) {
        throw DataError(
            fmt::format("{}: the run directory cannot be written ({}). Choose another --out or its rights.",
                        path.string(), error ? error.message() : std::strerror(errno)));
    }
}

/// Numbers of segments are taken modulo the number of parts, so that jobs never choose the same name.
std::size_t next_number(const std::vector<fs::path>& segments, Part part) {
    std::size_t number = part.index;
    for (const fs::path& segment : segments) {
        const std::size_t used = std::stoul(segment.stem().string());
        if (used >= number) number += ((used - number) / part.count + 1) * part.count;
    }
    return number;
}

/// Remove what killed writers left half written. Whoever writes segments and studies holds the directory's
/// lock, as the caller does; merges and calibrations have locks of their own, and overwrite what is left.
void remove_temporaries(const fs::path& folder) {
    std::error_code error;  // what cannot be removed disturbs nobody
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        const fs::path& path = entry->path();
        std::error_code not_removed;
        const bool is_ours = path.filename() != "calibration.json.tmp" && path.filename() != "results.h5.tmp";
        if (path.extension() == ".tmp" && is_ours && entry->is_regular_file(not_removed))
            fs::remove(path, not_removed);
    }
}

/// The lock on `file`, or nothing if another process has it and `operation` does not wait.
std::optional<DirectoryLock> lock_file(const fs::path& file, int operation) {
    const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    DirectoryLock lock(descriptor);
    int failed = -1;
    // A signal that asks the run to stop may come while it waits for another process.
    while (descriptor >= 0 && (failed = flock(descriptor, operation)) != 0 && errno == EINTR) {
    }
    if (failed == 0) return lock;
    if (descriptor >= 0 && errno == EWOULDBLOCK) return std::nullopt;
    throw DataError(fmt::format("{}: the lock cannot be taken ({}). Check the rights of the run directory.",
                                file.string(), std::strerror(errno)));
}

/// A whole run has the directory alone; parts share it, and each has its part alone.
std::vector<DirectoryLock> locks_of(const fs::path& path, Part part) {
    std::vector<DirectoryLock> locks;
    const auto take = [&](const std::string& name, int operation) {
        auto lock = lock_file(path / name, operation | LOCK_NB);
        if (!lock) {
            throw DataError(fmt::format(
                "{}: another process is running this study here. Wait for it, or give each job its "
                "--part.",
                path.string()));
        }
        locks.push_back(std::move(*lock));
    };
    take("run.lock", part.count == 1 ? LOCK_EX : LOCK_SH);
    if (part.count > 1) take(fmt::format("run-{}of{}.lock", part.index, part.count), LOCK_EX);
    return locks;
}

bool is_segment(const fs::path& path) {
    const std::string stem = path.stem().string();
    return path.extension() == ".h5" && !stem.empty() && stem.size() < 18 &&
           std::all_of(stem.begin(), stem.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

}  // namespace

RunDirectory RunDirectory::open(const fs::path& path, const std::string& study_toml,
                                const StudyDifferences& differences, Part part) {
    make_directories(path);
    RunDirectory directory(path, part);
    directory.locks_ = locks_of(path, part);
    directory.exclusively([&] {
        remove_temporaries(path);
        remove_temporaries(path / "segments");
        const fs::path frozen = path / "study.toml";
        const auto sentences =
            fs::exists(frozen) ? differences(io::read_text(frozen)) : std::vector<std::string>{};
        if (!sentences.empty()) {
            throw DataError(
                fmt::format("{}: the run directory holds another study:\n  {}\nChoose another --out, or run "
                            "the study that it holds.",
                            path.string(), fmt::join(sentences, "\n  ")));
        }
        if (!fs::exists(frozen)) io::write_text_atomically(frozen, study_toml);
    });
    return directory;
}

RunDirectory RunDirectory::read(const fs::path& path) {
    std::error_code error;
    if (!fs::exists(path / "study.toml", error)) {
        throw DataError(fmt::format(
            "{}: this is not a run directory ({}). Give the directory that crossweep run --out made.",
            path.string(), error ? error.message() : "it has no study.toml"));
    }
    return {path, {}};
}

DirectoryLock::~DirectoryLock() {
    if (descriptor_ >= 0) ::close(descriptor_);  // which also unlocks
}

void RunDirectory::exclusively(const std::function<void()>& action) const {
    const DirectoryLock alone = lock("directory.lock");
    action();
}

DirectoryLock RunDirectory::lock(const std::string& name) const {
    return *lock_file(path_ / name, LOCK_EX);
}

std::optional<DirectoryLock> RunDirectory::try_lock(const std::string& name) const {
    return lock_file(path_ / name, LOCK_EX | LOCK_NB);
}

void RunDirectory::follow(const std::string& study_toml) const {
    exclusively([&] {
        if (this->study_toml() != study_toml) io::write_text_atomically(path_ / "study.toml", study_toml);
    });
}

std::string RunDirectory::study_toml() const {
    return io::read_text(path_ / "study.toml");
}

std::vector<fs::path> RunDirectory::segments() const {
    std::vector<fs::path> found;
    std::error_code error;
    for (fs::directory_iterator entry(path_ / "segments", error), end; !error && entry != end;
         entry.increment(error)) {
        if (is_segment(entry->path())) found.push_back(entry->path());
    }
    if (error) {
        throw DataError(
            fmt::format("{}: the segments cannot be listed ({}). Check the run directory, then start again.",
                        (path_ / "segments").string(), error.message()));
    }
    std::sort(found.begin(), found.end());
    return found;
}

void RunDirectory::append(std::span<const io::Record> records) {
    if (records.empty()) return;
    // Alone: a whole run and a part, or parts of different counts, could choose the same number.
    exclusively([&] {
        const std::size_t number = next_number(segments(), part_);
        io::write_segment(path_ / "segments" / fmt::format("{:06}.h5", number), records);
    });
}

RunDirectory::Segments RunDirectory::scan(const VisitStatus& visit) const {
    Segments found;
    for (const fs::path& segment : segments()) {
        try {
            for (const io::RecordStatus& record : io::read_segment_status(segment)) visit(record, segment);
            found.whole.push_back(segment);
        } catch (const io::DamagedSegment& error) {
            found.damaged.emplace_back(error.what());
        }
    }
    return found;
}

void read_records(std::span<const fs::path> segments, const std::function<void(const io::Record&)>& visit) {
    std::vector<io::Record> records;
    for (const fs::path& segment : segments) {
        io::read_segment(segment, records);
        for (const io::Record& record : records) visit(record);
    }
}

}  // namespace crossweep::sweep
