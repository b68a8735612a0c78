// One block of a transformer: attention, then two layers of perceptrons, each added to what came in.
#pragma once

#include <array>
#include <functional>
#include <utility>

#include "crossweep/model/pass.hpp"

namespace crossweep::model {

/// K and V of a text so far, layer by layer: what a decoder need not compute again.
class KeyValueCache {
  public:
    explicit KeyValueCache(const Architecture& architecture);

    std::size_t tokens() const { return tokens_; }
    /// Add rows to K and V of `layer`; gives all of each. They count as tokens from `advance` on.
    std::pair<linalg::ConstMatrixView, linalg::ConstMatrixView> append(LayerId layer,
                                                                       const linalg::ConstMatrixView& keys,
                                                                       const linalg::ConstMatrixView& values);
    void advance(std::size_t tokens) { tokens_ += tokens; }

  private:
    struct Layer {
        linalg::Matrix keys, values;  ///< [most tokens, width]
    };
    std::vector<Layer> layers_;
    std::size_t tokens_ = 0;
};

/// Sees softmax(Q K^T / sqrt(E)) V, [tokens, width].
using SeeAttention = std::function<void(const linalg::ConstMatrixView&)>;

struct Block {
    LayerId layer;
    LayerNorm attention_norm, mlp_norm;
    std::size_t qkv = 0, projection = 0, mlp_in = 0, mlp_out = 0;  ///< numbers of the stationary weights
    std::array<std::span<const float>, 3> qkv_bias;                ///< empty if the model has none
    std::span<const float> projection_bias, mlp_in_bias, mlp_out_bias;

    /// Pass `residual` [tokens, width] through the block. With a `cache`, its rows follow the tokens there.
    void run(const Pass& pass, linalg::Matrix& residual, KeyValueCache* cache, const SeeAttention& see) const;

  private:
    /// What a branch of the block reads.
    linalg::ConstMatrixView branch_input(const Pass& pass, const LayerNorm& norm,
                                         const linalg::Matrix& residual) const;
    /// Add what a branch gives to `residual`.
    void add_branch(const Pass& pass, std::span<const float> bias, const LayerNorm& norm,
                    linalg::MatrixView branch, linalg::Matrix& residual) const;
    void attend(const Pass& pass, linalg::Matrix& residual, KeyValueCache* cache,
                const SeeAttention& see) const;
    void feed_forward(const Pass& pass, linalg::Matrix& residual) const;
};

}  // namespace crossweep::model
