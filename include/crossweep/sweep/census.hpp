// What is there of a study, counted without holding its records.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "crossweep/io/record.hpp"
#include "crossweep/sweep/plan.hpp"

namespace crossweep::sweep {

/// Numbers of records by the instruction sets that computed them (io::Record::path).
using PathCounts = std::map<std::string, std::size_t>;

/// Counts the records of a study. Of several with the same key, the first that succeeded counts, else the
/// last that failed. Points that share their records have one each.
class Census {
  public:
    /// `workload` has to live as long.
    explicit Census(const Workload& workload);
    void add(const io::RecordStatus& record);

    const Workload& workload() const { return *workload_; }
    const PointsByKey& points() const { return points_; }
    const DoneRecords& done() const { return done_; }
    std::size_t succeeded() const { return done_.count(); }
    std::size_t failed() const { return failures_.size(); }
    bool complete() const { return succeeded() == workload_->records(); }

    /// Why records failed, by (point, trial, shard).
    using Failures = std::map<std::array<std::uint32_t, 3>, std::string>;
    const Failures& failures() const { return failures_; }
    /// Of the records that succeeded; a failed one holds no numbers that a path could have decided.
    const PathCounts& paths() const { return paths_; }
    /// Compute time of the records that succeeded.
    double seconds() const { return seconds_; }
    /// Most layers that a record of a noisy point has.
    std::size_t layers() const { return layers_; }
    /// Records of points that the study has not got.
    std::size_t foreign() const { return foreign_; }
    /// [point] bytes that all its records take packed, about; repetitions included.
    std::span<const std::size_t> bytes() const { return bytes_; }

  private:
    const Workload* workload_;
    PointsByKey points_;
    DoneRecords done_;
    Failures failures_;
    PathCounts paths_;
    double seconds_ = 0;
    std::size_t layers_ = 0, foreign_ = 0;
    std::vector<std::size_t> bytes_;
};

}  // namespace crossweep::sweep
