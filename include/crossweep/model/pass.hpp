// What the parts of a transformer share while inputs pass through them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crossweep/core/strong_id.hpp"
#include "crossweep/linalg/matmul_engine.hpp"
#include "crossweep/linalg/matrix.hpp"
#include "crossweep/model/architecture.hpp"

namespace crossweep::model {

/// A token of a text: its number in the vocabulary, its place in the text, its segment.
struct TextToken {
    std::uint32_t id = 0, position = 0, segment = 0;
};

/// An image or a text: its number in the data set, which names its noise, and what the model takes of it.
struct Input {
    ImageId id;
    std::span<const float> pixels = {};      ///< of an image [channels, image_size, image_size], normalised
    std::span<const TextToken> tokens = {};  ///< of a text, masked ones left out
};

/// Memory for the activations of a batch; one per thread, reused from batch to batch. Only `residual` and
/// `kept` outlive a layer.
struct Activations {
    std::vector<linalg::Matrix> residual;          ///< [input], each [tokens, width]
    std::vector<std::vector<std::uint32_t>> kept;  ///< [input] place in the input of every row of `residual`
    linalg::Scratch patches, convolved, normalised, qkv, scores, attention, projected, hidden, logits;
};

/// A layer of perceptrons: a stationary weight by its number, and its bias, if it has one.
struct Linear {
    std::size_t weight = 0;
    std::span<const float> bias;  ///< [outputs]
};

struct LayerNorm {
    std::span<const float> weight, bias;  ///< [width]
};

/// One way through a model.
struct Pass {
    const Architecture& architecture;
    linalg::MatmulEngine& engine;
    Activations& work;

    /// What stands before and behind the blocks counts as the layer behind the last block.
    LayerId outside_blocks() const { return LayerId(static_cast<std::uint32_t>(architecture.depth)); }
    /// y = `norm` of x, row by row. y is not x.
    void normalise(LayerId layer, const LayerNorm& norm, const linalg::ConstMatrixView& x,
                   linalg::MatrixView y) const {
        engine.layer_norm(layer, x, {norm.weight, norm.bias, architecture.layer_norm_epsilon}, y);
    }
};

}  // namespace crossweep::model
