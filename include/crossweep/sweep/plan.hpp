// The plan: which records a study needs, and the units of work that give them. Knows points only by their
// hashes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "crossweep/core/content_hash.hpp"
#include "crossweep/core/work_unit.hpp"
#include "crossweep/io/record.hpp"

namespace crossweep::sweep {

/// What is to be computed. A point may be a noise-free reference: needed for trial 0 only.
struct Workload {
    std::vector<ContentHash> point_keys;  ///< [point] everything that changes the results, hashed
    std::vector<std::size_t> group;       ///< [point] points of one group may share a unit
    std::vector<bool> is_reference;       ///< [point]
    std::size_t trials = 1;
    std::size_t shards = 1;
    std::size_t points_per_unit = 32;  ///< not counting a reference

    io::RecordKey key(const WorkUnit& unit, std::size_t position) const;
    /// Number of records of the finished study.
    std::size_t records() const;
};

/// The points of a workload by their keys. Points that do not differ in anything that decides results have
/// the same key, and share their records.
class PointsByKey {
  public:
    explicit PointsByKey(const Workload& workload);
    /// Points of that key, ascending; none if the study has not got it.
    std::span<const PointId> find(const ContentHash& key) const;
    /// All points, in the order of their keys.
    std::span<const PointId> in_key_order() const { return points_; }

  private:
    std::vector<ContentHash> keys_;
    std::vector<PointId> points_;
};

/// Records that already exist: a bit for each.
class DoneRecords {
  public:
    /// Of any workload: none.
    DoneRecords() = default;
    explicit DoneRecords(const Workload& workload);

    bool contains(PointId point, TrialId trial, ShardId shard) const;
    /// Whether it was not there before.
    bool insert(PointId point, TrialId trial, ShardId shard);
    std::size_t count() const { return count_; }
    /// A bit for each point; no bytes where there is no workload.
    std::span<const std::byte> row(TrialId trial, ShardId shard) const;

  private:
    std::size_t row_bytes_ = 0, shards_ = 0, count_ = 0;
    std::vector<std::byte> rows_;  ///< [trial, shard, point / 8]
};

/// Units of work in the order in which they are handed out, 16 bytes each: units of the same points share the
/// list of them.
class Plan {
  public:
    std::size_t size() const { return units_.size(); }
    bool empty() const { return units_.empty(); }
    WorkUnit unit(std::size_t index) const;
    /// Of all units together.
    std::size_t points() const;

  private:
    friend class Planner;
    struct Unit {
        TrialId trial;
        ShardId shard;
        std::uint32_t first, count;  ///< in points_
    };
    std::vector<Unit> units_;
    std::vector<PointId> points_;
};

/// One of `count` jobs that feed one directory; the first has index 1. Its share is every count-th (trial,
/// shard), so that shares never overlap whatever is already done.
struct Part {
    std::size_t index = 1;
    std::size_t count = 1;
};

/// Units of `part` for all records that are not in `done`, those with most points first. Points of a group
/// are spread evenly over as few units as points_per_unit allows.
Plan plan_units(const Workload& workload, const DoneRecords& done = {}, Part part = {});

}  // namespace crossweep::sweep
