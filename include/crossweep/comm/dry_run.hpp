// Thousands of ranks in one process: messages travel in simulated time, and what a rank does between them
// takes the time that it really takes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <vector>

#include "crossweep/comm/communicator.hpp"

namespace crossweep::comm {

/// What a message costs. assumption: an InfiniBand-class network and Open MPI's point-to-point path; of the
/// same order as what was measured in shared memory (0.5 µs), with a margin.
struct NetworkCosts {
    double latency_s = 5e-6;
    double bytes_per_s = 5e9;
    double message_s = 1e-6;  ///< of the processor, at either end
};

class DryRunNetwork {
  public:
    explicit DryRunNetwork(int ranks, const NetworkCosts& costs = {});
    ~DryRunNetwork();
    DryRunNetwork(const DryRunNetwork&) = delete;
    DryRunNetwork& operator=(const DryRunNetwork&) = delete;

    int size() const;
    /// The communicator of one rank.
    Communicator& rank(int number);

    /// Go on to the next event; gives the rank that a message has reached or that asked to be woken. Nothing
    /// if nothing will ever happen again.
    std::optional<int> next();
    /// Have `next` give this rank at `at_s`, or as soon as it is not busy.
    void wake(int rank, double at_s);

    /// Whether what a rank does takes the time that it takes here.
    enum class Timing { free, measured };
    /// Let a rank that `next` gave act: what it sends leaves while it acts.
    void act(int rank, Timing timing, const std::function<void()>& action);
    /// Called while a rank acts: it is busy for so much longer.
    void spend(int rank, double seconds);

    double now_s() const { return now_s_; }
    struct Load {
        double busy_s = 0;
        std::uint64_t messages = 0, bytes = 0;  ///< sent and received
    };
    Load load(int rank) const;

  private:
    class Endpoint;
    struct Event {
        double at_s;
        std::uint64_t number;  ///< events at the same time keep their order
        int rank;
        bool operator<(const Event& other) const {
            return at_s != other.at_s ? at_s > other.at_s : number > other.number;
        }
    };

    NetworkCosts costs_;
    std::vector<std::unique_ptr<Endpoint>> ranks_;
    std::priority_queue<Event> events_;
    std::uint64_t events_made_ = 0;
    double now_s_ = 0;
};

}  // namespace crossweep::comm
