// The workers of one coordinator: ranks that are told by messages, and a worker in its own process.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "crossweep/comm/communicator.hpp"
#include "dispatcher.hpp"
#include "worker.hpp"

namespace crossweep::sweep {

/// A rank that takes tasks: a worker, or the leader of a group of them.
struct Member {
    int rank;
    std::size_t capacity;  ///< tasks that it computes at once
};

class Team {
  public:
    /// `local` may be null.
    Team(comm::Communicator& comm, std::vector<Member> members, std::unique_ptr<LocalWorker> local);

    /// Called with every first answer to a task: the unit, its ticket and records, and how long it was in
    /// hand.
    using OnAnswer = std::function<void(const WorkUnit&, Answer, double held_s)>;

    /// Take from `message` what a member says; false if it does not come from one.
    bool take(const comm::Message& message, const OnAnswer& on_answer);
    /// Take the answers of the local worker; false if there was none.
    bool take_local(const OnAnswer& on_answer);
    void feed(TaskSource& source);
    /// No longer wait for, nor compute, this task.
    void forget(Ticket ticket);

    /// Everyone finishes what is begun, then leaves.
    void drain();
    /// Everyone drops what is in hand and leaves.
    void dismiss();
    /// Everyone has left.
    bool left();
    /// Members that have not left.
    std::vector<int> missing() const;

    std::size_t open() const { return dispatcher_.open(); }

  private:
    void complete(std::size_t worker, Answer answer, const OnAnswer& on_answer);
    void cancel(std::size_t worker, Ticket ticket);
    void tell(MessageTag tag);

    comm::Communicator& comm_;
    std::vector<Member> members_;  ///< worker i + 1 of the dispatcher; worker 0 is the local one
    std::vector<bool> has_left_;
    std::unique_ptr<LocalWorker> local_;
    std::unordered_map<int, std::size_t> worker_of_rank_;
    Dispatcher dispatcher_;
};

}  // namespace crossweep::sweep
