#include <new>

#include "crossweep/linalg/gemm.hpp"
#include "crossweep/linalg/matmul_engine.hpp"

namespace crossweep::linalg {

Role role_of_part(const StationaryWeight& weight, std::size_t part) {
    return static_cast<Role>(static_cast<std::size_t>(weight.first_role) + part);
}

ConstMatrixView part_of(const StationaryWeight& weight, std::size_t part) {
    const Eigen::Index outputs = weight.matrix.rows() / static_cast<Eigen::Index>(weight.parts);
    return {weight.matrix.data() + static_cast<Eigen::Index>(part) * outputs * weight.matrix.outerStride(),
            outputs, weight.matrix.cols(), Eigen::OuterStride<>(weight.matrix.outerStride())};
}

void MatmulEngine::softmax(LayerId, MatrixView x, float scale, std::optional<Eigen::Index> first) {
    if (first) {
        causal_softmax(x, scale, *first);
    } else {
        linalg::softmax(x, scale);
    }
}

void MatmulEngine::layer_norm(LayerId, const ConstMatrixView& x, const Norm& norm, MatrixView y) {
    linalg::layer_norm(x, norm.weight, norm.bias, norm.epsilon, y);
}

void MatmulEngine::add_bias_gelu(LayerId, MatrixView x, std::span<const float> bias, Gelu form) {
    linalg::add_bias_gelu(x, bias, form);
}

DigitalEngine::DigitalEngine(std::span<const StationaryWeight> weights)
    : weights_(weights), packed_(weights.size()) {
    for (std::size_t i = 0; i < weights.size(); ++i) {
        for (std::size_t part = 0; weights[i].rows > 1 && part < weights[i].parts; ++part)
            packed_[i].emplace_back(part_of(weights[i], part), weights[i].rows);
    }
}

void DigitalEngine::multiply(std::size_t weight, const ConstMatrixView& x, MatrixView y) {
    const std::size_t parts = weights_[weight].parts;
    for (std::size_t part = 0; part < parts; ++part) {
        MatrixView product = rows_of(y, static_cast<Eigen::Index>(part) * x.rows(), x.rows());
        if (packed_[weight].empty() || packed_[weight][part].empty())
            multiply_transposed(x, part_of(weights_[weight], part), product);
        else
            packed_[weight][part].multiply(x, product);
    }
}

void DigitalEngine::write(LayerId, std::size_t, const ConstMatrixView& keys, const ConstMatrixView& values) {
    // An Eigen::Map is pointed elsewhere by constructing it anew.
    new (&keys_) ConstMatrixView(keys);
    new (&values_) ConstMatrixView(values);
}

void DigitalEngine::read_keys(std::size_t head, const ConstMatrixView& queries, MatrixView scores) {
    const auto width = queries.cols();
    multiply_transposed(queries, columns_of(keys_, static_cast<Eigen::Index>(head) * width, width), scores);
}

void DigitalEngine::read_values(std::size_t head, const ConstMatrixView& probabilities, MatrixView context) {
    const auto width = context.cols();
    linalg::multiply(probabilities, columns_of(values_, static_cast<Eigen::Index>(head) * width, width),
                     context);
}

}  // namespace crossweep::linalg
