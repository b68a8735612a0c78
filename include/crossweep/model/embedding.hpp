// From an input to its tokens: patches of images, with or without a stem of convolutions, and words.
#pragma once

#include <optional>
#include <vector>

#include "crossweep/model/pass.hpp"

namespace crossweep::model {

class Embedding {
  public:
    virtual ~Embedding() = default;
    /// Give `residual` [tokens, width] of `input`.
    virtual void embed(const Pass& pass, const Input& input, linalg::Matrix& residual) const = 0;
};

/// A square convolution as a product: its weight [out channels, in channels · kernel · kernel] times patches.
struct Convolution {
    std::size_t weight = 0;  ///< its number among the stationary weights
    std::size_t in_side = 0, in_channels = 0;
    std::size_t out_channels = 0;
    std::size_t kernel = 1, stride = 1, padding = 0;
    std::span<const float> bias;  ///< [out channels]

    std::size_t out_side() const { return (in_side + 2 * padding - kernel) / stride + 1; }
};

/// The patch embedding of a ViT: a convolution that cuts patches, perhaps behind others (LV-ViT, arXiv
/// 2104.10858, section 3.1: each with a batch norm, here folded into weight and bias, and a ReLU).
struct ImageEmbedding final : Embedding {
    std::vector<Convolution> stem;
    Convolution patches;
    std::span<const float> class_token, position;  ///< [width], [tokens · width]

    void embed(const Pass& pass, const Input& input, linalg::Matrix& residual) const override;
};

/// The sum of a token's rows of three tables (Devlin et al., arXiv 1810.04805, Figure 2); GPT-2 knows no
/// segments and no norm.
struct TextEmbedding final : Embedding {
    std::span<const float> words, positions, segments;  ///< [vocabulary · width], [tokens · width], …
    std::optional<LayerNorm> norm;

    void embed(const Pass& pass, const Input& input, linalg::Matrix& residual) const override;
};

}  // namespace crossweep::model
