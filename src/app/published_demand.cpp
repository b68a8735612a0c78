#include "published_demand.hpp"

#include <cmath>

namespace crossweep::app {

using Eigen::Index;
using linalg::Role;

namespace {

/// Everything that a block computes for `tokens` tokens.
void add_block(const cost::TransformerShape& shape, Index tokens, LayerId layer, trial::ModelShapes& shapes) {
    const auto width = static_cast<Index>(shape.width), mlp_width = static_cast<Index>(shape.mlp_width);
    const auto heads = static_cast<Index>(shape.heads), head_width = width / heads;
    for (const Role role : {Role::query, Role::key, Role::value, Role::projection})
        shapes.products.push_back({{role, tokens, width, width, head_width}, {layer}});
    shapes.products.push_back({{Role::mlp_in, tokens, mlp_width, width, head_width}, {layer}});
    shapes.products.push_back({{Role::mlp_out, tokens, width, mlp_width, head_width}, {layer}});
    for (const Role role : {Role::written_keys, Role::written_values})
        shapes.written.push_back({{role, tokens, tokens, width, head_width}, {layer}});
    shapes.functions.push_back(
        {{Role::softmax, tokens, tokens}, std::vector<LayerId>(static_cast<std::size_t>(heads), layer)});
    shapes.functions.push_back({{Role::layer_norm, tokens, width}, {layer, layer}});
    shapes.functions.push_back({{Role::gelu, tokens, mlp_width}, {layer}});
}

}  // namespace

trial::ModelShapes shapes_of(const cost::TransformerShape& shape, std::size_t tokens) {
    trial::ModelShapes shapes;
    for (std::size_t block = 0; block < shape.depth; ++block) {
        const double kept = shape.kept_tokens.empty() ? 1 : shape.kept_tokens[block];
        add_block(shape, static_cast<Index>(std::llround(kept * static_cast<double>(tokens))),
                  LayerId(static_cast<std::uint32_t>(block)), shapes);
    }
    return shapes;
}

}  // namespace crossweep::app
