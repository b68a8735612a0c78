// What a transformer computes for one input, from its published shape alone: for models whose weights are not
// at hand, or too large to simulate.
#pragma once

#include "crossweep/cost/memory_wall.hpp"
#include "crossweep/trial/demand.hpp"

namespace crossweep::app {

/// Of the blocks; embedding and head are not counted, as elsewhere in `crossweep cost`. Decoders see all
/// tokens of a given text at once, as the simulation of them does.
trial::ModelShapes shapes_of(const cost::TransformerShape& shape, std::size_t tokens);

}  // namespace crossweep::app
