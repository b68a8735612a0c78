// Messages between ranks through MPI; memory shared within a node is node_sharing.cpp's.
#include <mpi.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <list>

#include "crossweep/comm/communicator.hpp"
#include "crossweep/core/error.hpp"
#include "node_sharing.hpp"

namespace crossweep::comm {
namespace {

class MpiCommunicator final : public Communicator {
  public:
    MpiCommunicator(int* argc, char*** argv) {
        // Only the main thread talks MPI; rank 0 computes in another.
        int provided = 0;
        MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided);
        if (provided < MPI_THREAD_FUNNELED)
            throw InternalError("this MPI library does not allow threads beside it");
        MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
        MPI_Comm_size(MPI_COMM_WORLD, &size_);
    }

    ~MpiCommunicator() override {
        while (!outbox_.empty()) {
            MPI_Wait(&outbox_.front().request, MPI_STATUS_IGNORE);
            outbox_.pop_front();
        }
        MPI_Finalize();
    }

    MpiCommunicator(const MpiCommunicator&) = delete;
    MpiCommunicator& operator=(const MpiCommunicator&) = delete;

    int rank() const override { return rank_; }
    int size() const override { return size_; }

    void send(int destination, int tag, std::span<const std::byte> bytes) override {
        forget_sent();
        Outgoing& outgoing = outbox_.emplace_back();
        outgoing.bytes.assign(bytes.begin(), bytes.end());
        MPI_Isend(outgoing.bytes.data(), static_cast<int>(outgoing.bytes.size()), MPI_BYTE, destination, tag,
                  MPI_COMM_WORLD, &outgoing.request);
    }

    std::optional<Message> try_receive() override {
        forget_sent();
        int arrived = 0;
        MPI_Status status;
        MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &arrived, &status);
        if (arrived == 0) return std::nullopt;
        int count = 0;
        MPI_Get_count(&status, MPI_BYTE, &count);
        Message message{status.MPI_SOURCE, status.MPI_TAG,
                        std::vector<std::byte>(static_cast<std::size_t>(count))};
        MPI_Recv(message.bytes.data(), count, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
        return message;
    }

    int max_over_ranks(int value) override {
        int largest = value;
        MPI_Allreduce(&value, &largest, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
        return largest;
    }

    SharedParts share(std::vector<SharedBytes> parts, const Sharing& sharing) override {
        return share_over(MPI_COMM_WORLD, parts, sharing);
    }

    [[noreturn]] void abort(int code) override {
        MPI_Abort(MPI_COMM_WORLD, code);
        std::_Exit(code);
    }

  private:
    struct Outgoing {
        std::vector<std::byte> bytes;
        MPI_Request request = MPI_REQUEST_NULL;
    };

    void forget_sent() {
        outbox_.remove_if([](Outgoing& outgoing) {
            int sent = 0;
            MPI_Test(&outgoing.request, &sent, MPI_STATUS_IGNORE);
            return sent != 0;
        });
    }

    int rank_ = 0;
    int size_ = 1;
    std::list<Outgoing> outbox_;
};

/// A launcher (mpirun, srun --mpi=pmix) leaves one of these in the environment of its ranks. Without one,
/// starting MPI would only cost time and, inside a batch script, could attach to the wrong job.
bool started_by_launcher() {
    constexpr std::array variables{"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"};
    return std::any_of(variables.begin(), variables.end(),
                       [](const char* name) { return std::getenv(name) != nullptr; });
}

}  // namespace

std::unique_ptr<Communicator> make_communicator(int* argc, char*** argv) {
    if (!started_by_launcher()) return make_local_communicator();
    return std::make_unique<MpiCommunicator>(argc, argv);
}

std::string mpi_version() {
    std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
    int length = 0;
    MPI_Get_library_version(text.data(), &length);
    const std::string version(text.data(), static_cast<std::size_t>(length));
    return version.substr(0, version.find(','));
}

}  // namespace crossweep::comm
