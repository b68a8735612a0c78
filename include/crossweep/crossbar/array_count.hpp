// How many arrays an operand takes where its codes are cut into slices. Columns that carry signs are left
// out, as in the papers' counts: a pair of columns per weight takes twice as many.
#pragma once

#include <cstdint>

#include "crossweep/crossbar/mapping.hpp"

namespace crossweep::crossbar {

class ArrayCounter {
  public:
    /// `params.weight_levels` must not be 0: continuous weights have no slices.
    ArrayCounter(const CrossbarParams& params, std::uint32_t bits_per_cell);

    std::uint32_t slices() const { return slices_; }
    /// Of one slice of a weight: 2 if signs take a pair, which is not counted below, else 1.
    std::uint32_t columns_per_slice() const { return columns_per_slice_; }

    /// Arrays of a matrix [outputs, inputs] that stays.
    std::uint64_t of_weight(linalg::Role role, Eigen::Index outputs, Eigen::Index inputs,
                            Eigen::Index head_width) const;
    /// Arrays of K or V [tokens, width] of one layer, for one input.
    std::uint64_t of_written(linalg::Role role, Eigen::Index tokens, Eigen::Index width,
                             Eigen::Index head_width) const;

  private:
    std::uint64_t of_grid(const ArrayGrid& grid, Eigen::Index rows) const;

    CrossbarParams params_;
    std::uint32_t slices_ = 1, columns_per_slice_ = 1;
};

}  // namespace crossweep::crossbar
