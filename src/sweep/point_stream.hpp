// Records that come in any order, given point by point. Private to src/sweep.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <vector>

#include "crossweep/io/scratch_file.hpp"
#include "crossweep/sweep/results.hpp"

namespace crossweep::sweep {

/// A folder for scratch files. It is not there before and not afterwards, even if a killed process left one.
class ScratchFolder {
  public:
    explicit ScratchFolder(std::filesystem::path path) : path_(std::move(path)) { remove(); }
    ~ScratchFolder() { remove(); }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  private:
    void remove() const {
        std::error_code nobody_to_tell;
        std::filesystem::remove_all(path_, nobody_to_tell);
    }
    std::filesystem::path path_;
};

/// Distributes records to buckets, each for so many neighbouring points that its records fit into memory, and
/// then takes one bucket after the other. A single bucket stays in memory; several are files. References stay
/// in memory: every point needs one.
class PointStream {
  public:
    /// Reads all of `records`.
    PointStream(const Census& census, const RecordSource& records, std::size_t memory_bytes,
                const ScratchFolder& folder);

    const PointRecords& reference(PointId point) const { return references_.at(point); }
    /// Visit every point that is no reference, in order; once only.
    void for_each_point(const std::function<void(PointId, const PointRecords&)>& visit);

  private:
    struct Bucket {
        std::vector<PointId> points;
        io::ScratchFile records;  ///< each packed, behind its point's key and its length
    };
    void cut_buckets(std::size_t memory_bytes, const ScratchFolder& folder);
    void distribute(const io::Record& record);
    bool is_of_study(const io::RecordKey& key) const;

    const Census& census_;
    const Workload& workload_;
    std::vector<Bucket> buckets_;
    std::vector<std::size_t> bucket_of_point_;
    std::vector<std::byte> entry_;  ///< of a bucket, for one record after the other
    std::deque<io::Record> reference_records_;
    std::map<PointId, PointRecords> references_;
};

/// The content hash of a study whose points come in the order of their numbers. The hash takes them in the
/// order of their keys: until then, each record is kept as 16 bytes.
class StudyHasher {
  public:
    StudyHasher(const Census& census, const ScratchFolder& folder);
    void add(PointId point, const PointRecords& records);
    ContentHash digest();

  private:
    struct Range {
        std::size_t first = 0, count = 0;
    };
    const PointsByKey& points_;
    const Workload& workload_;
    std::vector<Range> of_point_;  ///< bytes in hashes_
    io::ScratchFile hashes_;
};

}  // namespace crossweep::sweep
