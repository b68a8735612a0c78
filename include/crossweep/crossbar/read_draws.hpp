// Names the draws of read noise of one product.
#pragma once

#include <cstdint>

#include "crossweep/core/noise_stream.hpp"
#include "crossweep/linalg/matmul_engine.hpp"

namespace crossweep::crossbar {

/// Row `row` of a product's outputs draws from `identity(row)`; rows of attention products carry their head.
struct ReadDraws {
    StreamKey key;
    NoiseSite site;
    LayerId layer;
    linalg::Role role;
    std::uint32_t image;  ///< image index + 1
    std::uint32_t first_row = 0;

    DrawIdentity identity(Eigen::Index row) const {
        return draw_identity(site, layer, static_cast<std::uint32_t>(role), image,
                             first_row + static_cast<std::uint32_t>(row));
    }
};

}  // namespace crossweep::crossbar
