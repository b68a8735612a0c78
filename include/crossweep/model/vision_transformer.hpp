// Vision transformers with timm's names and layout (ViT, DeiT), read from safetensors. Knows no crossbar.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crossweep/core/strong_id.hpp"
#include "crossweep/io/safetensors.hpp"
#include "crossweep/linalg/matmul_engine.hpp"
#include "crossweep/linalg/matrix.hpp"

namespace crossweep::model {

/// The network as numbers. All but `heads` and `image_size`'s split into rows and columns follow from tensor
/// shapes.
struct Architecture {
    std::size_t image_size = 0;  ///< pixels per side; images are square
    std::size_t patch_size = 0;
    std::size_t channels = 0;
    std::size_t tokens = 0;  ///< patches + class token
    std::size_t width = 0;   ///< D
    std::size_t depth = 0;
    std::size_t heads = 0;  ///< H; E = D / H
    std::size_t mlp_width = 0;
    std::size_t classes = 0;
    float layer_norm_epsilon = 1e-6F;

    std::size_t head_width() const { return width / heads; }
    std::uint64_t parameters() const;
    /// Multiply-accumulate operations per image, without softmax, norms and biases; of all layers of a role,
    /// and of all roles.
    std::uint64_t multiply_accumulates(linalg::Role role) const;
    std::uint64_t multiply_accumulates() const;
};

/// Per-channel normalisation of pixels scaled to [0, 1].
struct Normalisation {
    std::vector<double> mean, std;
};

/// An image to be classified: its number, which names its noise, and its pixels [channels, image_size,
/// image_size], normalised.
struct Image {
    ImageId id;
    std::span<const float> pixels;
};

/// Sees A = softmax(Q K^T / sqrt(E)) V, [tokens, width], of every layer and image as it is computed. `image`
/// is the place in the batch.
using AttentionObserver =
    std::function<void(std::size_t image, LayerId layer, const linalg::ConstMatrixView& attention)>;

/// Memory for the activations of a batch; one per thread, reused from batch to batch. Only `residual`
/// outlives a layer.
struct Activations {
    std::vector<linalg::Matrix> residual;  ///< [image]
    linalg::Matrix patches, normalised, qkv, scores, attention, projected, hidden;
};

/// Place of a weight of a block among `stationary_weights`: qkv (by its first role, query), projection, fc1,
/// fc2.
constexpr std::size_t weight_index(std::size_t block, linalg::Role first_role) {
    const auto role = static_cast<std::size_t>(first_role);
    return 4 * block + (role == 0 ? 0 : role - static_cast<std::size_t>(linalg::Role::value));
}

class VisionTransformer {
  public:
    /// Read the architecture from shapes and metadata and check every tensor. `heads` of 0: the metadata's
    /// num_heads, else width / 64 (timm's DeiT and ViT). Throws DataError listing all missing tensors, wrong
    /// shapes and NaNs. `file` must outlive the model.
    VisionTransformer(const io::Safetensors& file, std::size_t heads);

    const Architecture& architecture() const { return architecture_; }
    /// Weights that `forward` multiplies by: qkv, projection, fc1, fc2 of each block, then the patch
    /// embedding and the classifier head (layer 0).
    std::span<const linalg::StationaryWeight> stationary_weights() const { return stationary_; }
    /// What the file's metadata says, if it does.
    const std::optional<Normalisation>& normalisation() const { return normalisation_; }

    /// logits [image, classes] of a batch. All products go through `engine`, one image at a time, so that no
    /// result depends on the batch; softmax, LayerNorm, GELU, biases and residuals are digital. All images
    /// pass a layer before the next layer begins: its weights come from memory once for the batch.
    void forward(std::span<const Image> images, linalg::MatmulEngine& engine, Activations& activations,
                 const AttentionObserver& observe, linalg::MatrixView logits) const;

  private:
    struct LayerNorm {
        std::span<const float> weight, bias;
    };
    struct Block {
        LayerNorm norm1, norm2;
        std::span<const float> qkv_bias, projection_bias, fc1_bias, fc2_bias;
    };

    class Loader;
    std::size_t embedding_index() const { return 4 * architecture_.depth; }
    std::size_t head_index() const { return embedding_index() + 1; }
    void embed(std::span<const float> pixels, linalg::MatmulEngine& engine, Activations& activations,
               linalg::Matrix& residual) const;
    /// `observe` gets the attention of one image.
    void attend(std::size_t block, linalg::MatmulEngine& engine, Activations& activations,
                linalg::Matrix& residual,
                const std::function<void(const linalg::ConstMatrixView&)>& observe) const;
    void feed_forward(std::size_t block, linalg::MatmulEngine& engine, Activations& activations,
                      linalg::Matrix& residual) const;
    void classify(linalg::MatmulEngine& engine, Activations& activations, const linalg::Matrix& residual,
                  std::span<float> logits) const;

    Architecture architecture_;
    std::optional<Normalisation> normalisation_;
    std::span<const float> class_token_, position_, patch_bias_, head_bias_;
    LayerNorm norm_;
    std::vector<Block> blocks_;
    std::vector<linalg::StationaryWeight> stationary_;
};

}  // namespace crossweep::model
