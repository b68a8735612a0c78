#include "model_size.hpp"

#include <algorithm>
#include <array>

#include "crossweep/config/study.hpp"

namespace crossweep::app {

using Eigen::Index;
using linalg::Role;

namespace {

constexpr std::array matrices_in_order{
    Role::embedding,  Role::query,  Role::key,     Role::value,    Role::written_keys, Role::written_values,
    Role::projection, Role::mlp_in, Role::mlp_out, Role::selector, Role::head};
static_assert(matrices_in_order.size() == linalg::role_count - 3);  // but for the functions

bool stands_in_block(Role role) {
    return role != Role::embedding && role != Role::head && role != Role::selector;
}

bool is_attention(Role role) {
    return role == Role::query || role == Role::key || role == Role::value || linalg::is_written(role);
}

/// Adds one matrix to its operand, and to its block if it stands in one.
struct Adder {
    ModelSize& size;

    void operator()(OperandSize& operand, std::size_t block, Index rows, Index columns,
                    std::uint64_t arrays) const {
        const auto is_equal = [&](const EqualMatrices& other) {
            return other.rows == rows && other.columns == columns;
        };
        auto equal = std::ranges::find_if(operand.matrices, is_equal);
        if (equal == operand.matrices.end())
            equal = operand.matrices.insert(equal, EqualMatrices{0, rows, columns});
        ++equal->count;
        operand.arrays += arrays;
        if (!stands_in_block(operand.role)) return;
        size.blocks[block].arrays += arrays;
        if (is_attention(operand.role)) size.blocks[block].attention_arrays += arrays;
    }
};

}  // namespace

ModelSize size_of(const model::Transformer& network, const crossbar::ArrayCounter& count) {
    const model::Architecture& a = network.architecture();
    ModelSize size;
    for (std::size_t block = 0; block < a.depth; ++block)
        size.blocks.push_back({.tokens = a.tokens_in_block(block)});
    const Adder add{size};
    const auto width = static_cast<Index>(a.width), head_width = static_cast<Index>(a.head_width());
    for (const Role role : matrices_in_order) {
        const bool is_digital =
            config::default_fidelity_of[static_cast<std::size_t>(role)] == config::OperandFidelity::digital;
        OperandSize operand{role, is_digital, {}, network.multiply_accumulates(role), 0};
        for (const linalg::StationaryWeight& weight : network.stationary_weights()) {
            for (std::size_t i = 0; i < weight.parts; ++i) {
                if (linalg::role_of_part(weight, i) != role) continue;
                const auto matrix = linalg::part_of(weight, i);
                add(operand, weight.layer.value(), matrix.rows(), matrix.cols(),
                    count.of_weight(role, matrix.rows(), matrix.cols(), head_width));
            }
        }
        for (std::size_t block = 0; linalg::is_written(role) && block < a.depth; ++block) {
            const auto tokens = static_cast<Index>(size.blocks[block].tokens);
            add(operand, block, tokens, width, count.of_written(role, tokens, width, head_width));
        }
        if (operand.matrices.empty()) continue;
        if (!is_digital) size.arrays += operand.arrays;
        size.operands.push_back(std::move(operand));
    }
    return size;
}

}  // namespace crossweep::app
