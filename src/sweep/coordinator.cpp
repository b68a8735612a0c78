#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>

#include "crossweep/core/error.hpp"
#include "crossweep/sweep/scheduler.hpp"
#include "worker.hpp"

namespace crossweep::sweep {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// One coordination, from the first unit to the last record written. Worker 0 is the local thread, others are
/// ranks.
class Coordination {
  public:
    Coordination(comm::Communicator& comm, const Workload& workload, std::vector<WorkUnit> units,
                 const RunUnit& run, RunDirectory& directory, const StopCondition& stop,
                 const SchedulerOptions& options, const ProgressObserver& observe)
        : comm_(comm),
          workload_(workload),
          units_(std::move(units)),
          directory_(directory),
          stop_(stop),
          options_(options),
          observe_(observe),
          in_hand_(static_cast<std::size_t>(comm.size())) {
        summary_.progress.units = units_.size();
        if (comm.size() <= options.most_computing_ranks) local_ = std::make_unique<LocalWorker>(run);
    }

    RunSummary run() {
        for (std::size_t worker = 0; worker < in_hand_.size(); ++worker) feed(worker);
        while (true) {
            const bool received = receive();
            if (!stopping_ && wants_stop()) begin_stop();
            if (seconds_since(last_segment_) > options_.segment_s) write_segment();
            report();
            if (idle() && (stopping_ || next_ == units_.size())) break;
            if (!received) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        write_segment();
        dismiss();
        report();
        return std::move(summary_);
    }

  private:
    bool computes(std::size_t worker) const { return worker > 0 || local_ != nullptr; }

    bool idle() const {
        return std::all_of(in_hand_.begin(), in_hand_.end(), [](const auto& units) { return units.empty(); });
    }

    /// Give `worker` enough to do. It holds one unit ahead of what it computes, so that it never waits for an
    /// answer, except near the end, where a unit held ahead could be computed by someone idle.
    void feed(std::size_t worker) {
        if (!computes(worker) || stopping_) return;
        const std::size_t workers = in_hand_.size();
        while (next_ < units_.size()) {
            const std::size_t left = units_.size() - next_;
            if (in_hand_[worker].size() >= (left > workers ? 2U : 1U)) return;
            // Guided self-scheduling (Polychronopoulos & Kuck 1987): a share of what is left, so that a
            // coordinator of many ranks is asked rarely at first and loads even out at the end.
            const std::size_t batch = std::clamp<std::size_t>(left / (4 * workers), 1, 8);
            for (std::size_t i = 0; i < batch; ++i) hand_out(worker, next_++);
        }
    }

    void hand_out(std::size_t worker, std::size_t unit) {
        in_hand_[worker].push_back({unit, Clock::now()});
        if (worker == 0) {
            local_->submit(units_[unit]);
        } else {
            comm_.send(static_cast<int>(worker), tag_work, pack_unit(units_[unit]));
        }
    }

    bool receive() {
        bool any = false;
        while (const auto message = comm_.try_receive()) {
            any = true;
            const auto worker = static_cast<std::size_t>(message->source);
            if (message->tag == tag_result) accept(worker, io::unpack(message->bytes));
            if (message->tag == tag_stopped) {
                in_hand_[worker].clear();
                ++stopped_ranks_;
            }
        }
        if (local_ != nullptr) {
            while (auto records = local_->poll()) {
                any = true;
                accept(0, std::move(*records));
            }
        }
        return any;
    }

    void accept(std::size_t worker, std::vector<io::Record> records) {
        CROSSWEEP_ENSURE(!in_hand_[worker].empty());
        const InHand done = in_hand_[worker].front();
        in_hand_[worker].pop_front();
        if (!in_hand_[worker].empty()) in_hand_[worker].front().since = Clock::now();
        const WorkUnit& unit = units_[done.unit];
        if (records.size() != unit.points.size()) {
            throw InternalError(
                fmt::format("a unit of {} points gave {} records", unit.points.size(), records.size()));
        }
        longest_unit_s_ = std::max(longest_unit_s_, seconds_since(done.since));
        Progress& progress = summary_.progress;
        ++progress.units_done;
        bool failed = false;
        for (std::size_t i = 0; i < records.size(); ++i) {
            records[i].key = workload_.key(unit, i);
            progress.images += records[i].images;
            progress.correct += records[i].correct_top1;
            if (records[i].failed() && !failed) {
                failed = true;
                ++progress.units_failed;
                summary_.failed.push_back({unit, unit.points[i], records[i].failure});
            }
        }
        unwritten_.insert(unwritten_.end(), std::make_move_iterator(records.begin()),
                          std::make_move_iterator(records.end()));
        feed(worker);
    }

    bool wants_stop() {
        if (summary_.progress.units_failed > options_.max_failed_units) {
            summary_.outcome = Outcome::too_many_failures;
            return true;
        }
        const bool work_left = next_ < units_.size() || !idle();
        if (stop_.signalled() || (work_left && stop_.out_of_time(longest_unit_s_))) {
            summary_.outcome = Outcome::interrupted;
            return true;
        }
        return false;
    }

    /// Units in hand end; units waiting are dropped. What is finished goes to the disk first: whoever asks
    /// for a stop may not wait for long.
    void begin_stop() {
        stopping_ = true;
        write_segment();
        if (local_ != nullptr) {
            for (std::size_t dropped = local_->drop_waiting(); dropped > 0; --dropped) in_hand_[0].pop_back();
        }
        tell_ranks_to_stop();
    }

    /// Tell the ranks that it is over, unless begin_stop has, and see them off.
    void dismiss() {
        if (summary_.outcome == Outcome::interrupted && next_ == units_.size() &&
            summary_.progress.units_done == units_.size()) {
            summary_.outcome = Outcome::finished;  // the stop came when nothing was left to do
        }
        if (!stopping_) tell_ranks_to_stop();
        while (stopped_ranks_ < comm_.size() - 1) {
            if (!receive()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    void tell_ranks_to_stop() {
        for (int rank = 1; rank < comm_.size(); ++rank) comm_.send(rank, tag_stop, {});
    }

    void write_segment() {
        last_segment_ = Clock::now();
        directory_.append(unwritten_);
        unwritten_.clear();
    }

    void report() {
        summary_.progress.elapsed_s = seconds_since(start_);
        if (observe_) observe_(summary_.progress);
    }

    struct InHand {
        std::size_t unit;
        Clock::time_point since;  ///< when it was handed out, or when its predecessor ended
    };

    comm::Communicator& comm_;
    const Workload& workload_;
    std::vector<WorkUnit> units_;
    RunDirectory& directory_;
    const StopCondition& stop_;
    const SchedulerOptions& options_;
    const ProgressObserver& observe_;
    std::unique_ptr<LocalWorker> local_;
    std::vector<std::deque<InHand>> in_hand_;
    std::size_t next_ = 0;
    bool stopping_ = false;
    int stopped_ranks_ = 0;
    std::vector<io::Record> unwritten_;
    Clock::time_point start_ = Clock::now(), last_segment_ = start_;
    double longest_unit_s_ = 0;
    RunSummary summary_;
};

}  // namespace

RunSummary coordinate(comm::Communicator& comm, const Workload& workload, std::vector<WorkUnit> units,
                      const RunUnit& run, RunDirectory& directory, const StopCondition& stop,
                      const SchedulerOptions& options, const ProgressObserver& observe) {
    return Coordination(comm, workload, std::move(units), run, directory, stop, options, observe).run();
}

}  // namespace crossweep::sweep
