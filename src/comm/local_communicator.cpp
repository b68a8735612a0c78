#include <chrono>
#include <cstdlib>
#include <deque>

#include "crossweep/comm/communicator.hpp"

namespace crossweep::comm {
namespace {

class LocalCommunicator final : public Communicator {
  public:
    int rank() const override { return 0; }
    int size() const override { return 1; }

    void send(int, int tag, std::span<const std::byte> bytes) override {
        inbox_.push_back({0, tag, {bytes.begin(), bytes.end()}});
    }

    std::optional<Message> try_receive() override {
        if (inbox_.empty()) return std::nullopt;
        Message message = std::move(inbox_.front());
        inbox_.pop_front();
        return message;
    }

    int max_over_ranks(int value) override { return value; }
    [[noreturn]] void abort(int code) override { std::_Exit(code); }

  private:
    std::deque<Message> inbox_;
};

}  // namespace

double Communicator::now_s() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::unique_ptr<Communicator> make_local_communicator() {
    return std::make_unique<LocalCommunicator>();
}

}  // namespace crossweep::comm
