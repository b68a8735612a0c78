// What a worker does, on a rank of its own or in a thread of rank 0, and the messages between ranks.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "crossweep/core/work_unit.hpp"
#include "crossweep/io/record.hpp"
#include "crossweep/sweep/scheduler.hpp"

namespace crossweep::sweep {

enum MessageTag : int { tag_work = 1, tag_result = 2, tag_stop = 3, tag_stopped = 4 };

std::vector<std::byte> pack_unit(const WorkUnit& unit);
WorkUnit unpack_unit(std::span<const std::byte> bytes);

/// Run a unit; whatever it throws becomes failed records that say why.
std::vector<io::Record> run_guarded(const RunUnit& run, const WorkUnit& unit);

/// Computes units in a thread, so that rank 0 can answer other ranks meanwhile.
class LocalWorker {
  public:
    explicit LocalWorker(const RunUnit& run);
    /// Waits for the unit in hand; units not begun are dropped.
    ~LocalWorker();
    LocalWorker(const LocalWorker&) = delete;
    LocalWorker& operator=(const LocalWorker&) = delete;

    void submit(WorkUnit unit);
    /// Drop units that have not begun; returns how many.
    std::size_t drop_waiting();
    /// Records of a finished unit, in the order of submission.
    std::optional<std::vector<io::Record>> poll();

  private:
    void loop();

    const RunUnit& run_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<WorkUnit> waiting_;
    std::deque<std::vector<io::Record>> finished_;
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace crossweep::sweep
