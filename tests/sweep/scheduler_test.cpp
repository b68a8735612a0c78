// The scheduler with coin tosses for trials. Alone and, under mpirun, on every rank at once: rank 0
// coordinates and checks, the others work (see tests/CMakeLists.txt).
#include "crossweep/sweep/scheduler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <thread>

#include "comm/ranks.hpp"
#include "crossweep/core/error.hpp"
#include "io/temporary_folder.hpp"
#include "sweep/coin_toss.hpp"

namespace crossweep::sweep {
namespace {

using comm::Ranks;

class Scheduler : public testing::Test {
  protected:
    /// One run of what is still missing, on all ranks. The summary is rank 0's; the others have an empty one.
    RunSummary run(const RunUnit& run_unit, const StopCondition& stop = {}) {
        if (!Ranks::first()) {
            work(Ranks::all(), run_unit, options_);
            return {};
        }
        auto units = plan_units(workload_, census_of(workload_, records()).done());
        return coordinate(Ranks::all(), workload_, std::move(units), run_unit, directory(), stop, options_,
                          observe_);
    }

    RunDirectory& directory() {
        if (!directory_) {
            directory_ = RunDirectory::open(folder_ / "run", "",
                                            [](const auto&) { return std::vector<std::string>(); }, {});
        }
        return *directory_;
    }

    std::vector<io::Record> records() { return load(directory()).records; }

    Workload workload_ = coin_workload();
    SchedulerOptions options_;
    ProgressObserver observe_;

