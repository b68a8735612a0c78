// Signals that ask for an orderly stop. One test, since the signals are the process's.
#include "crossweep/sweep/stop_condition.hpp"

#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

namespace crossweep::sweep {
namespace {

TEST(StopCondition, signals_are_noted_without_interrupting_this_thread) {
    catch_stop_signals();
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) EXPECT_EQ(sigismember(&blocked, signal), 1);
    const StopCondition stop;
    EXPECT_FALSE(stop.signalled());
    kill(getpid(), SIGTERM);
    for (int i = 0; i < 5000 && !stop.signalled(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_TRUE(stop.signalled());
}

TEST(StopConditionDeathTest, a_second_interrupt_ends_the_process) {
    const auto interrupt_twice = [] {
        catch_stop_signals();
        const StopCondition stop;
        kill(getpid(), SIGINT);
        while (!stop.signalled()) std::this_thread::yield();
        kill(getpid(), SIGINT);
        std::this_thread::sleep_for(std::chrono::seconds(30));
    };
    EXPECT_EXIT(interrupt_twice(), testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace crossweep::sweep
