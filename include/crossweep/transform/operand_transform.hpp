// What is done to K or V before it is written: ClipFormer's two clips (arXiv 2402.02586, Algorithm 1) and
// their kin. Digital steps that need no change of the model; noise is added elsewhere.
#pragma once

#include "crossweep/core/conductance.hpp"
#include "crossweep/linalg/matmul_engine.hpp"
#include "crossweep/linalg/matrix.hpp"
#include "crossweep/transform/transform_params.hpp"

namespace crossweep::transform {

/// Take the mean over the tokens from every channel of `keys` [tokens, width], in place.
///
/// A query q scores a token j by q.(k_j - m) = q.k_j - q.m, and q.m is the same for every j, which the
/// softmax over j ignores. Quantised attention does the same to shrink the range of K (SageAttention, arXiv
/// 2410.02367). Exact for digital products only, and up to rounding: what is then mapped and written is
/// another matrix, with other levels and other noise. The mean needs all tokens, so an encoder has it, but a
/// decoder that writes token after token does not.
void centre_keys(linalg::MatrixView keys);

/// Whether `clip` may change a conductance or a scale.
bool clips(const TransformParams& params);

/// Clip the conductances of K or V as mapped, `conductance_S` [tokens, width], in place; not a bit changes
/// where `clips` is false. `operand` says which it is: a crossbar column is a token of K in one head, and a
/// channel of V.
///
/// B is the largest and P the given percentile of the conductances of a block, before stage 1. For the block
/// `tensor` B is G_max, as in the paper. P is the nearest rank: the smallest conductance of the block that at
/// least `percentile` % of them do not exceed; at 100 it clips nothing.
/// Stage 1: G <- max(G - alpha G_min, G_min), a soft threshold; alpha = 0 skips it.
/// Stage 2: G <- min(G, C), C = max(min(beta B, P), G_min); beta = 1 with percentile = 100 skips it.
/// Rescaling: the largest conductance that stages 1 and 2 can leave, min(C, B - alpha G_min), is stretched to
/// G_max, and `scale` [tokens, width], the weight that G_max stands for, shrinks so that products keep their
/// value; a block of which nothing is left stays as it is. Without it `scale` is not looked at. With no clip
/// at all this stretches every block to the full window, as a scale per block would.
///
/// Clipping at a percentile is a practice of quantised inference (Wu et al. 2020, arXiv 2004.09602); clips
/// per block and rescaling go beyond ClipFormer. In hardware a block smaller than the tensor needs a
/// threshold of its own, a percentile needs the whole block before its first write, and rescaling needs a
/// digital gain per block behind the converters. Codes are rounded afterwards, so that a stretched block
/// uses all levels. A percentile costs a partial sort of the operand; everything else is one or two passes.
void clip(const TransformParams& params, ConductanceWindow window, linalg::Role operand,
          Eigen::Index head_width, linalg::MatrixView conductance_S, linalg::MatrixView scale);

}  // namespace crossweep::transform
