// Shapes of published transformers by name, so that their cost can be asked for without their weights.
#pragma once

#include <span>
#include <string_view>

#include "crossweep/cost/memory_wall.hpp"

namespace crossweep::cost {

std::span<const TransformerShape> published_shapes();

/// The shape of that name, or null. Capitals and hyphens do not matter: GPT-2 is gpt2.
const TransformerShape* find_published_shape(std::string_view name);

}  // namespace crossweep::cost
