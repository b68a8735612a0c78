// A study of any size on any number of ranks, in simulated time: the scheduler is the real one, the ranks and
// what they compute are imitated.
#pragma once

#include <cstdint>
#include <vector>

#include "crossweep/comm/dry_run.hpp"
#include "crossweep/sweep/scheduler.hpp"

namespace crossweep::sweep {

struct SimulationParams {
    int ranks = 64;
    std::size_t units = 100'000;  ///< above 1000, rounded up to thousands
    std::size_t points_per_unit = 1;
    double unit_s = 10;                  ///< mean time of a unit
    std::vector<double> relative_times;  ///< drawn from for every unit; scaled to a mean of 1
    double slow_rank_fraction = 0;       ///< of the ranks
    double slow_rank_factor = 5;         ///< how much longer they take
    std::uint32_t seed = 1;
    double segment_latency_s = 0.05;   ///< assumption: to create, flush and rename a file
    double segment_bytes_per_s = 5e8;  ///< assumption: of one writer on a parallel file system
    SchedulerOptions scheduler;
    comm::NetworkCosts network;
};

struct SimulationResult {
    double makespan_s = 0;
    double efficiency = 0;  ///< time of the answers that counted, at the usual speed / (ranks * makespan)
    double wasted = 0;      ///< fraction of the time computed whose answers did not count
    double tail_s = 0;      ///< from when the last time all workers were busy to the end
    double coordinator_busy = 0;                    ///< fraction of the makespan that rank 0 coordinated
    double busiest_leader = 0;                      ///< the same of the busiest leader; 0 if there are none
    std::uint64_t messages = 0, message_bytes = 0;  ///< that rank 0 sent or received
    std::uint64_t segments = 0, segment_bytes = 0;
    std::uint64_t records = 0;
};

/// Run it. Heavy-tailed times: `relative_times` may be those of a real run.
SimulationResult simulate(const SimulationParams& params);

}  // namespace crossweep::sweep
