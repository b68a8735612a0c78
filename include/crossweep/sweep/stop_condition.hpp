// When to stop before the study is done: a signal from the user or the batch system, or the end of the time
// budget.
#pragma once

#include <chrono>
#include <optional>

namespace crossweep::sweep {

/// Let SIGINT, SIGTERM and SIGUSR1 ask for an orderly stop instead of ending the process. A second SIGINT
/// ends it. To be called before any other thread starts: a thread of its own takes the signals, and all
/// others block them, because generated code of oneDNN 2.6 keeps data below the stack's red zone, where a
/// signal handler writes; products of some shapes then corrupt the heap.
void catch_stop_signals();

class StopCondition {
  public:
    using Clock = std::chrono::steady_clock;

    /// Never out of time.
    StopCondition() = default;
    /// Out of time `seconds` from now, less a grace of 5 % of them.
    explicit StopCondition(double seconds);
    /// From a time budget in seconds (0: none), else SLURM_JOB_END_TIME, else never.
    static StopCondition from_environment(double time_budget_s);

    /// A stop signal has arrived.
    bool signalled() const;
    /// A unit of `unit_s` seconds begun now would not end in time.
    bool out_of_time(double unit_s) const;

  private:
    std::optional<Clock::time_point> deadline_;
};

}  // namespace crossweep::sweep
