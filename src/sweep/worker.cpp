#include "worker.hpp"

#include <algorithm>
#include <chrono>
#include <exception>

namespace crossweep::sweep {
namespace {

bool erase_ticket(std::deque<Task>& tasks, Ticket ticket) {
    return std::erase_if(tasks, [&](const Task& task) { return task.ticket == ticket; }) > 0;
}

/// A rank that computes for a coordinator; looks for messages between tasks and within them.
class WorkerRank {
  public:
    WorkerRank(comm::Communicator& comm, int coordinator, const RunUnit& run)
        : comm_(comm), coordinator_(coordinator), run_(run) {}

    void loop() {
        while (true) {
            listen();
            if (waiting_.empty() && stopping_) break;
            if (waiting_.empty()) {
                std::this_thread::sleep_for(std::chrono::microseconds(200));
                continue;
            }
            compute_next();
        }
        comm_.send(coordinator_, tag_stopped, {});
    }

  private:
    void listen() {
        while (const auto message = comm_.try_receive()) {
            if (message->tag == tag_work && !stopping_) {
                for (Task& task : unpack_tasks(message->bytes)) waiting_.push_back(std::move(task));
            }
            if (message->tag == tag_cancel) {
                for (const Ticket ticket : unpack_tickets(message->bytes))
                    cancelled_ |= !erase_ticket(waiting_, ticket) && computing_ == ticket;
            }
            if (message->tag == tag_drain || message->tag == tag_leave) {
                stopping_ = true;
                waiting_.clear();
                cancelled_ |= message->tag == tag_leave;
            }
        }
    }

    void compute_next() {
        const Task task = std::move(waiting_.front());
        waiting_.pop_front();
        computing_ = task.ticket;
        cancelled_ = false;
        const Answer answered = compute(run_, task, [this] {
            listen();
            return cancelled_;
        });
        computing_.reset();
        if (cancelled_) return;
        std::vector<std::byte> message;
        append_answer(answered, message);
        comm_.send(coordinator_, tag_result, message);
    }

    comm::Communicator& comm_;
    int coordinator_;
    const RunUnit& run_;
    std::deque<Task> waiting_;
    std::optional<Ticket> computing_;
    bool cancelled_ = false;  ///< what is being computed
    bool stopping_ = false;
};

}  // namespace

Answer compute(const RunUnit& run, const Task& task, const Cancelled& cancelled) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    Answer answer{task.ticket, 0, {}};
    try {
        answer.records = run(task.unit, cancelled);
    } catch (const std::exception& error) {
        answer.records.resize(task.unit.points.size());
        for (io::Record& record : answer.records) {
            record.key = {{}, task.unit.trial.value(), task.unit.shard.value()};
            record.failure = error.what();
        }
    }
    answer.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return answer;
}

WorkerThread::WorkerThread(const RunUnit& run) : run_(run), thread_([this] { loop(); }) {}

WorkerThread::~WorkerThread() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = cancelled_ = true;
        waiting_.clear();
    }
    wake_.notify_all();
    thread_.join();
}

void WorkerThread::submit(Task task) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(task));
    }
    wake_.notify_all();
}

void WorkerThread::cancel(Ticket ticket) {
    const std::lock_guard lock(mutex_);
    cancelled_ |= !erase_ticket(waiting_, ticket) && computing_ == ticket;
}

void WorkerThread::drain() {
    const std::lock_guard lock(mutex_);
    waiting_.clear();
}

std::optional<Answer> WorkerThread::poll() {
    const std::lock_guard lock(mutex_);
    if (finished_.empty()) return std::nullopt;
    Answer answer = std::move(finished_.front());
    finished_.pop_front();
    return answer;
}

bool WorkerThread::idle() {
    const std::lock_guard lock(mutex_);
    return waiting_.empty() && finished_.empty() && !computing_;
}

void WorkerThread::loop() {
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
        if (stop_) return;
        const Task task = std::move(waiting_.front());
        waiting_.pop_front();
        computing_ = task.ticket;
        cancelled_ = false;
        lock.unlock();
        Answer answered = compute(run_, task, [this] {
            const std::lock_guard asking(mutex_);
            return cancelled_;
        });
        lock.lock();
        computing_.reset();
        if (!cancelled_) finished_.push_back(std::move(answered));
    }
}

void work_for(comm::Communicator& comm, int coordinator, const RunUnit& run) {
    WorkerRank(comm, coordinator, run).loop();
}

}  // namespace crossweep::sweep
