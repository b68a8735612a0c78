#include "crossweep/crossbar/array_count.hpp"

#include "crossweep/core/error.hpp"
#include "crossweep/crossbar/cell_layout.hpp"

namespace crossweep::crossbar {

using Eigen::Index;

ArrayCounter::ArrayCounter(const CrossbarParams& params, std::uint32_t bits_per_cell) : params_(params) {
    CROSSWEEP_EXPECT(params.weight_levels > 0);
    const float largest = Codebook(params.weight_levels).largest;
    const CellLayout layout = cell_layout(Fidelity::sliced, params.mapping, bits_per_cell, largest, largest);
    slices_ = layout.slices;
    columns_per_slice_ = static_cast<std::uint32_t>(layout.planes.size()) / layout.slices;
}

std::uint64_t ArrayCounter::of_weight(linalg::Role role, Index outputs, Index inputs,
                                      Index head_width) const {
    return of_grid(grid_of_weight(params_, role, inputs, head_width), outputs);
}

std::uint64_t ArrayCounter::of_written(linalg::Role role, Index tokens, Index width, Index head_width) const {
    return of_grid(grid_of_written(params_, role, width, head_width), tokens);
}

std::uint64_t ArrayCounter::of_grid(const ArrayGrid& grid, Index rows) const {
    const Tiles tiles = tiles_of(grid, rows);
    return tiles.input_tiles * tiles.output_tiles * slices_;
}

}  // namespace crossweep::crossbar
