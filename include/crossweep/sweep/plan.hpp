// The plan: which records a study needs, and the units of work that give them. Knows points only by their
// hashes.
#pragma once

#include <cstddef>
#include <set>
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

/// Records that already exist.
using DoneRecords = std::set<io::RecordKey>;

/// Units for all records that are not in `done`, those with most points first. Points of a group are spread
/// evenly over as few units as points_per_unit allows.
std::vector<WorkUnit> plan_units(const Workload& workload, const DoneRecords& done = {});

}  // namespace crossweep::sweep
