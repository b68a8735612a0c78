// BERT for sequence classification with the names of Hugging Face (arXiv 1810.04805).
#include <fmt/format.h>

#include "families.hpp"

namespace crossweep::model {
namespace {

using linalg::Role;

/// Q, K and V are three tensors: their weights below each other, as one operand of three parts.
std::size_t add_qkv(TensorLoader& loader, WeightList& weights, std::size_t index, const std::string& self,
                    std::size_t width) {
    std::array<std::span<const float>, 3> tensors;
    constexpr std::array names{"query", "key", "value"};
    for (std::size_t i = 0; i < 3; ++i) {
        tensors[i] =
            loader.floats(fmt::format("{}.{}.weight", self, names[i]), {extent_of(width), extent_of(width)});
    }
    return weights.add_made({index, Role::query, 0}, joined(tensors), width, 3);
}

Block block_of(TensorLoader& loader, WeightList& weights, const Architecture& a, const std::string& name,
               std::size_t index) {
    const std::size_t D = a.width, M = a.mlp_width;
    const auto weight = [&](const std::string& rest, Role role, std::size_t outputs, std::size_t inputs) {
        return weights.add({index, role, 0}, name + rest + ".weight",
                           {extent_of(outputs), extent_of(inputs)});
    };
    const auto bias = [&](const std::string& rest, std::size_t size) {
        return loader.floats(name + rest + ".bias", {extent_of(size)});
    };
    Block block;
    block.layer = LayerId(static_cast<std::uint32_t>(index));
    block.attention_norm = loader.layer_norm(name + "attention.output.LayerNorm", D);
    block.mlp_norm = loader.layer_norm(name + "output.LayerNorm", D);
    block.qkv = add_qkv(loader, weights, index, name + "attention.self", D);
    block.projection = weight("attention.output.dense", Role::projection, D, D);
    block.mlp_in = weight("intermediate.dense", Role::mlp_in, M, D);
    block.mlp_out = weight("output.dense", Role::mlp_out, D, M);
    block.qkv_bias = {bias("attention.self.query", D), bias("attention.self.key", D),
                      bias("attention.self.value", D)};
    block.projection_bias = bias("attention.output.dense", D);
    block.mlp_in_bias = bias("intermediate.dense", M);
    block.mlp_out_bias = bias("output.dense", D);
    return block;
}

}  // namespace

TransformerParts load_bert(TensorLoader& loader, const LoadOptions& options) {
    TransformerParts parts;
    Architecture& a = parts.architecture;
    WeightList weights(loader, parts);
    const std::string bert = loader.has_any("bert.") ? "bert." : "";
    const std::string embeddings = bert + "embeddings.", layers = bert + "encoder.layer";
    a.family = "BERT";
    a.vocabulary = loader.extent(embeddings + "word_embeddings.weight", 0, 2);
    a.width = loader.extent(embeddings + "word_embeddings.weight", 1, 2);
    a.tokens = loader.extent(embeddings + "position_embeddings.weight", 0, 2);
    a.segments = loader.extent(embeddings + "token_type_embeddings.weight", 0, 2);
    a.classes = loader.extent("classifier.weight", 0, 2);
    a.depth = loader.count_layers(layers);
    a.mlp_width = loader.extent(layers + ".0.intermediate.dense.weight", 0, 2);
    a.heads = loader.heads(options.heads, a.width);
    a.layer_norm_epsilon = static_cast<float>(loader.described("layer_norm_eps", 1e-12));
    a.norm = NormPlace::after;
    if (a.depth == 0) loader.problem(fmt::format("there is no tensor \"{}.0.…\"", layers));
    const bool has_classifier = loader.has_any("classifier.");
    if (!has_classifier)
        loader.problem("a BERT without a classifier answers no question (fine-tune it for one first)");

    for (std::size_t index = 0; index < a.depth; ++index) {
        parts.blocks.push_back(block_of(loader, weights, a, fmt::format("{}.{}.", layers, index), index));
    }
    auto embedding = std::make_unique<TextEmbedding>();
    const auto table = [&](const char* name, std::size_t rows) {
        return loader.floats(embeddings + name, {extent_of(rows), extent_of(a.width)});
    };
    embedding->words = table("word_embeddings.weight", a.vocabulary);
    embedding->positions = table("position_embeddings.weight", a.tokens);
    embedding->segments = table("token_type_embeddings.weight", a.segments);
    embedding->norm = loader.layer_norm(embeddings + "LayerNorm", a.width);
    parts.embedding = std::move(embedding);

    auto readout = std::make_unique<PooledReadout>();
    const auto classifier = [&](const std::string& name, std::size_t number, std::size_t outputs) {
        return Linear{
            weights.add({number, Role::head, 1}, name + ".weight", {extent_of(outputs), extent_of(a.width)}),
            loader.floats(name + ".bias", {extent_of(outputs)})};
    };
    if (has_classifier) readout->head = classifier("classifier", 0, a.classes);
    readout->pooler = classifier(bert + "pooler.dense", 1, a.width);
    parts.readout = std::move(readout);
    // Numbers 0, 1, 2, … that some versions store, and the heads of pre-training.
    loader.ignore_if([&](const std::string& name) {
        return name == embeddings + "position_ids" || name.starts_with("cls.");
    });
    return parts;
}

}  // namespace crossweep::model
