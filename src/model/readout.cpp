#include "crossweep/model/readout.hpp"

#include "crossweep/linalg/elementwise.hpp"

namespace crossweep::model {

using Eigen::Index;
using linalg::const_view;
using linalg::ConstMatrixView;
using linalg::Matrix;
using linalg::MatrixView;

namespace {

MatrixView normalise(const Pass& pass, const LayerNorm& norm, const ConstMatrixView& x) {
    const MatrixView normalised = pass.work.normalised.shaped(x.rows(), x.cols());
    pass.normalise(pass.outside_blocks(), norm, x, normalised);
    return normalised;
}

MatrixView classify(const Pass& pass, const Linear& head, const ConstMatrixView& x, linalg::Scratch& memory) {
    const MatrixView logits = memory.shaped(x.rows(), static_cast<Index>(pass.architecture.classes));
    pass.engine.multiply(head.weight, x, logits);
    linalg::add_bias(logits, head.bias);
    return logits;
}

}  // namespace

MatrixView ClassTokenReadout::read(const Pass& pass, const Matrix& residual) const {
    // Only the class token reaches the classifier.
    const Index read = auxiliary ? residual.rows() : 1;
    const MatrixView normalised = normalise(pass, norm, linalg::rows_of(residual, 0, read));
    MatrixView logits = classify(pass, head, const_view(linalg::rows_of(normalised, 0, 1)), pass.work.logits);
    if (auxiliary) {
        const auto patches = linalg::rows_of(normalised, 1, residual.rows() - 1);
        const MatrixView of_patches = classify(pass, *auxiliary, const_view(patches), pass.work.projected);
        logits += 0.5F * of_patches.colwise().maxCoeff();
    }
    return logits;
}

MatrixView PooledReadout::read(const Pass& pass, const Matrix& residual) const {
    const MatrixView pooled = pass.work.projected.shaped(1, residual.cols());
    pass.engine.multiply(pooler.weight, linalg::rows_of(residual, 0, 1), pooled);
    linalg::add_bias_tanh(pooled, pooler.bias);
    return classify(pass, head, const_view(pooled), pass.work.logits);
}

MatrixView NextTokenReadout::read(const Pass& pass, const Matrix& residual) const {
    return classify(pass, head, const_view(normalise(pass, norm, const_view(residual))), pass.work.logits);
}

}  // namespace crossweep::model
