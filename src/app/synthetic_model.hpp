// A DeiT-S with random weights: the shape that benchmarks run, without a download.
#pragma once

#include <memory>
#include <vector>

#include "crossweep/io/safetensors.hpp"
#include "crossweep/model/vision_transformer.hpp"

namespace crossweep::app {

struct SyntheticModel {
    std::unique_ptr<io::Safetensors> file;
    std::unique_ptr<model::VisionTransformer> network;
    std::vector<float> image;  ///< normalised, random
};

/// Weights of a variance that keeps activations of order one. Uses 88 MB of the temporary directory while it
/// lives.
SyntheticModel make_deit_small();

}  // namespace crossweep::app
