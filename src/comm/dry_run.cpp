#include "crossweep/comm/dry_run.hpp"

#include <algorithm>
#include <chrono>
#include <deque>

#include "crossweep/core/error.hpp"

namespace crossweep::comm {

class DryRunNetwork::Endpoint final : public Communicator {
  public:
    Endpoint(DryRunNetwork& network, int rank) : network_(network), rank_(rank) {}

    int rank() const override { return rank_; }
    int size() const override { return network_.size(); }

    double now_s() const override { return start_s_ + spent_s_ + (measured_ ? seconds_since(began_) : 0); }

    void send(int destination, int tag, std::span<const std::byte> bytes) override {
        count(bytes.size());
        const double arrival_s = now_s() + network_.costs_.latency_s +
                                 static_cast<double>(bytes.size()) / network_.costs_.bytes_per_s;
        Endpoint& other = *network_.ranks_[static_cast<std::size_t>(destination)];
        other.inbox_.push_back({arrival_s, {rank_, tag, {bytes.begin(), bytes.end()}}});
        network_.wake(destination, arrival_s);
    }

    std::optional<Message> try_receive() override {
        if (inbox_.empty() || inbox_.front().at_s > now_s()) return std::nullopt;
        Message message = std::move(inbox_.front().message);
        inbox_.pop_front();
        count(message.bytes.size());
        return message;
    }

    int max_over_ranks(int) override { throw InternalError("a dry run has no collective operations"); }
    [[noreturn]] void abort(int) override { throw InternalError("a rank of a dry run ended"); }

    void begin(double now_s, Timing timing) {
        start_s_ = now_s;
        spent_s_ = 0;
        measured_ = timing == Timing::measured;
        began_ = Clock::now();
    }

    void end() {
        free_at_s_ = now_s();
        load_.busy_s += free_at_s_ - start_s_;
        measured_ = false;
    }

    void spend(double seconds) { spent_s_ += seconds; }
    double free_at_s() const { return free_at_s_; }
    const Load& load() const { return load_; }

  private:
    using Clock = std::chrono::steady_clock;
    struct Arrival {
        double at_s;
        Message message;
    };

    static double seconds_since(Clock::time_point start) {
        return std::chrono::duration<double>(Clock::now() - start).count();
    }

    void count(std::size_t bytes) {
        ++load_.messages;
        load_.bytes += bytes;
        spend(network_.costs_.message_s);
    }

    DryRunNetwork& network_;
    int rank_;
    std::deque<Arrival> inbox_;  ///< as they were sent: arrivals may be out of order by a latency
    double start_s_ = 0, spent_s_ = 0, free_at_s_ = 0;
    bool measured_ = false;
    Clock::time_point began_;
    Load load_;
};

DryRunNetwork::DryRunNetwork(int ranks, const NetworkCosts& costs) : costs_(costs) {
    for (int rank = 0; rank < ranks; ++rank) ranks_.push_back(std::make_unique<Endpoint>(*this, rank));
}

DryRunNetwork::~DryRunNetwork() = default;

int DryRunNetwork::size() const {
    return static_cast<int>(ranks_.size());
}

Communicator& DryRunNetwork::rank(int number) {
    return *ranks_[static_cast<std::size_t>(number)];
}

std::optional<int> DryRunNetwork::next() {
    if (events_.empty()) return std::nullopt;
    const Event event = events_.top();
    events_.pop();
    now_s_ = std::max(now_s_, event.at_s);
    return event.rank;
}

void DryRunNetwork::wake(int rank, double at_s) {
    const double free_s = ranks_[static_cast<std::size_t>(rank)]->free_at_s();
    events_.push({std::max(at_s, free_s), events_made_++, rank});
}

void DryRunNetwork::act(int rank, Timing timing, const std::function<void()>& action) {
    Endpoint& endpoint = *ranks_[static_cast<std::size_t>(rank)];
    if (endpoint.free_at_s() > now_s_) {  // it has become busy since the event was made
        wake(rank, now_s_);
        return;
    }
    endpoint.begin(now_s_, timing);
    action();
    endpoint.end();
}

void DryRunNetwork::spend(int rank, double seconds) {
    ranks_[static_cast<std::size_t>(rank)]->spend(seconds);
}

DryRunNetwork::Load DryRunNetwork::load(int rank) const {
    return ranks_[static_cast<std::size_t>(rank)]->load();
}

}  // namespace crossweep::comm
