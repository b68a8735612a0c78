// Studies on imitated ranks: every unit is answered once, and nobody holds up the end.
#include "crossweep/sweep/simulation.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "crossweep/comm/dry_run.hpp"

namespace crossweep::sweep {
namespace {

/// Log-normal times with a tail: every fiftieth unit takes four times as long.
std::vector<double> heavy_tailed() {
    std::vector<double> times;
    for (int i = 1; i < 100; ++i)
        times.push_back(std::exp(0.3 * std::tan(3.0 * (i / 100.0 - 0.5)) / 3) * (i % 50 == 0 ? 4 : 1));
    return times;
}

SimulationParams study(int ranks) {
    SimulationParams params;
    params.ranks = ranks;
    params.units = 20'000;
    params.points_per_unit = 4;
    params.relative_times = heavy_tailed();
    return params;
}

TEST(Simulation, answers_every_unit_once_at_any_number_of_ranks) {
    for (const int ranks : {1, 2, 7, 64, 300}) {
        const SimulationResult result = simulate(study(ranks));
        EXPECT_EQ(result.records, 80'000) << ranks;
        EXPECT_GT(result.efficiency, 0.97) << ranks;
        EXPECT_LE(result.efficiency, 1.0) << ranks;
        EXPECT_GT(result.segments, 0);
    }
}

TEST(Simulation, leaders_answer_every_unit_once_and_spare_the_first_rank_messages) {
    SimulationParams params = study(1000);
    const SimulationResult direct = simulate(params);
    params.scheduler.most_direct_ranks = 100;
    const SimulationResult led = simulate(params);
    EXPECT_EQ(led.records, 80'000);
    EXPECT_LT(led.messages, direct.messages / 2);
    EXPECT_GT(led.busiest_leader, 0);
    EXPECT_EQ(direct.busiest_leader, 0);
}

TEST(Simulation, units_are_cut_where_they_are_fewer_than_ranks) {
    SimulationParams params;
    params.ranks = 64;
    params.units = 8;
    params.points_per_unit = 32;
    params.unit_s = 32;
    const SimulationResult result = simulate(params);
    EXPECT_EQ(result.records, 256);
    EXPECT_LT(result.makespan_s, 16);  // 32 if they were not, 4 if they could be cut evenly
}

TEST(Simulation, slow_ranks_do_not_hold_up_the_end) {
    SimulationParams params = study(200);
    params.points_per_unit = 1;  // cannot be cut
    const double even_s = simulate(params).makespan_s;
    params.slow_rank_fraction = 0.02;
    params.slow_rank_factor = 50;
    const SimulationResult result = simulate(params);
    EXPECT_EQ(result.records, 20'000);
    // A unit of a slow rank takes 500 s and up; waiting for the last of them would show.
    EXPECT_LT(result.makespan_s, even_s + 100);
    EXPECT_GT(result.wasted, 0);
}

TEST(DryRunNetwork, message_takes_latency_and_bandwidth_and_keeps_order) {
    comm::DryRunNetwork network(2, {.latency_s = 1, .bytes_per_s = 10, .message_s = 0});
    const std::vector<std::byte> bytes(20);
    network.wake(0, 5);
    EXPECT_EQ(network.next(), 0);
    network.act(0, comm::DryRunNetwork::Timing::free, [&] {
        network.rank(0).send(1, 3, bytes);
        network.rank(0).send(1, 4, {});
    });
    EXPECT_EQ(network.next(), 1);
    network.act(1, comm::DryRunNetwork::Timing::free, [&] { EXPECT_FALSE(network.rank(1).try_receive()); });
    EXPECT_EQ(network.next(), 1);
    EXPECT_DOUBLE_EQ(network.now_s(), 8);
    network.act(1, comm::DryRunNetwork::Timing::free, [&] {
        EXPECT_EQ(network.rank(1).try_receive().value().tag, 3);
        EXPECT_EQ(network.rank(1).try_receive().value().tag, 4);
    });
    EXPECT_FALSE(network.next());
    EXPECT_EQ(network.load(0).messages, 2);
    EXPECT_EQ(network.load(1).bytes, 20);
}

TEST(DryRunNetwork, busy_rank_acts_later) {
    comm::DryRunNetwork network(1);
    network.wake(0, 1);
    EXPECT_EQ(network.next(), 0);
    network.act(0, comm::DryRunNetwork::Timing::free, [&] {
        network.spend(0, 10);
        network.wake(0, 2);
    });
    EXPECT_EQ(network.next(), 0);
    bool acted = false;
    network.act(0, comm::DryRunNetwork::Timing::free, [&] { acted = true; });
    EXPECT_FALSE(acted);
    EXPECT_EQ(network.next(), 0);
    EXPECT_DOUBLE_EQ(network.now_s(), 11);
    EXPECT_DOUBLE_EQ(network.load(0).busy_s, 10);
}

}  // namespace
}  // namespace crossweep::sweep
