// What coordinators and workers say to each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "crossweep/core/work_unit.hpp"
#include "crossweep/io/record.hpp"

namespace crossweep::sweep {

enum MessageTag : int {
    tag_work = 1,     ///< tasks to compute, to a worker
    tag_cancel = 2,   ///< tickets whose answer has come from elsewhere, to a worker
    tag_result = 3,   ///< answers, from a worker
    tag_drain = 4,    ///< finish what is begun and leave, to a worker
    tag_leave = 5,    ///< drop everything and leave, to a worker
    tag_stopped = 6,  ///< the last message of a worker
};

/// Names one handing out of a unit, or of a piece of it, for one run.
using Ticket = std::uint32_t;

struct Task {
    Ticket ticket;
    WorkUnit unit;
};

struct Answer {
    Ticket ticket;
    double seconds;  ///< that computing it took
    std::vector<io::Record> records;
};

std::vector<std::byte> pack_tasks(std::span<const Task> tasks);
std::vector<Task> unpack_tasks(std::span<const std::byte> bytes);
std::vector<std::byte> pack_tickets(std::span<const Ticket> tickets);
std::vector<Ticket> unpack_tickets(std::span<const std::byte> bytes);
void append_answer(const Answer& answer, std::vector<std::byte>& message);
std::vector<Answer> unpack_answers(std::span<const std::byte> bytes);

}  // namespace crossweep::sweep
