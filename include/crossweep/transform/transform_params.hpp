// Parameters of what is done to K and V before they are written.
#pragma once

#include <cstdint>

namespace crossweep::transform {

/// Over which part of K or V the largest magnitude, or a percentile, sets the upper clip.
enum class ClipBlock {
    tensor,  ///< all heads of one image and layer
    head,    ///< one attention head
    column,  ///< one crossbar column: a token of K in one head, a channel of V
};

/// Whether what remains after clipping is stretched over the whole window again.
enum class Rescale {
    none,    ///< as ClipFormer has it
    window,  ///< the upper clip maps to G_max
};

/// Whether the mean over the tokens is taken from every channel of K: the softmax ignores what is added to
/// all scores of a query, so the digital result is the same.
enum class CentreKeys { no, yes };

/// The defaults change nothing.
struct TransformParams {
    CentreKeys centre_keys = CentreKeys::no;
    double alpha = 0;         ///< G <- max(G - alpha G_min, G_min); 0 skips the stage (ClipFormer, 1 and 2)
    double beta = 1;          ///< G <- min(G, beta G_max); 1 skips the stage
    double percentile = 100;  ///< G <- min(G, this percentile of G); 100 skips the stage
    ClipBlock clip_block = ClipBlock::tensor;
    Rescale rescale = Rescale::none;
    std::uint32_t write_verify_iterations = 0;  ///< see device::WriteVerify
    double write_verify_tolerance = 0.05;       ///< of G_max - G_min

    bool operator==(const TransformParams&) const = default;
};

}  // namespace crossweep::transform
