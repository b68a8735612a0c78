#include "coordinator.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crossweep/core/error.hpp"

namespace crossweep::sweep {

PlannedTasks::PlannedTasks(Plan units) : units_(std::move(units)), points_left_(units_.points()) {}

std::size_t PlannedTasks::units_left() const {
    return units_.size() - next_unit_ + (rest_.points.empty() ? 0 : 1);
}

std::optional<Task> PlannedTasks::next(std::size_t most_points) {
    if (rest_.points.empty()) {
        if (next_unit_ == units_.size()) return std::nullopt;
        rest_ = units_.unit(next_unit_++);
    }
    const std::size_t unit = next_unit_ - 1, points = rest_.points.size();
    // Even pieces rather than full ones and a scrap, and no cut for a little.
    const bool whole = points <= most_points + most_points / 2;
    const std::size_t pieces = whole ? 1 : (points + most_points - 1) / most_points;
    const auto end = rest_.points.begin() + static_cast<std::ptrdiff_t>((points + pieces - 1) / pieces);
    Task task{next_ticket_++, {rest_.trial, rest_.shard, {rest_.points.begin(), end}}};
    rest_.points.erase(rest_.points.begin(), end);
    points_left_ -= task.unit.points.size();
    unit_of_[task.ticket] = unit;
    ++pieces_[unit];
    return task;
}

PlannedTasks::Answered PlannedTasks::answered(Ticket ticket) {
    const auto found = unit_of_.find(ticket);
    if (found == unit_of_.end()) throw InternalError("an answer to a task that was never handed out");
    const std::size_t unit = found->second;
    unit_of_.erase(found);
    const auto open = pieces_.find(unit);
    const bool is_being_cut = !rest_.points.empty() && unit + 1 == next_unit_;
    const bool completes = --open->second == 0 && !is_being_cut;
    if (open->second == 0) pieces_.erase(open);
    return {unit, completes};
}

Coordinator::Coordinator(comm::Communicator& comm, const Workload& workload, Plan units,
                         std::vector<Member> members, std::unique_ptr<LocalWorker> local, RecordSink write,
                         const StopCondition& stop, const SchedulerOptions& options,
                         const ProgressObserver& observe)
    : comm_(comm),
      workload_(workload),
      tasks_(std::move(units)),
      team_(comm, std::move(members), std::move(local)),
      write_(std::move(write)),
      stop_(stop),
      options_(options),
      observe_(observe),
      start_s_(comm.now_s()),
      last_segment_s_(start_s_) {
    summary_.progress.units = tasks_.units();
}

bool Coordinator::step() {
    const bool received = receive();
    advance();
    const bool is_due = comm_.now_s() - last_segment_s_ > options_.segment_s;
    if (is_due || unwritten_bytes_ > options_.segment_bytes) write_segment();
    report();
    return received;
}

void Coordinator::advance() {
    switch (phase_) {
        case Phase::running:
            if (wants_stop()) {
                phase_ = Phase::draining;
                // What is finished goes to the disk first: whoever asks for a stop may not wait for long.
                write_segment();
                team_.drain();
                deadline_s_ =
                    comm_.now_s() + options_.patience_s + 2 * std::max(longest_unit_s_, options_.long_unit_s);
                return;
            }
            team_.feed(tasks_);
            if (team_.open() == 0 && tasks_.units_left() == 0) leave();
            return;
        case Phase::draining:
            if (team_.left() || comm_.now_s() > deadline_s_) leave();
            return;
        case Phase::leaving:
            if (!team_.left() && comm_.now_s() < deadline_s_) return;
            write_segment();  // what has come meanwhile
            summary_.silent_ranks = team_.missing();
            phase_ = Phase::over;
            return;
        case Phase::over:
            return;
    }
}

void Coordinator::leave() {
    write_segment();
    if (summary_.progress.units_done == tasks_.units() && summary_.outcome == Outcome::interrupted)
        summary_.outcome = Outcome::finished;  // the stop came when nothing was left to do
    team_.dismiss();
    deadline_s_ = comm_.now_s() + options_.patience_s;
    phase_ = Phase::leaving;
}

bool Coordinator::receive() {
    const Team::OnAnswer on_answer = [this](const WorkUnit& unit, Answer answer, double held_s) {
        accept(unit, std::move(answer), held_s);
    };
    bool any = team_.take_local(on_answer);
    while (const auto message = comm_.try_receive()) any |= team_.take(*message, on_answer);
    return any;
}

void Coordinator::accept(const WorkUnit& unit, Answer answer, double held_s) {
    std::vector<io::Record>& records = answer.records;
    if (records.size() != unit.points.size()) {
        throw InternalError(
            fmt::format("a unit of {} points gave {} records", unit.points.size(), records.size()));
    }
    longest_unit_s_ = std::max(longest_unit_s_, held_s);
    const auto [number, completes] = tasks_.answered(answer.ticket);
    Progress& progress = summary_.progress;
    progress.units_done += completes ? 1 : 0;
    progress.compute_s += answer.seconds;
    for (std::size_t i = 0; i < records.size(); ++i) {
        unwritten_bytes_ += records[i].size_bytes();
        records[i].key = workload_.key(unit, i);
        progress.images += records[i].images;
        progress.predictions += std::uint64_t{records[i].images} * records[i].predictions;
        progress.correct += records[i].correct_top1;
        if (!records[i].failed() || !failed_units_.insert(number).second) continue;
        ++progress.units_failed;
        summary_.failed.push_back({unit, unit.points[i], records[i].failure});
    }
    unwritten_.insert(unwritten_.end(), std::make_move_iterator(records.begin()),
                      std::make_move_iterator(records.end()));
}

bool Coordinator::wants_stop() {
    if (summary_.progress.units_failed > options_.max_failed_units) {
        summary_.outcome = Outcome::too_many_failures;
        return true;
    }
    const bool work_left = tasks_.units_left() > 0 || team_.open() > 0;
    if (stop_.signalled() || (work_left && stop_.out_of_time(longest_unit_s_))) {
        summary_.outcome = Outcome::interrupted;
        return true;
    }
    return false;
}

void Coordinator::write_segment() {
    last_segment_s_ = comm_.now_s();
    if (unwritten_.empty()) return;
    write_(unwritten_);
    unwritten_.clear();
    unwritten_bytes_ = 0;
}

void Coordinator::report() {
    summary_.progress.elapsed_s = comm_.now_s() - start_s_;
    if (observe_) observe_(summary_.progress);
}

}  // namespace crossweep::sweep
