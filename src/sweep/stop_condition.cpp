#include "crossweep/sweep/stop_condition.hpp"

#include <csignal>
#include <cstdlib>
#include <ctime>

namespace crossweep::sweep {
namespace {

// The only mutable global: a signal handler has no other place to write to.
volatile std::sig_atomic_t stop_signals = 0;

void note_signal(int signal) {
    if (signal == SIGINT && stop_signals != 0) {
        std::signal(SIGINT, SIG_DFL);
        std::raise(SIGINT);
    }
    stop_signals = 1;
}

}  // namespace

void catch_stop_signals() {
    struct sigaction action {};
    action.sa_handler = note_signal;
    action.sa_flags = SA_RESTART;
    for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) sigaction(signal, &action, nullptr);
}

StopCondition::StopCondition(double seconds)
    : deadline_(Clock::now() +
                std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(0.95 * seconds))) {}

StopCondition StopCondition::from_environment(double time_budget_s) {
    if (time_budget_s > 0) return StopCondition(time_budget_s);
    const char* end = std::getenv("SLURM_JOB_END_TIME");  // seconds since the epoch
    if (end == nullptr) return {};
    const double left = std::strtod(end, nullptr) - static_cast<double>(std::time(nullptr));
    return left > 0 ? StopCondition(left) : StopCondition(0.0);
}

bool StopCondition::signalled() const {
    return stop_signals != 0;
}

bool StopCondition::out_of_time(double unit_s) const {
    return deadline_ && Clock::now() + std::chrono::duration<double>(unit_s) > *deadline_;
}

}  // namespace crossweep::sweep
