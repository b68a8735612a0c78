// Which tokens go on: DynamicViT (Rao et al., arXiv 2106.02034, section 3.2), as at inference.
#pragma once

#include <array>

#include "crossweep/model/pass.hpp"

namespace crossweep::model {

/// A small network that scores every patch token; the best go on.
struct TokenPredictor {
    TokenCut cut;
    LayerNorm norm;
    Linear local;                 ///< D -> D
    std::array<Linear, 3> score;  ///< D -> D / 2 -> D / 4 -> 2

    /// Leave the class token and the `cut.patches` best others in `residual` [tokens, width] and `kept`
    /// [tokens], in the order that they had. Of equal scores the token that comes first is kept.
    void apply(const Pass& pass, linalg::Matrix& residual, std::vector<std::uint32_t>& kept) const;
};

}  // namespace crossweep::model
