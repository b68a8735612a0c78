#include "dispatcher.hpp"

#include <algorithm>
#include <cmath>

#include "crossweep/core/error.hpp"

namespace crossweep::sweep {
namespace {

constexpr double ahead_s = 5;              ///< work that a worker holds beside what it computes
constexpr std::size_t most_ahead = 8;      ///< the same in units
constexpr double shortest_piece_s = 0.25;  ///< cutting finer would mostly repeat noise-free references
constexpr double rescue_interval_s = 0.1;
constexpr double patience_s = 0.25;    ///< least time before a task counts as late
constexpr double unknown_task_s = 60;  ///< as long as a unit should take at most

}  // namespace

Dispatcher::Dispatcher(std::vector<std::size_t> capacity) {
    for (std::size_t worker = 0; worker < capacity.size(); ++worker) {
        workers_.push_back({capacity[worker], {}, 0, capacity[worker] > 0});
        total_capacity_ += capacity[worker];
        if (capacity[worker] > 0) hungry_.push_back(worker);
    }
}

std::vector<Dispatcher::Assignment> Dispatcher::feed(TaskSource& source, double now_s) {
    std::vector<Assignment> assignments;
    // In turns: everyone gets a first task before anyone gets a second.
    while (!hungry_.empty()) {
        const std::size_t number = hungry_.front();
        if (workers_[number].in_hand.size() < wanted(workers_[number], source)) {
            std::optional<Task> task = source.next(share(source));
            if (!task) break;
            assign(number, std::move(*task), now_s, assignments);
            hungry_.push_back(number);
        } else {
            workers_[number].hungry = false;
        }
        hungry_.pop_front();
    }
    if (!hungry_.empty() && source.units_left() == 0 && now_s - last_rescue_s_ > rescue_interval_s)
        rescue(now_s, assignments);
    return assignments;
}

double Dispatcher::expected_s(const WorkUnit& unit, double unknown_s) const {
    if (learnt_points_ == 0) return unknown_s;
    return learnt_s_ / static_cast<double>(learnt_points_) * static_cast<double>(unit.points.size());
}

std::size_t Dispatcher::wanted(const Worker& worker, const TaskSource& source) const {
    // A worker holds tasks ahead of what it computes, so that it never waits for an answer, except near the
    // end, where a task held ahead could be computed by someone idle.
    std::size_t ahead =
        std::min(source.units_left() / std::max<std::size_t>(2 * total_capacity_, 1), most_ahead);
    if (ahead > 1 && !open_.empty()) {
        const double unit_s = expected_s(open_.begin()->second.unit, ahead_s);
        ahead = std::min(ahead, 1 + static_cast<std::size_t>(ahead_s / std::max(unit_s, 1e-3)));
    }
    return worker.capacity * (1 + ahead);
}

std::size_t Dispatcher::share(const TaskSource& source) const {
    // Guided self-scheduling (Polychronopoulos & Kuck 1987), in points: half of an even share of what is
    // left, so that loads even out at the end.
    const double even = static_cast<double>(source.points_left()) / static_cast<double>(2 * total_capacity_);
    const double least =
        learnt_s_ > 0 ? shortest_piece_s * static_cast<double>(learnt_points_) / learnt_s_ : 1;
    return static_cast<std::size_t>(std::ceil(std::min(std::max({even, least, 1.0}), 1e9)));
}

void Dispatcher::assign(std::size_t number, Task task, double now_s, std::vector<Assignment>& assignments) {
    Worker& worker = workers_[number];
    if (worker.in_hand.empty()) worker.since_s = now_s;
    worker.in_hand.push_back(task.ticket);
    Open& open = open_.try_emplace(task.ticket, Open{task.unit, {}, now_s}).first->second;
    open.holders.push_back(number);
    open.since_s = now_s;
    assignments.push_back({number, std::move(task)});
}

void Dispatcher::rescue(double now_s, std::vector<Assignment>& assignments) {
    last_rescue_s_ = now_s;
    std::vector<std::pair<double, Ticket>> late;
    for (const auto& [ticket, open] : open_)
        if (is_late(open, ticket, now_s)) late.emplace_back(open.since_s, ticket);
    std::sort(late.begin(), late.end());
    std::deque<std::size_t> idle(hungry_);
    for (const auto& [since_s, ticket] : late) {
        const Open& open = open_.at(ticket);
        const auto found = std::find_if(idle.begin(), idle.end(), [&](std::size_t number) {
            return workers_[number].in_hand.size() < workers_[number].capacity &&
                   std::find(open.holders.begin(), open.holders.end(), number) == open.holders.end();
        });
        if (found == idle.end()) continue;
        assign(*found, {ticket, open.unit}, now_s, assignments);
        if (workers_[*found].in_hand.size() >= workers_[*found].capacity) idle.erase(found);
        if (idle.empty()) return;
    }
}

bool Dispatcher::is_late(const Open& open, Ticket ticket, double now_s) const {
    const Worker& holder = workers_[open.holders.back()];
    const auto place = static_cast<std::size_t>(
        std::find(holder.in_hand.begin(), holder.in_hand.end(), ticket) - holder.in_hand.begin());
    const bool waits = place >= holder.capacity;
    if (waits && open.holders.size() == 1) return true;
    const double begun_s = holder.capacity == 1 ? std::max(open.since_s, holder.since_s) : open.since_s;
    // Twice as patient with every copy: copies may go to ranks that hang as well, so they never end.
    const double times = std::exp2(static_cast<double>(std::min<std::size_t>(open.holders.size(), 20)));
    return now_s - begun_s > patience_s + times * expected_s(open.unit, unknown_task_s);
}

void Dispatcher::take_from(std::size_t number, Ticket ticket, double now_s) {
    Worker& worker = workers_[number];
    const auto place = std::find(worker.in_hand.begin(), worker.in_hand.end(), ticket);
    if (place == worker.in_hand.end()) return;
    if (place == worker.in_hand.begin()) worker.since_s = now_s;
    worker.in_hand.erase(place);
    if (!worker.hungry) hungry_.push_back(number);
    worker.hungry = true;
}

Dispatcher::Completion Dispatcher::complete(std::size_t number, Ticket ticket, bool failed, double now_s) {
    Completion completion;
    completion.held_s = now_s - workers_[number].since_s;
    take_from(number, ticket, now_s);
    const auto found = open_.find(ticket);
    if (found == open_.end()) return completion;  // somebody else was faster
    if (failed && found->second.holders.size() > 1) {
        std::erase(found->second.holders, number);
        return completion;
    }
    completion.counts = true;
    for (const std::size_t holder : found->second.holders) {
        if (holder == number) continue;
        completion.to_cancel.push_back(holder);
        take_from(holder, ticket, now_s);
    }
    completion.unit = std::move(found->second.unit);
    open_.erase(found);
    return completion;
}

std::vector<std::size_t> Dispatcher::forget(Ticket ticket, double now_s) {
    const auto found = open_.find(ticket);
    if (found == open_.end()) return {};
    const std::vector<std::size_t> holders = std::move(found->second.holders);
    for (const std::size_t holder : holders) take_from(holder, ticket, now_s);
    open_.erase(found);
    return holders;
}

void Dispatcher::learn(std::size_t points, double seconds) {
    learnt_points_ += points;
    learnt_s_ += seconds;
}

void Dispatcher::release(std::size_t number) {
    Worker& worker = workers_[number];
    for (const Ticket ticket : worker.in_hand) {
        const auto found = open_.find(ticket);
        if (found == open_.end()) continue;
        std::erase(found->second.holders, number);
        if (found->second.holders.empty()) open_.erase(found);
    }
    worker.in_hand.clear();
    total_capacity_ -= worker.capacity;
    worker.capacity = 0;
}

}  // namespace crossweep::sweep
