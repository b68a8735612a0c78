// Tiny models of every family with random weights, their inputs, and the logits that PyTorch gives for them.
// Written by tests/model/make_stored.py.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "crossweep/model/transformer.hpp"

namespace crossweep::model {

inline std::filesystem::path stored_model(const std::string& family) {
    return std::filesystem::path(CROSSWEEP_SOURCE_DIR) / "tests/model/stored" / (family + ".safetensors");
}

/// Logits of every input of a batch, each [1, classes] or [tokens, vocabulary].
inline std::vector<linalg::Matrix> logits_of(const Transformer& model, linalg::MatmulEngine& engine,
                                             std::span<const Input> batch,
                                             const AttentionObserver& observe = {}) {
    std::vector<linalg::Matrix> all(batch.size());
    Activations activations;
    model.forward(batch, engine, activations, observe,
                  [&](std::size_t i, const linalg::MatrixView& logits) { all[i] = logits; });
    return all;
}

inline std::vector<linalg::Matrix> digital_logits(const Transformer& model, std::span<const Input> batch) {
    linalg::DigitalEngine engine(model.stationary_weights());
    return logits_of(model, engine, batch);
}

/// Logits of all tokens of `text`, decoded in pieces of `piece` tokens.
inline linalg::Matrix decoded(const Transformer& model, linalg::MatmulEngine& engine, const Input& text,
                              std::size_t piece) {
    Activations activations;
    KeyValueCache cache(model.architecture());
    linalg::Matrix all(static_cast<Eigen::Index>(text.tokens.size()),
                       static_cast<Eigen::Index>(model.architecture().classes));
    while (cache.tokens() < text.tokens.size()) {
        const std::size_t first = cache.tokens(), count = std::min(piece, text.tokens.size() - first);
        const Input further{text.id, {}, text.tokens.subspan(first, count)};
        all.middleRows(static_cast<Eigen::Index>(first), static_cast<Eigen::Index>(count)) =
            model.decode(further, cache, engine, activations);
    }
    return all;
}

/// Largest difference between `found` and `expected` [rows, columns].
inline double largest_difference(const linalg::Matrix& found, const linalg::Matrix& expected) {
    if (found.rows() != expected.rows() || found.cols() != expected.cols()) return HUGE_VAL;
    return static_cast<double>((found - expected).cwiseAbs().maxCoeff());
}

/// A stored model with its inputs: images, or texts without their masked tokens.
class StoredFamily {
  public:
    explicit StoredFamily(const std::string& family, const LoadOptions& options = {})
        : family_(family), file_(stored_model(family)), model_(file_, options) {
        if (model_.architecture().takes_images()) {
            take_images();
        } else {
            take_texts();
        }
    }
    StoredFamily(const StoredFamily&) = delete;
    StoredFamily& operator=(const StoredFamily&) = delete;

    const io::Safetensors& file() const { return file_; }
    const Transformer& model() const { return model_; }
    std::span<const Input> inputs() const { return inputs_; }

    /// Input `i` with its first `tokens` tokens alone.
    Input beginning(std::size_t i, std::size_t tokens) const {
        return {inputs_[i].id, {}, inputs_[i].tokens.first(tokens)};
    }

    /// Tensor `name` of what PyTorch gives, as rows of its last dimension.
    linalg::Matrix expected(const std::string& name) const {
        const std::string key = family_ + "." + name;
        const auto values = expected_.floats(key);
        const auto columns = static_cast<Eigen::Index>(expected_.tensors().at(key).shape.back());
        return Eigen::Map<const linalg::Matrix>(values.data(),
                                                static_cast<Eigen::Index>(values.size()) / columns, columns);
    }

  private:
    void take_images() {
        const auto pixels = expected_.floats(family_ + ".images");
        const Architecture& a = model_.architecture();
        const std::size_t size = a.channels * a.image_size * a.image_size;
        for (std::size_t first = 0; first < pixels.size(); first += size)
            inputs_.push_back({next_id(), pixels.subspan(first, size), {}});
    }

    void take_texts() {
        const linalg::Matrix ids = expected("tokens");
        const bool masked = expected_.tensors().contains(family_ + ".mask");
        const linalg::Matrix mask = masked ? expected("mask") : linalg::Matrix::Ones(ids.rows(), ids.cols());
        const linalg::Matrix segments =
            masked ? expected("segments") : linalg::Matrix::Zero(ids.rows(), ids.cols());
        for (Eigen::Index text = 0; text < ids.rows(); ++text) {
            auto& tokens = tokens_.emplace_back();
            for (Eigen::Index place = 0; place < ids.cols(); ++place) {
                if (mask(text, place) == 0) continue;
                tokens.push_back({static_cast<std::uint32_t>(ids(text, place)),
                                  static_cast<std::uint32_t>(place),
                                  static_cast<std::uint32_t>(segments(text, place))});
            }
        }
        for (const auto& tokens : tokens_) inputs_.push_back({next_id(), {}, tokens});
    }

    ImageId next_id() const { return ImageId(static_cast<std::uint32_t>(inputs_.size())); }

    std::string family_;
    io::Safetensors expected_{stored_model("expected_families")};
    io::Safetensors file_;
    Transformer model_;
    std::vector<std::vector<TextToken>> tokens_;  ///< [text]
    std::vector<Input> inputs_;
};

}  // namespace crossweep::model
