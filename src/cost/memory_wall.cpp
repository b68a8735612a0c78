#include "crossweep/cost/memory_wall.hpp"

#include <cmath>
#include <numeric>

#include "crossweep/core/error.hpp"

namespace crossweep::cost {
namespace {

// Normalisations, residual sums, GELU and biases, by element of [tokens, width]. assumption: the papers give
// no formula; these integers are fitted to their totals, in which feed-forward is four times as wide as the
// model.
constexpr double rest_flop = 58;
constexpr double encoder_rest_B = 17;
constexpr double decoder_rest_B = 22;
// Scale and shift of two normalisations, by column: what the published intensities of BERT-Base show beside
// the 17 (159.68 at 128 tokens, where 159.72 would be without). A decoder has them at every token, among
// the 22.
constexpr double norm_parameters_B = 4;

OperationCost& of(Operation operation, TransformerCost& cost) {
    return cost[static_cast<std::size_t>(operation)];
}

// Legend of both: d width, h heads, f width of feed-forward, l tokens.

/// One block that sees l tokens at once. A product of an output [l, n] with inner dimension k takes 2k - 1
/// operations per element; with the bias of a linear layer 2k.
TransformerCost encoder_block(double d, double h, double f, double l) {
    TransformerCost cost;
    // Q, K, V and the projection of their outcome: a weight [d, d], input and output [l, d] each.
    of(Operation::projections, cost) = {8 * d * d * l, 4 * d * d, 0, 4 * 2 * l * d, 2 * l};
    // Per head [l, d/h] x [d/h, l] -> [l, l]
    of(Operation::query_key, cost) = {h * (2 * d / h - 1) * l * l, 0, 0, 2 * l * d + h * l * l, l};
    // Four operations an element, as the published totals have it; read and written once.
    of(Operation::softmax, cost) = {4 * h * l * l, 0, 0, 2 * h * l * l, 0};
    // Per head [l, l] x [l, d/h] -> [l, d/h]
    of(Operation::probability_value, cost) = {h * (2 * l - 1) * (d / h) * l, 0, 0, h * l * l + 2 * l * d, l};
    of(Operation::feed_forward, cost) = {4 * d * f * l, 2 * d * f, 0, 2 * l * (d + f), 2 * l};
    of(Operation::rest, cost) = {rest_flop * l * d, 0, 0, encoder_rest_B * l * d + norm_parameters_B * d, 0};
    return cost;
}

/// One block that generates l tokens, summed over them: token t meets t keys and values, on average l / 2.
TransformerCost decoder_block(double d, double h, double f, double l) {
    TransformerCost cost;
    of(Operation::projections, cost) = {8 * d * d * l, 4 * d * d * l, 0, 4 * 2 * d * l, 2 * l};
    // Query in, key into the cache, keys of all tokens so far, scores out.
    of(Operation::query_key, cost) = {l * l * d, 0, l * l / 2 * d, 2 * d * l + l * l / 2 * h, l};
    of(Operation::softmax, cost) = {2 * h * l * l, 0, 0, h * l * l, 0};
    // Value into the cache, values of all tokens so far, output. The published totals have no room for
    // reading the probabilities, so they are taken as softmax leaves them.
    of(Operation::probability_value, cost) = {l * l * d, 0, l * l / 2 * d, 2 * d * l, l};
    of(Operation::feed_forward, cost) = {4 * d * f * l, 2 * d * f * l, 0, 2 * (d + f) * l, 2 * l};
    of(Operation::rest, cost) = {rest_flop * l * d, 0, 0, decoder_rest_B * l * d, 0};
    return cost;
}

TransformerCost block_cost(const TransformerShape& shape, double tokens) {
    const auto width = static_cast<double>(shape.width), heads = static_cast<double>(shape.heads),
               mlp_width = static_cast<double>(shape.mlp_width);
    return shape.kind == Kind::encoder ? encoder_block(width, heads, mlp_width, tokens)
                                       : decoder_block(width, heads, mlp_width, tokens);
}

}  // namespace

OperationCost operator+(const OperationCost& a, const OperationCost& b) {
    return {a.flop + b.flop, a.weights_B + b.weights_B, a.cache_B + b.cache_B,
            a.activations_B + b.activations_B, a.vector_products + b.vector_products};
}

TransformerCost count_operations(const TransformerShape& shape, std::size_t tokens) {
    CROSSWEEP_EXPECT(shape.heads > 0 &&
                     (shape.kept_tokens.empty() || shape.kept_tokens.size() == shape.depth));
    TransformerCost all{};
    for (std::size_t block = 0; block < shape.depth; ++block) {
        const double kept = shape.kept_tokens.empty() ? 1 : shape.kept_tokens[block];
        const TransformerCost one = block_cost(shape, std::round(kept * static_cast<double>(tokens)));
        for (std::size_t i = 0; i < operation_count; ++i) all[i] = all[i] + one[i];
    }
    return all;
}

OperationCost total(const TransformerCost& cost) {
    return std::accumulate(cost.begin(), cost.end(), OperationCost{});
}

}  // namespace crossweep::cost
