// What a transformer computes and what it moves, from its shape alone: the counts behind a roofline.
//
// The method of "Full Stack Optimization of Transformer Inference" (arXiv 2302.14017), whose totals are
// published there and in "AI and Memory Wall" (arXiv 2403.14123): an element is one byte, a multiplication
// and an addition are two operations, every operation reads its operands once and writes its outputs once. An
// encoder sees all tokens at once; a decoder generates them one by one with a cache of keys and values, so
// that every token moves all weights. Embedding and head are not counted. How fast a machine is at it is
// decided in roofline.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace crossweep::cost {

/// Bytes of an element, in all counts.
inline constexpr double element_B = 1;

enum class Kind { encoder, decoder };

struct TransformerShape {
    std::string name;
    Kind kind = Kind::encoder;
    std::size_t depth = 0;  ///< blocks
    std::size_t width = 0;
    std::size_t heads = 0;
    std::size_t mlp_width = 0;
    std::size_t most_tokens = 0;  ///< that it has positions for
    /// [block] of the input's tokens, those that the block sees: of models that drop some. Empty: all.
    std::vector<double> kept_tokens;
};

/// The classes of operations; `operation_names` in the same order.
enum class Operation { projections, query_key, softmax, probability_value, feed_forward, rest };
inline constexpr std::size_t operation_count = 6;
inline constexpr std::array<std::string_view, operation_count> operation_names{
    "projections", "query_key", "softmax", "probability_value", "feed_forward", "rest"};

/// Of one class, or summed over classes. Bytes by what they are, since machines differ in what they must
/// move.
struct OperationCost {
    double flop = 0;
    double weights_B = 0;
    double cache_B = 0;  ///< keys and values of earlier tokens that a decoder reads again
    double activations_B = 0;
    /// Products of a vector with matrices that stand ready, one after the other; those that can go on
    /// together, as of Q, K and V or of all heads, count once. 0 of what is no matrix product.
    double vector_products = 0;

    double moved_B() const { return weights_B + cache_B + activations_B; }
    double intensity_flop_per_B() const { return flop / moved_B(); }
};

OperationCost operator+(const OperationCost& a, const OperationCost& b);

/// [operation] of all blocks
using TransformerCost = std::array<OperationCost, operation_count>;

/// Counts for an encoder's pass over `tokens` tokens, or for a decoder that generates that many. Limits of
/// the model are for the caller to keep: counts go on beyond them.
TransformerCost count_operations(const TransformerShape& shape, std::size_t tokens);

OperationCost total(const TransformerCost& cost);

}  // namespace crossweep::cost
