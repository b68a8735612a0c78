#include "leader.hpp"

#include <algorithm>

namespace crossweep::sweep {
namespace {

constexpr double longest_wait_s = 0.25;  ///< of an answer, for others to travel with
constexpr std::size_t largest_message = std::size_t{1}
                                        << 20;  ///< bytes that are sent without waiting for more

}  // namespace

std::size_t TaskQueue::points_left() const {
    std::size_t points = 0;
    for (const Task& task : tasks_) points += task.unit.points.size();
    return points;
}

std::optional<Task> TaskQueue::next(std::size_t) {
    if (tasks_.empty()) return std::nullopt;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
}

bool TaskQueue::erase(Ticket ticket) {
    return std::erase_if(tasks_, [&](const Task& task) { return task.ticket == ticket; }) > 0;
}

Leader::Leader(comm::Communicator& comm, std::vector<Member> members, std::unique_ptr<LocalWorker> local)
    : comm_(comm), team_(comm, std::move(members), std::move(local)) {}

bool Leader::step() {
    const bool received = receive();
    if (!stopping_) team_.feed(tasks_);
    const bool waited = comm_.now_s() - last_sent_s_ > longest_wait_s;
    // With nothing waiting here, rank 0 has to know soon that there is room.
    if (waited || answers_.size() > largest_message || tasks_.units_left() == 0) send_answers();
    if (stopping_ && team_.left()) {
        send_answers();
        comm_.send(0, tag_stopped, {});
        over_ = true;
    }
    return received;
}

bool Leader::receive() {
    const Team::OnAnswer on_answer = [this](const WorkUnit&, const Answer& answer, double) {
        append_answer(answer, answers_);
    };
    bool any = team_.take_local(on_answer);
    while (const auto message = comm_.try_receive()) {
        any = true;
        if (!team_.take(*message, on_answer)) obey(*message);
    }
    return any;
}

void Leader::obey(const comm::Message& message) {
    if (message.tag == tag_work && !stopping_) {
        for (Task& task : unpack_tasks(message.bytes)) tasks_.push(std::move(task));
    }
    if (message.tag == tag_cancel) {
        for (const Ticket ticket : unpack_tickets(message.bytes)) {
            if (!tasks_.erase(ticket)) team_.forget(ticket);
        }
    }
    if (message.tag == tag_drain || message.tag == tag_leave) {
        stopping_ = true;
        tasks_.clear();
        if (message.tag == tag_drain)
            team_.drain();
        else
            team_.dismiss();
    }
}

void Leader::send_answers() {
    last_sent_s_ = comm_.now_s();
    if (answers_.empty()) return;
    comm_.send(0, tag_result, answers_);
    answers_.clear();
}

}  // namespace crossweep::sweep
