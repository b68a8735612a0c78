#include "worker.hpp"

#include <chrono>
#include <cstring>
#include <exception>

#include "crossweep/core/error.hpp"

namespace crossweep::sweep {

std::vector<std::byte> pack_unit(const WorkUnit& unit) {
    std::vector<std::uint32_t> words{unit.trial.value(), unit.shard.value()};
    for (const PointId point : unit.points) words.push_back(point.value());
    const auto bytes = std::as_bytes(std::span(words));
    return {bytes.begin(), bytes.end()};
}

WorkUnit unpack_unit(std::span<const std::byte> bytes) {
    if (bytes.size() % sizeof(std::uint32_t) != 0 || bytes.size() < 2 * sizeof(std::uint32_t)) {
        throw InternalError("a message is not a unit of work");
    }
    std::vector<std::uint32_t> words(bytes.size() / sizeof(std::uint32_t));
    std::memcpy(words.data(), bytes.data(), bytes.size());
    WorkUnit unit{TrialId(words[0]), ShardId(words[1]), {}};
    for (std::size_t i = 2; i < words.size(); ++i) unit.points.emplace_back(words[i]);
    return unit;
}

std::vector<io::Record> run_guarded(const RunUnit& run, const WorkUnit& unit) {
    try {
        return run(unit);
    } catch (const std::exception& error) {
        std::vector<io::Record> failed(unit.points.size());
        for (io::Record& record : failed) {
            record.key = {{}, unit.trial.value(), unit.shard.value()};
            record.failure = error.what();
        }
        return failed;
    }
}

LocalWorker::LocalWorker(const RunUnit& run) : run_(run), thread_([this] { loop(); }) {}

LocalWorker::~LocalWorker() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
        waiting_.clear();
    }
    wake_.notify_all();
    thread_.join();
}

void LocalWorker::submit(WorkUnit unit) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(unit));
    }
    wake_.notify_all();
}

std::size_t LocalWorker::drop_waiting() {
    const std::lock_guard lock(mutex_);
    const std::size_t dropped = waiting_.size();
    waiting_.clear();
    return dropped;
}

std::optional<std::vector<io::Record>> LocalWorker::poll() {
    const std::lock_guard lock(mutex_);
    if (finished_.empty()) return std::nullopt;
    auto records = std::move(finished_.front());
    finished_.pop_front();
    return records;
}

void LocalWorker::loop() {
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
        if (stop_) return;
        const WorkUnit unit = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        auto records = run_guarded(run_, unit);
        lock.lock();
        finished_.push_back(std::move(records));
    }
}

void work(comm::Communicator& comm, const RunUnit& run) {
    std::deque<WorkUnit> queue;
    bool stopping = false;
    while (true) {
        while (const auto message = comm.try_receive()) {
            if (message->tag == tag_work && !stopping) queue.push_back(unpack_unit(message->bytes));
            if (message->tag == tag_stop) {
                stopping = true;
                queue.clear();
            }
        }
        if (!queue.empty()) {
            const WorkUnit unit = std::move(queue.front());
            queue.pop_front();
            comm.send(0, tag_result, io::pack(run_guarded(run, unit)));
        } else if (stopping) {
            comm.send(0, tag_stopped, {});
            return;
        } else {
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
    }
}

}  // namespace crossweep::sweep
