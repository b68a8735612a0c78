// A matrix cut into rectangular blocks.
#pragma once

#include <Eigen/Core>
#include <vector>

#include "crossweep/linalg/matmul_engine.hpp"

namespace crossweep::linalg {

/// Bands of `rows` rows (fewer at the end), all cut at the same columns.
struct Blocks {
    Eigen::Index rows = 0;                   ///< rows of one band
    std::vector<Eigen::Index> column_edges;  ///< 0, ..., columns
};

/// K or V [tokens, width] by attention heads.
Blocks head_blocks(Eigen::Index tokens, Eigen::Index width, Eigen::Index head_width);

/// K or V by crossbar columns. K is written transposed: a column is a token of K in one head, and a channel
/// of V.
Blocks output_blocks(Role written, Eigen::Index tokens, Eigen::Index width, Eigen::Index head_width);

/// 0, step, 2 step, ..., restarting at every multiple of `section`, up to `columns`.
std::vector<Eigen::Index> column_edges(Eigen::Index columns, Eigen::Index section, Eigen::Index step);

}  // namespace crossweep::linalg
