// Who computes what: the bookkeeping of one coordinator, without messages and without a clock of its own.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "messages.hpp"

namespace crossweep::sweep {

/// Where a coordinator takes its tasks from.
class TaskSource {
  public:
    virtual ~TaskSource() = default;
    virtual std::size_t units_left() const = 0;
    virtual std::size_t points_left() const = 0;
    /// The next task, of about `most_points` points if units may be cut; nothing if none is left.
    virtual std::optional<Task> next(std::size_t most_points) = 0;
};

/// Hands tasks out, largest shares first and smaller ones towards the end, and gives the last stragglers to
/// idle workers once more: the first answer counts.
class Dispatcher {
  public:
    /// `capacity[worker]`: tasks that it computes at once; 0 if it takes none.
    explicit Dispatcher(std::vector<std::size_t> capacity);

    struct Assignment {
        std::size_t worker;
        Task task;
    };
    /// What is to be sent now, `now_s` on any clock that only goes forward.
    std::vector<Assignment> feed(TaskSource& source, double now_s);

    struct Completion {
        bool counts = false;                 ///< the first answer to a ticket that is open
        WorkUnit unit;                       ///< of an answer that counts
        double held_s = 0;                   ///< how long the worker had it in hand
        std::vector<std::size_t> to_cancel;  ///< other workers that hold the same task
    };
    /// A failure counts only if nobody else computes the task.
    Completion complete(std::size_t worker, Ticket ticket, bool failed, double now_s);

    /// Close a task without an answer; gives the workers that hold it.
    std::vector<std::size_t> forget(Ticket ticket, double now_s);

    /// Note that `points` points took `seconds` to compute; later shares and patience follow from it.
    void learn(std::size_t points, double seconds);
    /// A worker has left: nothing that it holds will be answered.
    void release(std::size_t worker);

    /// Tasks handed out and not answered.
    std::size_t open() const { return open_.size(); }

  private:
    struct Worker {
        std::size_t capacity;
        std::deque<Ticket> in_hand;  ///< in the order in which they were sent
        double since_s = 0;          ///< when the first of them became the first
        bool hungry = true;          ///< stands in hungry_
    };
    struct Open {
        WorkUnit unit;
        std::vector<std::size_t> holders;
        double since_s;  ///< when it was last handed out
    };

    /// By what has been learnt; `unknown_s` before that.
    double expected_s(const WorkUnit& unit, double unknown_s) const;
    std::size_t wanted(const Worker& worker, const TaskSource& source) const;
    std::size_t share(const TaskSource& source) const;
    void assign(std::size_t worker, Task task, double now_s, std::vector<Assignment>& assignments);
    void rescue(double now_s, std::vector<Assignment>& assignments);
    bool is_late(const Open& open, Ticket ticket, double now_s) const;
    void take_from(std::size_t worker, Ticket ticket, double now_s);

    std::vector<Worker> workers_;
    std::deque<std::size_t> hungry_;  ///< workers that may want more
    std::unordered_map<Ticket, Open> open_;
    std::size_t total_capacity_ = 0;
    std::size_t learnt_points_ = 0;
    double learnt_s_ = 0, last_rescue_s_ = 0;
};

}  // namespace crossweep::sweep
