#include "model_to_cost.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <filesystem>

#include "crossweep/cost/published_shapes.hpp"
#include "published_demand.hpp"

namespace crossweep::app {

using cost::TransformerShape;

namespace {

constexpr std::size_t longest = std::size_t{1} << 30;

TransformerShape shape_of(const model::Architecture& a, const std::string& name) {
    TransformerShape shape{name,     a.causal ? cost::Kind::decoder : cost::Kind::encoder,
                           a.depth,  a.width,
                           a.heads,  a.mlp_width,
                           a.tokens, {}};
    for (std::size_t block = 0; !a.cuts.empty() && block < a.depth; ++block)
        shape.kept_tokens.push_back(static_cast<double>(a.tokens_in_block(block)) /
                                    static_cast<double>(a.tokens));
    return shape;
}

/// A whole number from 1 to `longest`, or 0.
std::size_t read_length(std::string_view text) {
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    const bool is_whole = error == std::errc{} && end == text.data() + text.size();
    return is_whole && length <= longest ? length : 0;
}

/// "128" alone, or "128:1024": 128 and its doubles up to 1024.
void append_lengths(std::string_view text, std::vector<std::size_t>& lengths) {
    const auto colon = text.find(':');
    const std::size_t first = read_length(text.substr(0, colon));
    const std::size_t last = colon == text.npos ? first : read_length(text.substr(colon + 1));
    if (first == 0 || last < first) {
        throw UsageError(
            fmt::format("--lengths {} is not a number of tokens from 1 to {}, nor a range from:to. "
                        "Write, for example, --lengths 128,256 or --lengths 128:4096.",
                        text, longest));
    }
    for (std::size_t length = first; length <= last; length *= 2) lengths.push_back(length);
}

}  // namespace

ModelToCost ModelToCost::find(const std::string& name_or_weights, const model::LoadOptions& load) {
    if (const auto* published = cost::find_published_shape(name_or_weights)) return ModelToCost(*published);
    if (!std::filesystem::exists(name_or_weights)) {
        std::vector<std::string_view> names;
        for (const TransformerShape& shape : cost::published_shapes()) names.push_back(shape.name);
        throw UsageError(
            fmt::format("--model {} is neither a published model nor a file. Give the path of "
                        "weights, or one of {}.",
                        name_or_weights, fmt::join(names, ", ")));
    }
    return {std::filesystem::path(name_or_weights), load};
}

ModelToCost::ModelToCost(const std::filesystem::path& weights, const model::LoadOptions& load)
    : file_(std::make_shared<const io::Safetensors>(weights)),
      network_(std::make_shared<const model::Transformer>(*file_, load)) {
    shape_ = shape_of(network_->architecture(), weights.string());
}

trial::ModelShapes ModelToCost::shapes(std::size_t tokens) const {
    if (!network_) return shapes_of(shape_, tokens);
    const model::Architecture& a = network_->architecture();
    if (a.takes_images() && tokens != a.tokens)
        throw UsageError(
            fmt::format("An image of {} has {} tokens, and --lengths asks for {}. Leave --lengths out.",
                        shape_.name, a.tokens, tokens));
    if (tokens > a.tokens)
        throw UsageError(fmt::format(
            "{} tokens are beyond the {} that {} has positions for, and --beyond counts for named "
            "models alone where there is a study. Give smaller --lengths.",
            tokens, a.tokens, shape_.name));
    return trial::shapes_of(*network_, tokens);
}

std::vector<std::size_t> lengths_of(const CostOptions& options, const TransformerShape& shape) {
    std::vector<std::size_t> lengths;
    for (const std::string& text : options.lengths) append_lengths(text, lengths);
    if (lengths.empty()) lengths.push_back(shape.most_tokens);
    for (const std::size_t length : lengths) {
        if (length > shape.most_tokens && !options.beyond)
            throw UsageError(
                fmt::format("{} tokens are beyond the {} that {} has positions for. Give smaller "
                            "--lengths, or --beyond to count as if it had more.",
                            length, shape.most_tokens, shape.name));
    }
    return lengths;
}

}  // namespace crossweep::app
