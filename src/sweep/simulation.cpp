#include "crossweep/sweep/simulation.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <utility>

#include "coordinator.hpp"
#include "crossweep/core/noise_stream.hpp"
#include "hierarchy.hpp"
#include "leader.hpp"

namespace crossweep::sweep {
namespace {

constexpr double coordinator_sleep_s = 1e-3;  ///< as in scheduler.cpp
constexpr double coordinator_wake_s = 0.1;    ///< how often a coordinator looks at the clock without messages

/// Times that units take, drawn by what they are, so that every number of ranks has the same work.
class UnitTimes {
  public:
    explicit UnitTimes(const SimulationParams& params) : params_(params) {
        const auto& relative = params.relative_times;
        const double sum = std::accumulate(relative.begin(), relative.end(), 0.0);
        mean_ = relative.empty() ? 1 : sum / static_cast<double>(relative.size());
    }

    double slowness(int rank) const { return is_slow(rank) ? params_.slow_rank_factor : 1; }

    /// On a rank of the usual speed.
    double operator()(const WorkUnit& unit) const {
        double seconds = params_.unit_s * static_cast<double>(unit.points.size()) /
                         static_cast<double>(params_.points_per_unit);
        if (!params_.relative_times.empty()) {
            const auto words = philox_block({params_.seed, unit.trial.value()},
                                            {unit.shard.value(), unit.points.front().value(), 0}, 0);
            seconds *= params_.relative_times[words[0] % params_.relative_times.size()] / mean_;
        }
        return seconds;
    }

  private:
    bool is_slow(int rank) const {
        const auto words =
            philox_block({params_.seed, 0xffffffffU}, {static_cast<std::uint32_t>(rank), 0, 0}, 0);
        return static_cast<double>(words[0]) < params_.slow_rank_fraction * 0x1p32;
    }

    const SimulationParams& params_;
    double mean_ = 1;
};

/// What all imitated workers share.
struct Stage {
    comm::DryRunNetwork& network;
    const UnitTimes& times;
    std::size_t idle = 0;     ///< workers
    double idle_since_s = 0;  ///< when not all of them were busy any more
    double computed_s = 0;

    void becomes_idle(double now_s) {
        if (idle++ == 0) idle_since_s = now_s;
    }
};

/// Computes tasks by letting time pass: beside a coordinator, or on a rank of its own.
class ImitatedWorker final : public LocalWorker {
  public:
    ImitatedWorker(Stage& stage, int rank) : stage_(stage), rank_(rank) { stage_.becomes_idle(0); }

    void submit(Task task) override {
        waiting_.push_back(std::move(task));
        begin();
    }

    void cancel(Ticket ticket) override {
        std::erase_if(waiting_, [&](const Task& task) { return task.ticket == ticket; });
        if (!computing_ || computing_->ticket != ticket) return;
        end();
    }

    void drain() override { waiting_.clear(); }

    std::optional<Answer> poll() override {
        if (!computing_ || now_s() < end_s_) return std::nullopt;
        io::Record record;
        record.images = 50;
        record.seconds = usual_s_ / static_cast<double>(computing_->unit.points.size());
        record.predicted.assign(record.images, 1);
        record.margin.assign(record.images, 0.5F);
        record.loss.assign(record.images, 0.5F);
        record.signal.assign(12, 1.0);
        record.noise.assign(12, 1.0);
        Answer answer{computing_->ticket, seconds_,
                      std::vector<io::Record>(computing_->unit.points.size(), record)};
        end();
        return answer;
    }

    bool idle() override { return !computing_ && waiting_.empty(); }

  private:
    double now_s() const { return stage_.network.rank(rank_).now_s(); }

    void end() {
        stage_.computed_s += now_s() - begun_s_;
        computing_.reset();
        stage_.becomes_idle(now_s());
        begin();
    }

    void begin() {
        if (computing_ || waiting_.empty()) return;
        --stage_.idle;
        begun_s_ = now_s();
        computing_ = std::move(waiting_.front());
        waiting_.pop_front();
        usual_s_ = stage_.times(computing_->unit);
        seconds_ = usual_s_ * stage_.times.slowness(rank_);
        end_s_ = begun_s_ + seconds_;
        stage_.network.wake(rank_, end_s_);
    }

    Stage& stage_;
    int rank_;
    std::deque<Task> waiting_;
    std::optional<Task> computing_;
    double usual_s_ = 0, seconds_ = 0, begun_s_ = 0, end_s_ = 0;
};

/// A rank that does what worker.cpp's does, in simulated time.
class ImitatedRank {
  public:
    ImitatedRank(Stage& stage, int rank, int coordinator)
        : comm_(stage.network.rank(rank)), coordinator_(coordinator), worker_(stage, rank) {}

    void act() {
        while (const auto message = comm_.try_receive()) {
            if (message->tag == tag_work) {
                for (Task& task : unpack_tasks(message->bytes)) worker_.submit(std::move(task));
            } else if (message->tag == tag_cancel) {
                for (const Ticket ticket : unpack_tickets(message->bytes)) worker_.cancel(ticket);
            } else {
                leaving_ = true;
            }
        }
        while (const auto answer = worker_.poll()) {
            std::vector<std::byte> message;
            append_answer(*answer, message);
            comm_.send(coordinator_, tag_result, message);
        }
        if (!leaving_ || has_left_) return;
        has_left_ = true;
        comm_.send(coordinator_, tag_stopped, {});
    }

