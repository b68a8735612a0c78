// Rank 0: cuts the plan into tasks, gathers records and has them written. Advances step by step, so that a
// simulation can run it beside thousands of imitated ranks.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "crossweep/sweep/scheduler.hpp"
#include "team.hpp"

namespace crossweep::sweep {

/// The units of a plan as tasks, cut into pieces where shares are smaller than units.
class PlannedTasks final : public TaskSource {
  public:
    explicit PlannedTasks(Plan units);

    std::size_t units() const { return units_.size(); }
    std::size_t units_left() const override;
    std::size_t points_left() const override { return points_left_; }
    std::optional<Task> next(std::size_t most_points) override;

    /// A task has been answered. Gives the number of its unit, and whether that was its last piece.
    struct Answered {
        std::size_t unit;
        bool completes;
    };
    Answered answered(Ticket ticket);

  private:
    Plan units_;
    std::size_t next_unit_ = 0, points_left_ = 0;
    WorkUnit rest_{TrialId(0), ShardId(0), {}};  ///< what is left of a unit that is being cut, from the front
    Ticket next_ticket_ = 0;
    std::unordered_map<Ticket, std::size_t> unit_of_;      ///< of tasks that are not answered
    std::unordered_map<std::size_t, std::size_t> pieces_;  ///< [unit] tasks not answered, of units handed out
};

/// Where finished records go.
using RecordSink = std::function<void(std::span<const io::Record>)>;

class Coordinator {
  public:
    /// All references must outlive the coordinator; `local` may be null.
    Coordinator(comm::Communicator& comm, const Workload& workload, Plan units, std::vector<Member> members,
                std::unique_ptr<LocalWorker> local, RecordSink write, const StopCondition& stop,
                const SchedulerOptions& options, const ProgressObserver& observe);

    /// Do what can be done now; false if there was nothing.
    bool step();
    bool over() const { return phase_ == Phase::over; }
    RunSummary& summary() { return summary_; }

  private:
    /// Running; finishing what is begun after a stop; waiting for everyone to leave.
    enum class Phase { running, draining, leaving, over };

    bool receive();
    void accept(const WorkUnit& unit, Answer answer, double held_s);
    bool wants_stop();
    void advance();
    void leave();
    void write_segment();
    void report();

    comm::Communicator& comm_;
    const Workload& workload_;
    PlannedTasks tasks_;
    Team team_;
    RecordSink write_;
    const StopCondition& stop_;
    const SchedulerOptions& options_;
    const ProgressObserver& observe_;
    Phase phase_ = Phase::running;
    std::vector<io::Record> unwritten_;
    std::size_t unwritten_bytes_ = 0;
    std::unordered_set<std::size_t> failed_units_;
    double start_s_, last_segment_s_, deadline_s_ = 0, longest_unit_s_ = 0;
    RunSummary summary_;
};

}  // namespace crossweep::sweep
