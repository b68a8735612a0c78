// What a model asks of the machine: products and arrays of every operand and block, as `inspect` tells them.
#pragma once

#include <cstdint>
#include <vector>

#include "crossweep/crossbar/array_count.hpp"
#include "crossweep/model/transformer.hpp"

namespace crossweep::app {

/// As many matrices of one operand that have the same shape.
struct EqualMatrices {
    std::size_t count = 0;
    Eigen::Index rows = 0, columns = 0;  ///< weights [outputs, inputs]; K and V [tokens, width]
};

struct OperandSize {
    linalg::Role role;
    bool is_digital = false;  ///< by default
    std::vector<EqualMatrices> matrices;
    std::uint64_t multiply_accumulates = 0;  ///< per input with the most tokens
    std::uint64_t arrays = 0;
};

struct BlockSize {
    std::size_t tokens = 0;
    std::uint64_t attention_arrays = 0;  ///< of W_Q, W_K, W_V, K and V
    std::uint64_t arrays = 0;
    bool operator==(const BlockSize&) const = default;
};

struct ModelSize {
    std::vector<OperandSize> operands;  ///< those that the model has, in the order of the computation
    std::vector<BlockSize> blocks;
    std::uint64_t arrays = 0;  ///< of the operands that are not digital by default
};

ModelSize size_of(const model::Transformer& network, const crossbar::ArrayCounter& count);

}  // namespace crossweep::app
