#include "crossweep/model/token_predictor.hpp"

#include <algorithm>
#include <numeric>

#include "crossweep/core/error.hpp"
#include "crossweep/linalg/elementwise.hpp"

namespace crossweep::model {

using Eigen::Index;
using linalg::const_view;
using linalg::Matrix;
using linalg::MatrixView;

namespace {

constexpr float norm_epsilon = 1e-5F;  // of PyTorch's LayerNorm, which DynamicViT's predictor leaves as it is

/// y [tokens, outputs] of one layer.
void multiply(const Pass& pass, const Linear& layer, const MatrixView& x, MatrixView y) {
    pass.engine.multiply(layer.weight, const_view(x), y);
}

/// How much every patch token is wanted, in log odds: the log softmax of the paper orders them the same way.
std::vector<float> scores_of(const TokenPredictor& predictor, const Pass& pass, Matrix& residual) {
    const Index patches = residual.rows() - 1, width = residual.cols();
    // Behind those of the blocks and the readout, and different for every predictor.
    const LayerId layer(pass.outside_blocks().value() +
                        static_cast<std::uint32_t>(predictor.cut.before_block));
    const auto activate = [&](MatrixView x, std::span<const float> bias) {
        pass.engine.add_bias_gelu(layer, x, bias, linalg::Gelu::erf);
    };
    const MatrixView normalised = pass.work.normalised.shaped(patches, width);
    pass.engine.layer_norm(layer, const_view(linalg::rows_of(residual, 1, patches)),
                           {predictor.norm.weight, predictor.norm.bias, norm_epsilon}, normalised);
    MatrixView features = pass.work.hidden.shaped(patches, width);
    multiply(pass, predictor.local, normalised, features);
    activate(features, predictor.local.bias);
    // Half of the channels tell about the token itself, half about all that are left.
    features.rightCols(width / 2).rowwise() = features.rightCols(width / 2).colwise().mean().eval();

    const MatrixView half = pass.work.projected.shaped(patches, width / 2);
    multiply(pass, predictor.score[0], features, half);
    activate(half, predictor.score[0].bias);
    const MatrixView quarter = pass.work.attention.shaped(patches, width / 4);
    multiply(pass, predictor.score[1], half, quarter);
    activate(quarter, predictor.score[1].bias);
    const MatrixView logits = pass.work.scores.shaped(patches, 2);
    multiply(pass, predictor.score[2], quarter, logits);
    linalg::add_bias(logits, predictor.score[2].bias);

    std::vector<float> scores(static_cast<std::size_t>(patches));
    for (Index i = 0; i < patches; ++i) scores[static_cast<std::size_t>(i)] = logits(i, 0) - logits(i, 1);
    return scores;
}

}  // namespace

void TokenPredictor::apply(const Pass& pass, Matrix& residual, std::vector<std::uint32_t>& kept) const {
    const std::vector<float> scores = scores_of(*this, pass, residual);
    CROSSWEEP_EXPECT(cut.patches <= scores.size());
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return scores[a] > scores[b]; });
    order.resize(cut.patches);
    std::sort(order.begin(), order.end());
    // Row 0 is the class token. Rows move up only, so that none is overwritten before it has moved.
    for (std::size_t to = 0; to < order.size(); ++to) {
        residual.row(static_cast<Index>(to + 1)) = residual.row(static_cast<Index>(order[to] + 1));
        kept[to + 1] = kept[order[to] + 1];
    }
    residual.conservativeResize(static_cast<Index>(order.size() + 1), residual.cols());
    kept.resize(order.size() + 1);
}

}  // namespace crossweep::model
