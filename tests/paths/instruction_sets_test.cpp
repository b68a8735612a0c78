// The kernels built for one instruction set alone, CROSSWEEP_PATH: each must give the bits of all others.
#include <gtest/gtest.h>

#include "linalg/golden_normals.hpp"

namespace crossweep {
namespace {

/// Only the kernels need CROSSWEEP_PATH; this file and the program around it run on every processor.
class InstructionSet : public testing::Test {
  protected:
    void SetUp() override {
        if (!__builtin_cpu_supports(CROSSWEEP_PATH)) GTEST_SKIP() << "the processor has no " CROSSWEEP_PATH;
    }
};

TEST_F(InstructionSet, gives_the_normals_of_all_others) {
    EXPECT_EQ(linalg::hash_of(linalg::golden_draws()), linalg::golden_hash);
    EXPECT_EQ(linalg::hash_of(linalg::golden_tails()), linalg::golden_hash_of_tails);
}

}  // namespace
}  // namespace crossweep
