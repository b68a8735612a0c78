// Little-endian words of 32 bits. A task: ticket, trial, shard, number of points, points. An answer: ticket,
// seconds (double), bytes of its packed records (64 bits), those bytes.
#include "messages.hpp"

#include <cstring>

#include "crossweep/core/error.hpp"

namespace crossweep::sweep {
namespace {

std::vector<std::uint32_t> words_of(std::span<const std::byte> bytes) {
    if (bytes.size() % sizeof(std::uint32_t) != 0) throw InternalError("a message is cut off");
    std::vector<std::uint32_t> words(bytes.size() / sizeof(std::uint32_t));
    if (!bytes.empty()) std::memcpy(words.data(), bytes.data(), bytes.size());
    return words;
}

std::vector<std::byte> bytes_of(std::span<const std::uint32_t> words) {
    const auto bytes = std::as_bytes(words);
    return {bytes.begin(), bytes.end()};
}

template <class T>
T take(std::span<const std::byte>& rest) {
    if (rest.size() < sizeof(T)) throw InternalError("a message is cut off");
    T value;
    std::memcpy(&value, rest.data(), sizeof(T));
    rest = rest.subspan(sizeof(T));
    return value;
}

}  // namespace

std::vector<std::byte> pack_tasks(std::span<const Task> tasks) {
    std::vector<std::uint32_t> words;
    for (const Task& task : tasks) {
        words.insert(words.end(), {task.ticket, task.unit.trial.value(), task.unit.shard.value(),
                                   static_cast<std::uint32_t>(task.unit.points.size())});
        for (const PointId point : task.unit.points) words.push_back(point.value());
    }
    return bytes_of(words);
}

std::vector<Task> unpack_tasks(std::span<const std::byte> bytes) {
    const auto words = words_of(bytes);
    std::vector<Task> tasks;
    for (std::size_t at = 0; at < words.size();) {
        if (words.size() - at < 4 || words.size() - at - 4 < words[at + 3])
            throw InternalError("a message is not tasks");
        Task& task =
            tasks.emplace_back(Task{words[at], {TrialId(words[at + 1]), ShardId(words[at + 2]), {}}});
        const std::size_t end = at + 4 + words[at + 3];
        for (at += 4; at < end; ++at) task.unit.points.emplace_back(words[at]);
    }
    return tasks;
}

std::vector<std::byte> pack_tickets(std::span<const Ticket> tickets) {
    return bytes_of(tickets);
}

std::vector<Ticket> unpack_tickets(std::span<const std::byte> bytes) {
    return words_of(bytes);
}

void append_answer(const Answer& answer, std::vector<std::byte>& message) {
    const std::vector<std::byte> records = io::pack(answer.records);
    const std::uint64_t size = records.size();
    for (const auto part :
         {std::as_bytes(std::span(&answer.ticket, 1)), std::as_bytes(std::span(&answer.seconds, 1)),
          std::as_bytes(std::span(&size, 1)), std::span(records)})
        message.insert(message.end(), part.begin(), part.end());
}

std::vector<Answer> unpack_answers(std::span<const std::byte> bytes) {
    std::vector<Answer> answers;
    while (!bytes.empty()) {
        const auto ticket = take<Ticket>(bytes);
        const auto seconds = take<double>(bytes);
        const auto size = take<std::uint64_t>(bytes);
        if (size > bytes.size()) throw InternalError("a message is cut off");
        answers.push_back({ticket, seconds, io::unpack(bytes.first(size))});
        bytes = bytes.subspan(size);
    }
    return answers;
}

}  // namespace crossweep::sweep
