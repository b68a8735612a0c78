// Parameters of what is done to the conductances of K and V before they are written.
#pragma once

namespace crossweep::transform {

/// ClipFormer (arXiv 2402.02586, Algorithm 1). The defaults change nothing.
struct TransformParams {
    double alpha = 0;  ///< G <- max(G - alpha G_min, G_min); 0 skips the stage, the paper uses 1 and 2
    double beta = 1;   ///< G <- min(G, beta G_max); 1 skips the stage

    bool operator==(const TransformParams&) const = default;
};

}  // namespace crossweep::transform
