// Transformers as they are published (docs/models.md), read from safetensors. Knows no crossbar.
//
// A model is an embedding, blocks, predictors that drop tokens between them, and a readout. A family is a
// file in src/model that puts them together from tensors of its names.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "crossweep/core/error.hpp"
#include "crossweep/io/safetensors.hpp"
#include "crossweep/model/block.hpp"
#include "crossweep/model/embedding.hpp"
#include "crossweep/model/readout.hpp"
#include "crossweep/model/token_predictor.hpp"

namespace crossweep::model {

/// Per-channel normalisation of pixels scaled to [0, 1].
struct Normalisation {
    std::vector<double> mean, std;
};

/// What a file of weights may leave open.
struct LoadOptions {
    std::size_t heads = 0;  ///< 0: the metadata's num_heads, else width / 64
    double keep_ratio = 0;  ///< of DynamicViT's first predictor; 0: the metadata's keep_ratios, else 0.7
};

/// A = softmax(Q K^T / sqrt(E)) V of one layer as it is computed.
struct AttentionOutput {
    std::size_t image;  ///< place in the batch
    LayerId layer;
    linalg::ConstMatrixView values;         ///< [tokens, width]
    std::span<const std::uint32_t> tokens;  ///< [tokens] place of each row in the input
};

using AttentionObserver = std::function<void(const AttentionOutput&)>;

/// Takes the logits of one input of a batch, by its place: [1, classes], or [tokens, vocabulary].
using LogitsSink = std::function<void(std::size_t image, const linalg::MatrixView& logits)>;

/// What a family puts together.
struct TransformerParts {
    Architecture architecture;
    std::optional<Normalisation> normalisation;
    std::vector<linalg::StationaryWeight> stationary;
    std::unique_ptr<const Embedding> embedding;
    std::vector<Block> blocks;
    std::vector<TokenPredictor> predictors;  ///< ascending blocks
    std::unique_ptr<const Readout> readout;
    std::vector<std::vector<float>> made;  ///< weights that the file does not have as they are used
    std::uint64_t parameters = 0;
};

/// A file that is no whole model of a family.
class NotAModel : public DataError {
  public:
    NotAModel(const std::string& problems, Architecture recognised)
        : DataError(problems), recognised_(std::move(recognised)) {}
    /// What could be told nevertheless: `family` is empty and extents are 0 where they are not known.
    const Architecture& recognised() const { return recognised_; }

  private:
    Architecture recognised_;
};

class Transformer {
  public:
    /// Recognise the family by its tensors, read the architecture from shapes and metadata, and check every
    /// tensor. Throws NotAModel listing everything missing, of a wrong shape, unknown or not finite. `file`
    /// must outlive the model.
    explicit Transformer(const io::Safetensors& file, const LoadOptions& options = {});

    const Architecture& architecture() const { return parts_.architecture; }
    /// Weights that `forward` multiplies by: qkv, projection, fc1, fc2 of each block, then those of
    /// embedding, predictors and readout.
    std::span<const linalg::StationaryWeight> stationary_weights() const { return parts_.stationary; }
    std::uint64_t parameters() const { return parts_.parameters; }
    /// What the file's metadata says, if it does.
    const std::optional<Normalisation>& normalisation() const { return parts_.normalisation; }

    /// Multiply-accumulate operations for an input with the most tokens, without softmax, norms and biases;
    /// of all layers of a role, and of all roles. A causal token meets itself and those before it.
    std::uint64_t multiply_accumulates(linalg::Role role) const;
    std::uint64_t multiply_accumulates() const;

    /// Give `sink` the logits of a batch, one input after the other. All products go through `engine`, one
    /// input at a time, so that no result depends on the batch; everything else is digital. All inputs pass a
    /// layer before the next layer begins: its weights come from memory once for the batch.
    void forward(std::span<const Input> batch, linalg::MatmulEngine& engine, Activations& work,
                 const AttentionObserver& observe, const LogitsSink& sink) const;

    /// Logits [tokens, vocabulary] of further tokens of a text whose earlier ones are in `cache`; valid until
    /// `work` is used again. What `forward` gives of all tokens, row by row, but for the rounding of fresh
    /// read noise (docs/models.md). Of causal models only; throws InternalError beyond the maximum length.
    linalg::MatrixView decode(const Input& further, KeyValueCache& cache, linalg::MatmulEngine& engine,
                              Activations& work) const;

  private:
    TransformerParts parts_;
};

}  // namespace crossweep::model