  private:
    io::TemporaryFolder folder_;
    std::optional<RunDirectory> directory_;
};

std::vector<io::Record> toss_at_once(const WorkUnit& unit, const Cancelled&) {
    return toss_unit(unit);
}

/// A toss that takes a moment, as trials do.
std::vector<io::Record> toss_slowly(const WorkUnit& unit, const Cancelled&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    return toss_unit(unit);
}

TEST_F(Scheduler, gives_every_record_as_if_computed_in_order_on_one_rank) {
    const RunSummary summary = run(toss_at_once);
    if (!Ranks::first()) return;
    EXPECT_EQ(summary.outcome, Outcome::finished);
    EXPECT_EQ(summary.progress.units_done, summary.progress.units);
    EXPECT_EQ(summary.progress.images, workload_.records() * images_of_a_shard);
    EXPECT_EQ(records().size(), workload_.records());
    EXPECT_EQ(io::content_hash(records()), expected_hash(workload_));
}

TEST_F(Scheduler, uneven_units_change_nothing) {
    run([](const WorkUnit& unit, const Cancelled&) {
        std::this_thread::sleep_for(
            std::chrono::milliseconds((unit.shard.value() + 2 * unit.trial.value()) % 4));
        return toss_unit(unit);
    });
    if (Ranks::first()) {
        EXPECT_EQ(io::content_hash(records()), expected_hash(workload_));
    }
}

TEST_F(Scheduler, first_rank_may_only_coordinate) {
    if (Ranks::all().size() == 1) GTEST_SKIP() << "needs another rank to compute (mpirun)";
    options_.most_computing_ranks = 1;
    run([](const WorkUnit& unit, const Cancelled&) {
        EXPECT_FALSE(Ranks::first());
        return toss_unit(unit);
    });
    if (Ranks::first()) {
        EXPECT_EQ(io::content_hash(records()), expected_hash(workload_));
    }
}

TEST_F(Scheduler, nothing_to_do_is_done_at_once) {
    workload_.shards = 0;
    const RunSummary summary = run(toss_at_once);
    if (!Ranks::first()) return;
    EXPECT_EQ(summary.outcome, Outcome::finished);
    EXPECT_EQ(load(directory()).segments, 0);
}

TEST_F(Scheduler, stop_keeps_what_is_finished_and_another_run_completes_it) {
    const auto take_time = [](const WorkUnit& unit, const Cancelled&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return toss_unit(unit);
    };
    const RunSummary stopped = run(take_time, StopCondition(0.04));
    const std::size_t done = Ranks::first() ? records().size() : 0;
    const RunSummary resumed = run(toss_at_once);
    if (!Ranks::first()) return;
    EXPECT_EQ(stopped.outcome, Outcome::interrupted);
    EXPECT_GT(done, 0);
    EXPECT_LT(done, workload_.records());
    EXPECT_EQ(resumed.outcome, Outcome::finished);
    EXPECT_LT(resumed.progress.units_done, plan_units(workload_).size());
    EXPECT_EQ(io::content_hash(records()), expected_hash(workload_));
}

TEST_F(Scheduler, without_time_stops_with_what_was_begun) {
    const RunSummary stopped = run(toss_slowly, StopCondition(0.0));
    run(toss_at_once);
    if (!Ranks::first()) return;
    EXPECT_EQ(stopped.outcome, Outcome::interrupted);
    EXPECT_LT(stopped.progress.units_done, stopped.progress.units);
    EXPECT_EQ(io::content_hash(records()), expected_hash(workload_));
}

TEST_F(Scheduler, failed_point_is_recorded_and_the_rest_goes_on) {
    const auto spoil = [](const WorkUnit& unit, const Cancelled&) {
        auto units_records = toss_unit(unit);
        for (std::size_t i = 0; i < unit.points.size(); ++i) {
            if (unit.points[i] != PointId(2) || unit.trial != TrialId(1)) continue;
            units_records[i] = {};
            units_records[i].failure = "the coin stands on its edge";
        }
        return units_records;
    };
    const RunSummary summary = run(spoil);
    if (!Ranks::first()) return;
    EXPECT_EQ(summary.outcome, Outcome::finished);
    EXPECT_EQ(summary.progress.units_failed, 3);
    ASSERT_EQ(summary.failed.size(), 3);
    for (const FailedUnit& failed : summary.failed) {
        EXPECT_EQ(failed.point, PointId(2));
        EXPECT_EQ(failed.unit.trial, TrialId(1));
        EXPECT_EQ(failed.why, "the coin stands on its edge");
    }
    const auto stored = records();
    EXPECT_EQ(stored.size(), workload_.records());
    EXPECT_EQ(census_of(workload_, stored).succeeded(), workload_.records() - 3);
}

TEST_F(Scheduler, throwing_unit_gives_failed_records_that_say_why_and_is_run_again) {
    const auto lose = [](const WorkUnit& unit, const Cancelled&) {
        if (unit.shard == ShardId(1) && unit.trial == TrialId(0))
            throw std::runtime_error("the coin is lost");
        return toss_unit(unit);
    };
    const RunSummary summary = run(lose);
    const auto stored = Ranks::first() ? records() : std::vector<io::Record>();
    run(toss_at_once);
    if (!Ranks::first()) return;
    EXPECT_EQ(summary.outcome, Outcome::finished);
    EXPECT_EQ(summary.progress.units_failed, 4);  // three of the larger group, one of the other
    EXPECT_EQ(stored.size() - census_of(workload_, stored).succeeded(), 9);
    for (const io::Record& record : stored) {
        if (record.failed()) {
            EXPECT_EQ(record.failure, "the coin is lost");
        }
    }
    EXPECT_EQ(io::content_hash(records()), expected_hash(workload_));
}

TEST_F(Scheduler, too_many_failures_stop_the_run) {
    workload_ = coin_workload(20, 3, 1);
    options_.max_failed_units = 2;
    const RunSummary summary = run([](const WorkUnit&, const Cancelled&) -> std::vector<io::Record> {
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
        throw std::runtime_error("no coin");
    });
    if (!Ranks::first()) return;
    EXPECT_EQ(summary.outcome, Outcome::too_many_failures);
    EXPECT_GT(summary.progress.units_failed, 2);
    EXPECT_LT(summary.progress.units_done, summary.progress.units);
    EXPECT_EQ(summary.failed.size(), summary.progress.units_failed);
}

TEST_F(Scheduler, wrong_number_of_records_is_an_internal_error) {
    if (Ranks::all().size() > 1) GTEST_SKIP() << "ends all ranks";
    const RunUnit lazy = [](const WorkUnit&, const Cancelled&) { return std::vector<io::Record>(); };
    try {
        run(lazy);
        FAIL() << "accepted";
    } catch (const InternalError& error) {
        EXPECT_STREQ(error.what(), "a unit of 3 points gave 0 records");
    }
}

TEST_F(Scheduler, writes_segments_while_it_runs) {
    options_.segment_s = 0;
    std::size_t reports = 0, segments_before_the_end = 0;
    observe_ = [&](const Progress& progress) {
        ++reports;
        if (progress.units_done < progress.units) segments_before_the_end = load(directory()).segments;
    };
    run(toss_slowly);
    if (!Ranks::first()) return;
    EXPECT_GT(reports, 1);
    EXPECT_GT(segments_before_the_end, 0);
    EXPECT_EQ(io::content_hash(records()), expected_hash(workload_));
}

TEST_F(Scheduler, leaders_between_change_nothing) {
    options_.most_direct_ranks = 1;
    options_.ranks_per_group = 2;
    const RunSummary summary = run(toss_slowly);
    if (!Ranks::first()) return;
    EXPECT_EQ(summary.outcome, Outcome::finished);
    EXPECT_TRUE(summary.silent_ranks.empty());
    EXPECT_EQ(io::content_hash(records()), expected_hash(workload_));
}

TEST_F(Scheduler, leaders_stop_with_what_was_begun) {
    options_.most_direct_ranks = 1;
    options_.ranks_per_group = 2;
    workload_ = coin_workload(20, 3);
    const RunSummary stopped = run(toss_slowly, StopCondition(0.05));
    run(toss_at_once);
    if (!Ranks::first()) return;
    EXPECT_EQ(stopped.outcome, Outcome::interrupted);
    EXPECT_LT(stopped.progress.units_done, stopped.progress.units);
    EXPECT_EQ(io::content_hash(records()), expected_hash(workload_));
}

TEST_F(Scheduler, rank_that_hangs_does_not_hold_up_the_end) {
    if (Ranks::all().size() == 1) GTEST_SKIP() << "needs another rank to finish for it (mpirun)";
    for (const int direct_ranks : {100, 1}) {
        options_.most_direct_ranks = direct_ranks;
        options_.ranks_per_group = 2;
        bool was_cancelled = false;
        const int hanging = Ranks::all().size() - 1;
        const auto start = std::chrono::steady_clock::now();
        run([&](const WorkUnit& unit, const Cancelled& cancelled) {
            while (Ranks::all().rank() == hanging && !was_cancelled) {
                was_cancelled = cancelled();
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
                if (std::chrono::steady_clock::now() - start > std::chrono::seconds(20)) break;
            }
            return toss_slowly(unit, cancelled);
        });
        EXPECT_EQ(was_cancelled, Ranks::all().rank() == hanging);
        if (Ranks::first()) {
            EXPECT_EQ(io::content_hash(records()), expected_hash(workload_));
        }
        workload_.trials += 2;  // something to do for the second round
    }
}

TEST_F(Scheduler, failure_of_one_rank_does_not_count_while_another_computes_the_same) {
    if (Ranks::all().size() < 3) GTEST_SKIP() << "needs a rank to hang and another to fail for it (mpirun)";
    workload_ = coin_workload(1, 1, 100);
    const auto start = std::chrono::steady_clock::now();
    const auto elapsed_s = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    // One rank takes long enough to be late; whoever helps it out fails at once.
    const RunSummary summary = run([&](const WorkUnit& unit, const Cancelled& cancelled) {
        const bool slow = Ranks::all().rank() == 1;
        while (slow && elapsed_s() < 3 && !cancelled())
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (!slow && elapsed_s() > 0.2) throw std::runtime_error("no memory");
        return toss_unit(unit);
    });
    if (!Ranks::first()) return;
    EXPECT_EQ(summary.progress.units_failed, 0);
    EXPECT_EQ(io::content_hash(records()), expected_hash(workload_));
}

TEST_F(Scheduler, rank_in_the_middle_of_a_long_point_leaves_late_and_is_named_until_then) {
    if (Ranks::all().size() == 1) GTEST_SKIP() << "needs another rank (mpirun)";
    options_.patience_s = 0.1;
    const int busy = Ranks::all().size() - 1;
    const RunSummary summary = run([&](const WorkUnit& unit, const Cancelled&) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(6);
        while (Ranks::all().rank() == busy && std::chrono::steady_clock::now() < end)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return toss_unit(unit);
    });
    if (!Ranks::first()) return;
    EXPECT_EQ(summary.silent_ranks, std::vector<int>{busy});
    EXPECT_TRUE(await_leaving(Ranks::all(), summary.silent_ranks, 20).empty());
    EXPECT_EQ(io::content_hash(records()), expected_hash(workload_));
}

}  // namespace
}  // namespace crossweep::sweep
