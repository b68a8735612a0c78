#include "crossweep/sweep/scheduler.hpp"

#include <chrono>
#include <thread>

#include "coordinator.hpp"
#include "hierarchy.hpp"
#include "leader.hpp"

namespace crossweep::sweep {
namespace {

/// Until `process` is over; asleep while nothing happens.
void run_to_the_end(auto& process) {
    while (!process.over()) {
        if (!process.step()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

}  // namespace

RunSummary coordinate(comm::Communicator& comm, const Workload& workload, Plan units, const RunUnit& run,
                      RunDirectory& directory, const StopCondition& stop, const SchedulerOptions& options,
                      const ProgressObserver& observe) {
    std::unique_ptr<LocalWorker> local;
    if (comm.size() <= options.most_computing_ranks) local = std::make_unique<WorkerThread>(run);
    const RecordSink write = [&](std::span<const io::Record> records) { directory.append(records); };
    Coordinator coordinator(comm, workload, std::move(units), Hierarchy(comm.size(), options).members_of(0),
                            std::move(local), write, stop, options, observe);
    run_to_the_end(coordinator);
    return std::move(coordinator.summary());
}

std::vector<int> await_leaving(comm::Communicator& comm, std::vector<int> ranks, double seconds) {
    for (const double end_s = comm.now_s() + seconds; !ranks.empty() && comm.now_s() < end_s;) {
        if (const auto message = comm.try_receive()) {
            if (message->tag == tag_stopped) std::erase(ranks, message->source);
        } else {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    return ranks;
}

void work(comm::Communicator& comm, const RunUnit& run, const SchedulerOptions& options) {
    const Hierarchy hierarchy(comm.size(), options);
    if (!hierarchy.leads(comm.rank())) {
        work_for(comm, hierarchy.coordinator_of(comm.rank()), run);
        return;
    }
    Leader leader(comm, hierarchy.members_of(comm.rank()), std::make_unique<WorkerThread>(run));
    run_to_the_end(leader);
}

}  // namespace crossweep::sweep
