// Hands units of work to ranks and collects their records. Rank 0 coordinates, computes in a second thread
// unless ranks are very many, and is the only writer; beyond that, leaders of groups stand between. Knows
// neither physics nor models: a unit is run by a function.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "crossweep/comm/communicator.hpp"
#include "crossweep/core/work_unit.hpp"
#include "crossweep/io/record.hpp"
#include "crossweep/sweep/plan.hpp"
#include "crossweep/sweep/run_directory.hpp"
#include "crossweep/sweep/stop_condition.hpp"

namespace crossweep::sweep {

/// Whether the result of what is being computed is no longer wanted. To be asked now and then: on ranks of
/// their own, it also looks for messages.
using Cancelled = std::function<bool()>;

/// Gives the records of a unit, one per point, in order; `key.point` is filled in afterwards. Once cancelled,
/// it may give anything.
using RunUnit = std::function<std::vector<io::Record>(const WorkUnit&, const Cancelled&)>;

struct SchedulerOptions {
    double segment_s = 30;                 ///< write finished records at least this often
    std::size_t segment_bytes = 32 << 20;  ///< and when so much is waiting: nobody is answered meanwhile
    std::size_t max_failed_units = 10;     ///< stop when more have failed
    int most_computing_ranks = 1024;       ///< with more ranks than this, rank 0 only coordinates
    int most_direct_ranks = 4096;  ///< with more ranks than this, leaders of groups coordinate for rank 0
    int ranks_per_group = 128;
    double patience_s = 10;   ///< how long a rank that has been told to leave is waited for
    double long_unit_s = 60;  ///< what a unit may take; whoever is asked to finish has twice that
};

/// Where a run stands; handed to the observer whenever records have arrived, and a few times a second.
struct Progress {
    std::size_t units = 0, units_done = 0, units_failed = 0;
    std::uint64_t images = 0;                    ///< of the records of this run
    std::uint64_t predictions = 0, correct = 0;  ///< likewise: one for each image, or more for each text
    double elapsed_s = 0, compute_s = 0;         ///< since the start; of all answers, on all ranks
};
using ProgressObserver = std::function<void(const Progress&)>;

enum class Outcome { finished, interrupted, too_many_failures };

/// A unit that failed: its first point without a result, and why.
struct FailedUnit {
    WorkUnit unit;
    PointId point;
    std::string why;
};

struct RunSummary {
    Outcome outcome = Outcome::finished;
    Progress progress;
    std::vector<FailedUnit> failed;
    std::vector<int> silent_ranks;  ///< told to leave and not heard of since
};

/// Rank 0: have `units` computed and their records written to `directory`. Returns when all are done, or,
/// once `stop` asks for it, when every unit in hand is or has had its time. Units are cut into smaller pieces
/// towards the end, and the last ones are given to idle ranks once more if their answers are late; whichever
/// answer comes first counts. Throws DataError if a segment cannot be written.
RunSummary coordinate(comm::Communicator& comm, const Workload& workload, Plan units, const RunUnit& run,
                      RunDirectory& directory, const StopCondition& stop, const SchedulerOptions& options,
                      const ProgressObserver& observe);

/// Rank 0, later: those of `ranks` that have still not left after `seconds` more.
std::vector<int> await_leaving(comm::Communicator& comm, std::vector<int> ranks, double seconds);

/// Every other rank: compute, or lead a group that computes, until rank 0 says stop. `options` as on rank 0.
void work(comm::Communicator& comm, const RunUnit& run, const SchedulerOptions& options);

}  // namespace crossweep::sweep
