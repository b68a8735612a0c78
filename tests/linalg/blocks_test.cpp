// How columns are cut into blocks.
#include "crossweep/linalg/blocks.hpp"

#include <gtest/gtest.h>

namespace crossweep::linalg {
namespace {

using Edges = std::vector<Eigen::Index>;

TEST(ColumnEdges, cut_every_step_and_end_with_the_columns) {
    EXPECT_EQ(column_edges(12, 12, 4), (Edges{0, 4, 8, 12}));
    EXPECT_EQ(column_edges(10, 10, 4), (Edges{0, 4, 8, 10}));
    EXPECT_EQ(column_edges(3, 3, 1), (Edges{0, 1, 2, 3}));
    EXPECT_EQ(column_edges(5, 64, 64), (Edges{0, 5}));
}

TEST(ColumnEdges, restart_at_every_section) {
    EXPECT_EQ(column_edges(12, 6, 4), (Edges{0, 4, 6, 10, 12}));
    EXPECT_EQ(column_edges(11, 6, 4), (Edges{0, 4, 6, 10, 11}));
}

TEST(ColumnEdges, of_no_columns_bound_no_block) {
    EXPECT_EQ(column_edges(0, 4, 4), (Edges{0}));
}

}  // namespace
}  // namespace crossweep::linalg
