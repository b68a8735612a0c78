// The second level: passes tasks of rank 0 on to a group of ranks, and their answers back, many at once.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "team.hpp"

namespace crossweep::sweep {

/// Tasks that rank 0 has sent; they are passed on as they are.
class TaskQueue final : public TaskSource {
  public:
    std::size_t units_left() const override { return tasks_.size(); }
    std::size_t points_left() const override;
    std::optional<Task> next(std::size_t most_points) override;
    void push(Task task) { tasks_.push_back(std::move(task)); }
    /// False if the task is not waiting.
    bool erase(Ticket ticket);
    void clear() { tasks_.clear(); }

  private:
    std::deque<Task> tasks_;
};

class Leader {
  public:
    Leader(comm::Communicator& comm, std::vector<Member> members, std::unique_ptr<LocalWorker> local);

    /// Do what can be done now; false if there was nothing.
    bool step();
    bool over() const { return over_; }

  private:
    bool receive();
    void obey(const comm::Message& message);
    void send_answers();

    comm::Communicator& comm_;
    Team team_;
    TaskQueue tasks_;
    std::vector<std::byte> answers_;  ///< not sent yet
    double last_sent_s_ = 0;
    bool stopping_ = false, over_ = false;
};

}  // namespace crossweep::sweep
