// ClipFormer: two clips of the conductances of K and V, after mapping and before noise (arXiv 2402.02586,
// Algorithm 1).
#pragma once

#include <span>

#include "crossweep/core/conductance.hpp"
#include "crossweep/transform/transform_params.hpp"

namespace crossweep::transform {

/// Stage 1: G <- max(G - alpha G_min, G_min), a soft threshold. Stage 2: G <- min(G, beta G_max), a
/// saturation. Nothing is rescaled afterwards. alpha = 0 and beta = 1 skip their stages.
class ClipFormer {
  public:
    ClipFormer(const TransformParams& params, ConductanceWindow window);
    void operator()(std::span<float> conductance_S) const;

  private:
    float shift_S_, floor_S_, ceiling_S_;
};

}  // namespace crossweep::transform
