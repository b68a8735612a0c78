// Communicator::share over MPI: who holds a copy, who maps it, and how the bytes get there.
#pragma once

#include <mpi.h>

#include <vector>

#include "crossweep/comm/shared_bytes.hpp"

namespace crossweep::comm {

/// The parts of rank 0 of `world` on all its ranks, which all call this.
SharedParts share_over(MPI_Comm world, const std::vector<SharedBytes>& parts, const Sharing& sharing);

}  // namespace crossweep::comm
