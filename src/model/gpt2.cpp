// GPT-2 with the names of Hugging Face: a decoder whose weights are stored [inputs, outputs] (Radford et al.,
// "Language Models are Unsupervised Multitask Learners", 2019).
#include <fmt/format.h>

#include <algorithm>

#include "families.hpp"

namespace crossweep::model {
namespace {

using linalg::Role;

Block block_of(TensorLoader& loader, WeightList& weights, const Architecture& a, const std::string& name,
               std::size_t index) {
    const std::size_t D = a.width, M = a.mlp_width;
    const auto weight = [&](const char* rest, Role role, std::size_t outputs, std::size_t inputs,
                            std::size_t parts) {
        return weights.add_transposed({index, role, 0}, fmt::format("{}{}.weight", name, rest), inputs,
                                      outputs, parts);
    };
    const auto bias = [&](const char* rest, std::size_t size) {
        return loader.floats(fmt::format("{}{}.bias", name, rest), {extent_of(size)});
    };
    Block block;
    block.layer = LayerId(static_cast<std::uint32_t>(index));
    block.attention_norm = loader.layer_norm(name + "ln_1", D);
    block.mlp_norm = loader.layer_norm(name + "ln_2", D);
    block.qkv = weight("attn.c_attn", Role::query, 3 * D, D, 3);
    block.projection = weight("attn.c_proj", Role::projection, D, D, 1);
    block.mlp_in = weight("mlp.c_fc", Role::mlp_in, M, D, 1);
    block.mlp_out = weight("mlp.c_proj", Role::mlp_out, D, M, 1);
    const auto qkv = bias("attn.c_attn", 3 * D);
    for (std::size_t i = 0; i < 3 && !qkv.empty(); ++i) block.qkv_bias[i] = qkv.subspan(i * D, D);
    block.projection_bias = bias("attn.c_proj", D);
    block.mlp_in_bias = bias("mlp.c_fc", M);
    block.mlp_out_bias = bias("mlp.c_proj", D);
    return block;
}

}  // namespace

TransformerParts load_gpt2(TensorLoader& loader, const LoadOptions& options) {
    TransformerParts parts;
    Architecture& a = parts.architecture;
    WeightList weights(loader, parts);
    const std::string gpt = loader.has_any("transformer.") ? "transformer." : "";
    a.family = "GPT-2";
    a.task = Task::language_model;
    a.vocabulary = a.classes = loader.extent(gpt + "wte.weight", 0, 2);
    a.width = loader.extent(gpt + "wte.weight", 1, 2);
    a.tokens = loader.extent(gpt + "wpe.weight", 0, 2);
    a.segments = 1;
    a.depth = loader.count_layers(gpt + "h");
    a.mlp_width = loader.extent(gpt + "h.0.mlp.c_fc.weight", 1, 2);
    a.heads = loader.heads(options.heads, a.width);
    a.layer_norm_epsilon = static_cast<float>(loader.described("layer_norm_eps", 1e-5));
    a.gelu = linalg::Gelu::tanh;
    a.causal = true;
    if (a.depth == 0) loader.problem(fmt::format("there is no tensor \"{}h.0.…\"", gpt));

    for (std::size_t index = 0; index < a.depth; ++index)
        parts.blocks.push_back(block_of(loader, weights, a, fmt::format("{}h.{}.", gpt, index), index));
    const Shape word_table{extent_of(a.vocabulary), extent_of(a.width)};
    auto embedding = std::make_unique<TextEmbedding>();
    embedding->words = loader.floats(gpt + "wte.weight", word_table);
    embedding->positions = loader.floats(gpt + "wpe.weight", {extent_of(a.tokens), extent_of(a.width)});
    const auto embedding_words = embedding->words;
    parts.embedding = std::move(embedding);

    auto readout = std::make_unique<NextTokenReadout>();
    readout->norm = loader.layer_norm(gpt + "ln_f", a.width);
    // The table of words is the classifier, stored once more or not, unless the file has another.
    const auto own = loader.floats_if_any("lm_head.weight", word_table);
    const bool is_tied = std::ranges::equal(own, embedding_words);
    if (is_tied) loader.count_once("lm_head.weight");
    const std::string head = own.empty() || is_tied ? gpt + "wte.weight" : "lm_head.weight";
    readout->head.weight = weights.add({0, Role::head, 0}, head, word_table);
    parts.readout = std::move(readout);
    // Masks that some versions store with each block.
    loader.ignore_if([](const std::string& name) {
        return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
    });
    return parts;
}

}  // namespace crossweep::model
