// A transformer as numbers: all that its families differ in but the names of their tensors.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "crossweep/linalg/elementwise.hpp"

namespace crossweep::model {

/// What a model is asked for.
enum class Task {
    classification,  ///< one class per input
    language_model,  ///< after every token, which one comes next
};

/// Where a block normalises: what it reads (ViT, GPT-2), or the sum that it leaves (BERT).
enum class NormPlace { before, after };

/// From this block on, an input goes on with its class token and `patches` others.
struct TokenCut {
    std::size_t before_block = 0;
    std::size_t patches = 0;
};

struct Architecture {
    std::string family;  ///< as a reader knows it: "ViT or DeiT", "BERT"
    Task task = Task::classification;

    // Of images, which are square; 0 for texts.
    std::size_t image_size = 0;  ///< pixels per side
    std::size_t patch_size = 0;
    std::size_t channels = 0;
    // Of texts; 0 for images.
    std::size_t vocabulary = 0;
    std::size_t segments = 0;  ///< types of tokens: sentence A and B of BERT

    std::size_t tokens = 0;  ///< of an image (patches and class token), at most of a text
    std::size_t width = 0;   ///< D
    std::size_t depth = 0;
    std::size_t heads = 0;  ///< H; E = D / H
    std::size_t mlp_width = 0;
    std::size_t classes = 0;  ///< of a language model: its vocabulary

    float layer_norm_epsilon = 1e-6F;
    NormPlace norm = NormPlace::before;
    linalg::Gelu gelu = linalg::Gelu::erf;
    float residual_scale = 1;    ///< of every branch before it is added
    bool causal = false;         ///< a token sees itself and those before it alone
    std::vector<TokenCut> cuts;  ///< ascending blocks

    bool takes_images() const { return image_size > 0; }
    std::size_t head_width() const { return width / heads; }
    /// Tokens that `block` sees, of an input with the most tokens.
    std::size_t tokens_in_block(std::size_t block) const;
};

}  // namespace crossweep::model
