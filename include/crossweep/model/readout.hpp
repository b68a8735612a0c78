// From the last block's tokens to logits.
#pragma once

#include <optional>

#include "crossweep/model/pass.hpp"

namespace crossweep::model {

class Readout {
  public:
    virtual ~Readout() = default;
    /// Logits of one input with `residual` [tokens, width]: [1, classes], or [tokens, vocabulary] of a
    /// language model; valid until the next call.
    virtual linalg::MatrixView read(const Pass& pass, const linalg::Matrix& residual) const = 0;
};

/// The class token, normalised, through the classifier; LV-ViT adds half of the largest logits that any patch
/// token gets from a classifier of its own (arXiv 2104.10858, section 3.2).
struct ClassTokenReadout final : Readout {
    LayerNorm norm;
    Linear head;
    std::optional<Linear> auxiliary;

    linalg::MatrixView read(const Pass& pass, const linalg::Matrix& residual) const override;
};

/// The first token through BERT's pooler, tanh(W x + b), then the classifier.
struct PooledReadout final : Readout {
    Linear pooler, head;

    linalg::MatrixView read(const Pass& pass, const linalg::Matrix& residual) const override;
};

/// Every token, normalised, against the whole vocabulary (GPT-2).
struct NextTokenReadout final : Readout {
    LayerNorm norm;
    Linear head;

    linalg::MatrixView read(const Pass& pass, const linalg::Matrix& residual) const override;
};

}  // namespace crossweep::model
