#include "team.hpp"

#include <algorithm>
#include <map>

namespace crossweep::sweep {
namespace {

std::vector<std::size_t> capacities(const std::vector<Member>& members, bool has_local) {
    std::vector<std::size_t> capacity{has_local ? 1U : 0U};
    for (const Member& member : members) capacity.push_back(member.capacity);
    return capacity;
}

}  // namespace

Team::Team(comm::Communicator& comm, std::vector<Member> members, std::unique_ptr<LocalWorker> local)
    : comm_(comm),
      members_(std::move(members)),
      has_left_(members_.size()),
      local_(std::move(local)),
      dispatcher_(capacities(members_, local_ != nullptr)) {
    for (std::size_t i = 0; i < members_.size(); ++i) worker_of_rank_[members_[i].rank] = i + 1;
}

bool Team::take(const comm::Message& message, const OnAnswer& on_answer) {
    const auto found = worker_of_rank_.find(message.source);
    if (found == worker_of_rank_.end()) return false;
    if (message.tag == tag_result) {
        for (Answer& answer : unpack_answers(message.bytes))
            complete(found->second, std::move(answer), on_answer);
    }
    if (message.tag == tag_stopped) {
        has_left_[found->second - 1] = true;
        dispatcher_.release(found->second);
    }
    return true;
}

bool Team::take_local(const OnAnswer& on_answer) {
    bool any = false;
    while (local_ != nullptr) {
        std::optional<Answer> answer = local_->poll();
        if (!answer) break;
        any = true;
        complete(0, std::move(*answer), on_answer);
    }
    return any;
}

void Team::complete(std::size_t worker, Answer answer, const OnAnswer& on_answer) {
    const Ticket ticket = answer.ticket;
    const bool failed = std::any_of(answer.records.begin(), answer.records.end(),
                                    [](const io::Record& record) { return record.failed(); });
    const Dispatcher::Completion done = dispatcher_.complete(worker, ticket, failed, comm_.now_s());
    if (!done.counts) return;
    for (const std::size_t other : done.to_cancel) cancel(other, ticket);
    dispatcher_.learn(answer.records.size(), answer.seconds);
    on_answer(done.unit, std::move(answer), done.held_s);
}

void Team::feed(TaskSource& source) {
    auto assignments = dispatcher_.feed(source, comm_.now_s());
    std::map<std::size_t, std::vector<Task>> by_worker;
    for (auto& assignment : assignments) {
        if (assignment.worker == 0)
            local_->submit(std::move(assignment.task));
        else
            by_worker[assignment.worker].push_back(std::move(assignment.task));
    }
    for (const auto& [worker, tasks] : by_worker)
        comm_.send(members_[worker - 1].rank, tag_work, pack_tasks(tasks));
}

void Team::cancel(std::size_t worker, Ticket ticket) {
    if (worker == 0)
        local_->cancel(ticket);
    else
        comm_.send(members_[worker - 1].rank, tag_cancel, pack_tickets(std::span(&ticket, 1)));
}

void Team::forget(Ticket ticket) {
    for (const std::size_t holder : dispatcher_.forget(ticket, comm_.now_s())) cancel(holder, ticket);
}

void Team::drain() {
    if (local_ != nullptr) local_->drain();
    tell(tag_drain);
}

void Team::dismiss() {
    local_.reset();
    dispatcher_.release(0);
    tell(tag_leave);
}

void Team::tell(MessageTag tag) {
    for (const int rank : missing()) comm_.send(rank, tag, {});
}

bool Team::left() {
    if (local_ != nullptr && !local_->idle()) return false;
    return std::all_of(has_left_.begin(), has_left_.end(), [](bool left) { return left; });
}

std::vector<int> Team::missing() const {
    std::vector<int> ranks;
    for (std::size_t i = 0; i < members_.size(); ++i)
        if (!has_left_[i]) ranks.push_back(members_[i].rank);
    return ranks;
}

}  // namespace crossweep::sweep
