// The unit of work that is handed to a rank: one chip, one shard of the images, a group of points.
#pragma once

#include <vector>

#include "crossweep/core/strong_id.hpp"

namespace crossweep {

/// Points of one unit share model and images, so that one noise-free reference serves them all.
struct WorkUnit {
    TrialId trial;
    ShardId shard;
    std::vector<PointId> points;

    bool operator==(const WorkUnit&) const = default;
};

}  // namespace crossweep