  private:
    comm::Communicator& comm_;
    int coordinator_;
    ImitatedWorker worker_;
    bool leaving_ = false, has_left_ = false;
};

/// As many shards of every trial as give all units, with points of one group.
Workload workload_of(const SimulationParams& params) {
    Workload workload;
    for (std::uint32_t point = 0; point < params.points_per_unit; ++point) {
        workload.point_keys.push_back({point, 1});
        workload.group.push_back(0);
        workload.is_reference.push_back(false);
    }
    workload.points_per_unit = params.points_per_unit;
    workload.shards = params.units < 1000 ? params.units : 1000;
    workload.trials = (params.units + workload.shards - 1) / workload.shards;
    return workload;
}

class Simulation {
  public:
    explicit Simulation(const SimulationParams& params)
        : params_(params),
          network_(params.ranks, params.network),
          times_(params),
          hierarchy_(params.ranks, params.scheduler),
          workload_(workload_of(params)) {
        std::unique_ptr<LocalWorker> local;
        if (params.ranks <= params.scheduler.most_computing_ranks)
            local = std::make_unique<ImitatedWorker>(stage_, 0);
        coordinator_ = std::make_unique<Coordinator>(
            network_.rank(0), workload_, plan_units(workload_), hierarchy_.members_of(0), std::move(local),
            [this](std::span<const io::Record> records) { write(records); }, stop_, params_.scheduler,
            observe_);
        const auto ranks = static_cast<std::size_t>(params.ranks);
        leaders_.resize(ranks);
        workers_.resize(ranks);
        asleep_until_s_.resize(ranks);
        next_tick_s_.resize(ranks);
        will_wake_.resize(ranks);
        for (int rank = 1; rank < params.ranks; ++rank) {
            const auto place = static_cast<std::size_t>(rank);
            if (hierarchy_.leads(rank)) {
                leaders_[place] = std::make_unique<Leader>(network_.rank(rank), hierarchy_.members_of(rank),
                                                           std::make_unique<ImitatedWorker>(stage_, rank));
            } else {
                workers_[place] =
                    std::make_unique<ImitatedRank>(stage_, rank, hierarchy_.coordinator_of(rank));
            }
        }
    }

    SimulationResult run() {
        network_.wake(0, 0);
        while (!coordinator_->over()) {
            const std::optional<int> rank = network_.next();
            if (!rank) break;
            act(*rank);
        }
        return result();
    }

  private:
    void act(int rank) {
        using Timing = comm::DryRunNetwork::Timing;
        const auto place = static_cast<std::size_t>(rank);
        const double now_s = network_.now_s();
        if (workers_[place] != nullptr) {
            network_.act(rank, Timing::free, [&] { workers_[place]->act(); });
            return;
        }
        if (leaders_[place] != nullptr && leaders_[place]->over()) return;
        // Asleep: whatever has come is seen when it wakes.
        if (now_s < asleep_until_s_[place]) {
            if (!std::exchange(will_wake_[place], char{1})) network_.wake(rank, asleep_until_s_[place]);
            return;
        }
        network_.act(rank, Timing::measured, [&] {
            if (rank == 0)
                while (coordinator_->step()) {
                }
            else
                while (leaders_[place]->step()) {
                }
            asleep_until_s_[place] = network_.rank(rank).now_s() + coordinator_sleep_s;
        });
        will_wake_[place] = 0;
        if (now_s >= next_tick_s_[place]) {
            next_tick_s_[place] = now_s + coordinator_wake_s;
            network_.wake(rank, next_tick_s_[place]);
        }
    }

    void write(std::span<const io::Record> records) {
        std::uint64_t bytes = 0;
        for (const io::Record& record : records) bytes += record.size_bytes();
        ++result_.segments;
        result_.segment_bytes += bytes;
        result_.records += records.size();
        for (const io::Record& record : records) useful_s_ += record.seconds;
        network_.spend(0,
                       params_.segment_latency_s + static_cast<double>(bytes) / params_.segment_bytes_per_s);
    }

    SimulationResult result() {
        const auto ranks = static_cast<std::size_t>(params_.ranks);
        const double makespan_s = network_.rank(0).now_s();
        const auto load = network_.load(0);
        result_.makespan_s = makespan_s;
        result_.efficiency = useful_s_ / (static_cast<double>(ranks) * makespan_s);
        result_.wasted = std::max(0.0, 1 - coordinator_->summary().progress.compute_s / stage_.computed_s);
        result_.tail_s = makespan_s - stage_.idle_since_s;
        result_.coordinator_busy = load.busy_s / makespan_s;
        result_.messages = load.messages;
        result_.message_bytes = load.bytes;
        for (std::size_t rank = 1; rank < ranks; ++rank) {
            if (leaders_[rank] == nullptr) continue;
            result_.busiest_leader =
                std::max(result_.busiest_leader, network_.load(static_cast<int>(rank)).busy_s / makespan_s);
        }
        return result_;
    }

    const SimulationParams& params_;
    comm::DryRunNetwork network_;
    UnitTimes times_;
    Stage stage_{network_, times_};
    Hierarchy hierarchy_;
    Workload workload_;
    StopCondition stop_;
    ProgressObserver observe_;
    std::unique_ptr<Coordinator> coordinator_;
    std::vector<std::unique_ptr<Leader>> leaders_;
    std::vector<std::unique_ptr<ImitatedRank>> workers_;
    std::vector<double> asleep_until_s_, next_tick_s_;  ///< [rank] of coordinators
    std::vector<char> will_wake_;  ///< whether they have been told to, which vector<bool> cannot exchange
    double useful_s_ = 0;
    SimulationResult result_;
};

}  // namespace

SimulationResult simulate(const SimulationParams& params) {
    return Simulation(params).run();
}

}  // namespace crossweep::sweep
