// The ranks that a test program runs on: those of mpirun, or one. Including this starts and ends MPI with the
// tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "crossweep/comm/communicator.hpp"

namespace crossweep::comm {

class Ranks : public testing::Environment {
  public:
    void SetUp() override { all_ = make_communicator(nullptr, nullptr); }
    void TearDown() override { all_.reset(); }

    /// All of them, as this rank sees them.
    static Communicator& all() { return *all_; }
    static bool first() { return all_->rank() == 0; }

  private:
    static inline std::unique_ptr<Communicator> all_;
};

inline testing::Environment* const ranks_of_the_program = testing::AddGlobalTestEnvironment(new Ranks);

}  // namespace crossweep::comm
