// What computes: a thread beside a coordinator, or a rank of its own.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "crossweep/comm/communicator.hpp"
#include "crossweep/io/record.hpp"
#include "crossweep/sweep/scheduler.hpp"
#include "messages.hpp"

namespace crossweep::sweep {

/// Compute a task; whatever it throws becomes failed records that say why.
Answer compute(const RunUnit& run, const Task& task, const Cancelled& cancelled);

/// Computes tasks in the process of its coordinator.
class LocalWorker {
  public:
    virtual ~LocalWorker() = default;
    virtual void submit(Task task) = 0;
    /// Forget a task; no answer will come unless it has come already.
    virtual void cancel(Ticket ticket) = 0;
    /// Forget the tasks that have not begun.
    virtual void drain() = 0;
    /// The next answer, in the order of submission.
    virtual std::optional<Answer> poll() = 0;
    /// Nothing is begun or waiting, and every answer has been polled.
    virtual bool idle() = 0;
};

/// Computes in a thread of its own, so that the coordinator can answer others meanwhile.
class WorkerThread final : public LocalWorker {
  public:
    explicit WorkerThread(const RunUnit& run);
    /// Cancels the task in hand.
    ~WorkerThread() override;
    WorkerThread(const WorkerThread&) = delete;
    WorkerThread& operator=(const WorkerThread&) = delete;

    void submit(Task task) override;
    void cancel(Ticket ticket) override;
    void drain() override;
    std::optional<Answer> poll() override;
    bool idle() override;

  private:
    void loop();

    const RunUnit& run_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Task> waiting_;
    std::deque<Answer> finished_;
    std::optional<Ticket> computing_;
    bool cancelled_ = false;  ///< what is being computed
    bool stop_ = false;
    std::thread thread_;  // last: starts when everything else is there
};

/// Compute what rank `coordinator` sends until it says stop.
void work_for(comm::Communicator& comm, int coordinator, const RunUnit& run);

}  // namespace crossweep::sweep
