// The cost of a model by length and operation, as text and as JSON (docs/cost.md has the fields).
#pragma once

#include <span>
#include <string>

#include "crossweep/cost/roofline.hpp"

namespace crossweep::app {

/// Each length, then the operations of the longest.
std::string cost_text(const cost::TransformerShape& shape, std::span<const std::size_t> lengths,
                      std::span<const cost::Hardware> machines);

std::string cost_json(const cost::TransformerShape& shape, std::span<const std::size_t> lengths,
                      std::span<const cost::Hardware> machines);

}  // namespace crossweep::app
