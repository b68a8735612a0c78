// Alone and, under mpirun, on every rank at once: see tests/CMakeLists.txt.
#include "crossweep/comm/communicator.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <set>
#include <thread>

#include "comm/ranks.hpp"

namespace crossweep::comm {
namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

/// The next message, for which it waits at most ten seconds.
Message receive(Communicator& comm) {
    using Clock = std::chrono::steady_clock;
    for (const auto end = Clock::now() + std::chrono::seconds(10); Clock::now() < end;) {
        if (auto message = comm.try_receive()) return *std::move(message);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ADD_FAILURE() << "no message came";
    return {};
}

TEST(LocalCommunicator, is_rank_0_of_1) {
    const auto comm = make_local_communicator();
    EXPECT_EQ(comm->rank(), 0);
    EXPECT_EQ(comm->size(), 1);
    EXPECT_EQ(comm->max_over_ranks(-3), -3);
    EXPECT_FALSE(comm->try_receive().has_value());
}

TEST(LocalCommunicator, keeps_messages_to_itself_in_order) {
    const auto comm = make_local_communicator();
    comm->send(0, 4, bytes_of("heads"));
    comm->send(0, 5, {});
    const Message first = receive(*comm), second = receive(*comm);
    EXPECT_EQ(first.source, 0);
    EXPECT_EQ(first.tag, 4);
    EXPECT_EQ(first.bytes, bytes_of("heads"));
    EXPECT_EQ(second.tag, 5);
    EXPECT_TRUE(second.bytes.empty());
    EXPECT_FALSE(comm->try_receive().has_value());
}

TEST(LocalCommunicatorDeathTest, abort_ends_the_process_with_the_code) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(make_local_communicator()->abort(4), testing::ExitedWithCode(4), "");
}

TEST(Ranks, know_their_number_and_the_largest_value) {
    Communicator& comm = Ranks::all();
    EXPECT_GE(comm.rank(), 0);
    EXPECT_LT(comm.rank(), comm.size());
    EXPECT_EQ(comm.max_over_ranks(comm.rank()), comm.size() - 1);
    EXPECT_EQ(comm.max_over_ranks(-comm.rank()), 0);
}

TEST(Ranks, messages_reach_the_first_rank_in_the_order_of_their_sender) {
    Communicator& comm = Ranks::all();
    const std::string large(300'000, 'x');  // beyond what a transport sends without being asked
    comm.send(0, 1, bytes_of("first of " + std::to_string(comm.rank())));
    comm.send(0, 2, bytes_of(large));
    if (comm.rank() == 0) {
        std::set<int> began, ended;
        while (ended.size() < static_cast<std::size_t>(comm.size())) {
            const Message message = receive(comm);
            if (message.bytes.empty()) break;  // reported by receive
            if (message.tag == 1) {
                EXPECT_EQ(message.bytes, bytes_of("first of " + std::to_string(message.source)));
                EXPECT_TRUE(began.insert(message.source).second);
            } else {
                EXPECT_EQ(message.bytes, bytes_of(large));
                EXPECT_TRUE(began.contains(message.source));
                EXPECT_TRUE(ended.insert(message.source).second);
            }
        }
    }
    comm.max_over_ranks(0);  // nobody begins the next test before all have been heard
}

TEST(Ranks, first_rank_reaches_every_other) {
    Communicator& comm = Ranks::all();
    if (comm.rank() == 0) {
        for (int rank = 0; rank < comm.size(); ++rank) comm.send(rank, 9, bytes_of(std::to_string(rank)));
    }
    const Message message = receive(comm);
    EXPECT_EQ(message.source, 0);
    EXPECT_EQ(message.tag, 9);
    EXPECT_EQ(message.bytes, bytes_of(std::to_string(comm.rank())));
    comm.max_over_ranks(0);
}

}  // namespace
}  // namespace crossweep::comm
