#include "crossweep/sweep/stop_condition.hpp"

#include <pthread.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <thread>

namespace crossweep::sweep {
namespace {

// The only mutable global: signals are the process's, not any object's.
std::atomic<bool> stop_requested = false;

/// Take stop signals, one after the other, for as long as the process lives.
void wait_for_signals(const sigset_t& signals) {
    for (int signal = 0;;) {
        if (sigwait(&signals, &signal) != 0) continue;
        if (signal == SIGINT && stop_requested) {
            std::signal(SIGINT, SIG_DFL);
            pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
            pthread_kill(pthread_self(), SIGINT);
        }
        stop_requested = true;
    }
}

}  // namespace

void catch_stop_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::thread([signals] { wait_for_signals(signals); }).detach();
}

StopCondition::StopCondition(double seconds)
    : deadline_(Clock::now() +
                std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(0.95 * seconds))) {}

StopCondition StopCondition::from_environment(double time_budget_s) {
    if (time_budget_s > 0) return StopCondition(time_budget_s);
    const char* end = std::getenv("SLURM_JOB_END_TIME");  // seconds since the epoch
    if (end == nullptr) return {};
    // An end that is no number, or past while the job runs (a clock is wrong), says nothing; to stop at once
    // would send a job back into the queue for ever.
    const double left = std::strtod(end, nullptr) - static_cast<double>(std::time(nullptr));
    return left > 0 ? StopCondition(left) : StopCondition();
}

bool StopCondition::signalled() const {
    return stop_requested;
}

bool StopCondition::out_of_time(double unit_s) const {
    return deadline_ && Clock::now() + std::chrono::duration<double>(unit_s) > *deadline_;
}

}  // namespace crossweep::sweep
