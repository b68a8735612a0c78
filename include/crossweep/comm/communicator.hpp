// Point-to-point messages between ranks. The rest of the program sees ranks only through this interface.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "crossweep/comm/shared_bytes.hpp"

namespace crossweep::comm {

struct Message {
    int source = 0;
    int tag = 0;
    std::vector<std::byte> bytes;
};

class Communicator {
  public:
    virtual ~Communicator() = default;

    virtual int rank() const = 0;
    virtual int size() const = 0;
    /// Send without waiting for the receiver; the bytes are copied.
    virtual void send(int destination, int tag, std::span<const std::byte> bytes) = 0;
    /// The next message that has arrived, from anyone; messages of one sender keep their order.
    virtual std::optional<Message> try_receive() = 0;
    /// Time in seconds, from an arbitrary start, only ever forward.
    virtual double now_s() const;
    /// Largest `value` over all ranks; every rank must call it.
    virtual int max_over_ranks(int value) = 0;
    /// The parts that rank 0 gives, on every rank and once in the memory of each node; every rank must call
    /// it. Throws DataError on all ranks if one of them has no room.
    virtual SharedParts share(std::vector<SharedBytes> parts, const Sharing& = {}) {
        return {std::move(parts), 1, 1};
    }
    /// End all ranks at once with exit code `code`. For a rank that cannot go on; does not return.
    [[noreturn]] virtual void abort(int code) = 0;
};

/// One rank, in this process; a message to oneself can be received.
std::unique_ptr<Communicator> make_local_communicator();

/// All ranks of the MPI job, or a local communicator if no launcher started this process.
/// Initialises MPI, which is finalised with the communicator's destruction.
std::unique_ptr<Communicator> make_communicator(int* argc, char*** argv);

/// Name and version of the MPI library.
std::string mpi_version();

}  // namespace crossweep::comm
