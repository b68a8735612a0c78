#include "crossweep/model/block.hpp"

#include <cmath>

#include "crossweep/core/error.hpp"
#include "crossweep/linalg/elementwise.hpp"

namespace crossweep::model {

using Eigen::Index;
using linalg::columns_of;
using linalg::const_view;
using linalg::ConstMatrixView;
using linalg::Matrix;
using linalg::MatrixView;
using linalg::view;

KeyValueCache::KeyValueCache(const Architecture& architecture) : layers_(architecture.depth) {
    for (Layer& layer : layers_) {
        layer.keys.resize(static_cast<Index>(architecture.tokens), static_cast<Index>(architecture.width));
        layer.values.resizeLike(layer.keys);
    }
}

std::pair<ConstMatrixView, ConstMatrixView> KeyValueCache::append(LayerId layer, const ConstMatrixView& keys,
                                                                  const ConstMatrixView& values) {
    Layer& held = layers_[layer.value()];
    const auto before = static_cast<Index>(tokens_), after = before + keys.rows();
    if (after > held.keys.rows()) throw InternalError("a text goes on beyond the model's maximum length");
    held.keys.middleRows(before, keys.rows()) = keys;
    held.values.middleRows(before, values.rows()) = values;
    return {linalg::rows_of(std::as_const(held.keys), 0, after),
            linalg::rows_of(std::as_const(held.values), 0, after)};
}

void Block::run(const Pass& pass, Matrix& residual, KeyValueCache* cache, const SeeAttention& see) const {
    attend(pass, residual, cache, see);
    feed_forward(pass, residual);
}

ConstMatrixView Block::branch_input(const Pass& pass, const LayerNorm& norm, const Matrix& residual) const {
    if (pass.architecture.norm == NormPlace::after) return const_view(residual);
    const MatrixView normalised = pass.work.normalised.shaped(residual.rows(), residual.cols());
    pass.normalise(layer, norm, const_view(residual), normalised);
    return const_view(normalised);
}

void Block::add_branch(const Pass& pass, std::span<const float> bias, const LayerNorm& norm,
                       MatrixView branch, Matrix& residual) const {
    const Architecture& a = pass.architecture;
    linalg::add_to_residual(const_view(branch), bias, a.residual_scale, view(residual));
    if (a.norm == NormPlace::before) return;
    branch = residual;
    pass.normalise(layer, norm, const_view(branch), view(residual));
}

void Block::attend(const Pass& pass, Matrix& residual, KeyValueCache* cache, const SeeAttention& see) const {
    const Architecture& a = pass.architecture;
    const Index tokens = residual.rows(), width = residual.cols();
    const auto head_width = static_cast<Index>(a.head_width());
    MatrixView stacked = pass.work.qkv.shaped(3 * tokens, width);
    pass.engine.multiply(qkv, branch_input(pass, attention_norm, residual), stacked);
    const auto part = [&](Index index) { return linalg::rows_of(stacked, index * tokens, tokens); };
    for (std::size_t i = 0; i < 3; ++i) linalg::add_bias(part(static_cast<Index>(i)), qkv_bias[i]);
    MatrixView queries = part(0);
    const auto written = cache == nullptr ? std::pair(const_view(part(1)), const_view(part(2)))
                                          : cache->append(layer, const_view(part(1)), const_view(part(2)));
    pass.engine.write(layer, a.heads, written.first, written.second);

    const Index seen = written.first.rows();
    const MatrixView scores = pass.work.scores.shaped(tokens, seen);
    MatrixView attention = pass.work.attention.shaped(tokens, width);
    const float scale = 1.0F / std::sqrt(static_cast<float>(head_width));
    for (std::size_t head = 0; head < a.heads; ++head) {
        const Index first = static_cast<Index>(head) * head_width;
        pass.engine.read_keys(head, const_view(columns_of(queries, first, head_width)), scores);
        pass.engine.softmax(layer, scores, scale, a.causal ? std::optional(seen - tokens) : std::nullopt);
        pass.engine.read_values(head, const_view(scores), columns_of(attention, first, head_width));
    }
    if (see) see(const_view(attention));
    const MatrixView projected = pass.work.projected.shaped(tokens, width);
    pass.engine.multiply(projection, const_view(attention), projected);
    add_branch(pass, projection_bias, attention_norm, projected, residual);
}

void Block::feed_forward(const Pass& pass, Matrix& residual) const {
    const auto mlp_width = static_cast<Index>(pass.architecture.mlp_width);
    const MatrixView hidden = pass.work.hidden.shaped(residual.rows(), mlp_width);
    pass.engine.multiply(mlp_in, branch_input(pass, mlp_norm, residual), hidden);
    pass.engine.add_bias_gelu(layer, hidden, mlp_in_bias, pass.architecture.gelu);
    const MatrixView projected = pass.work.projected.shaped(residual.rows(), residual.cols());
    pass.engine.multiply(mlp_out, const_view(hidden), projected);
    add_branch(pass, mlp_out_bias, mlp_norm, projected, residual);
}

}  // namespace crossweep::model
