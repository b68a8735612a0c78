// What rank 0 has read, on all ranks: sent once to every node, and held there once, in memory that the node's
// ranks map read-only. So a file system sees one reader, however many ranks there are.
#pragma once

#include <cstddef>
#include <vector>

#include "crossweep/core/shared_bytes.hpp"

namespace crossweep::comm {

/// How `Communicator::share` goes about it; tests choose other values.
struct Sharing {
    std::size_t piece_bytes = std::size_t{64} << 20;  ///< of one broadcast, below MPI's limit of 2^31
    int ranks_per_node = 0;  ///< 0: as the machine is; else that many neighbours count as a node
};

struct SharedParts {
    std::vector<SharedBytes> parts;  ///< as rank 0 gave them, each aligned as a mapped file is
    int copies = 1;                  ///< one per node, unless ranks of a node could not share
    int nodes = 1;
};

}  // namespace crossweep::comm
