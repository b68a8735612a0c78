// A small attention block on a chip: one layer's weights, its engine, and the products that tests look at.
#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "crossweep/crossbar/crossbar_engine.hpp"
#include "linalg/normal_matrix.hpp"

namespace crossweep::crossbar {

/// Sizes of the block; arrays, heads and parts do not divide each other evenly.
struct BlockShape {
    Eigen::Index tokens = 11, width = 24, hidden = 40;
    std::size_t heads = 2;
    Eigen::Index head_width() const { return width / static_cast<Eigen::Index>(heads); }
};

/// W_QKV (three parts of different size) and W_fc1 of one block.
class BlockWeights {
  public:
    explicit BlockWeights(const BlockShape& shape = {})
        : BlockWeights(shape, unequal_parts(shape), linalg::normal_matrix(shape.hidden, shape.width, 102)) {}
    BlockWeights(const BlockShape& shape, linalg::Matrix qkv, linalg::Matrix mlp)
        : qkv_(std::move(qkv)), mlp_(std::move(mlp)) {
        const auto head_width = static_cast<std::size_t>(shape.head_width());
        weights_.push_back({LayerId(2), linalg::Role::query, 3, head_width, linalg::const_view(qkv_)});
        weights_.push_back({LayerId(2), linalg::Role::mlp_in, 1, head_width, linalg::const_view(mlp_)});
    }
    BlockWeights(const BlockWeights&) = delete;
    BlockWeights& operator=(const BlockWeights&) = delete;

    std::span<const linalg::StationaryWeight> all() const { return weights_; }
    const linalg::Matrix& qkv() const { return qkv_; }
    const linalg::Matrix& mlp() const { return mlp_; }

  private:
    static linalg::Matrix unequal_parts(const BlockShape& shape) {
        linalg::Matrix qkv = linalg::normal_matrix(3 * shape.width, shape.width, 101);
        qkv.middleRows(shape.width, shape.width) *= 10.0F;
        qkv.bottomRows(shape.width) *= 0.1F;
        return qkv;
    }

    linalg::Matrix qkv_, mlp_;
    std::vector<linalg::StationaryWeight> weights_;
};

/// The weights [output, input] that a stationary matrix stands for, however it is kept.
inline linalg::Matrix weights_of(const LinearMatrix& matrix) {
    if (!matrix.codes) return matrix.mean;
    const linalg::PackedWords& codes = matrix.codes->packed;
    linalg::Matrix weights(codes.outputs(), codes.inputs());
    for (Eigen::Index row = 0; row < weights.rows(); ++row)
        for (Eigen::Index i = 0; i < weights.cols(); ++i)
            weights(row, i) =
                matrix.codes->steps[static_cast<std::size_t>(row)] * static_cast<float>(codes.at(row, i));
    return weights;
}

/// Squared amplitudes [output, input] as they were rounded; empty without read noise.
inline linalg::Matrix decoded(const SquaredAmplitudes& amplitudes) {
    linalg::Matrix squares(amplitudes.codes().outputs(), amplitudes.codes().inputs());
    for (Eigen::Index row = 0; row < squares.rows(); ++row)
        for (Eigen::Index i = 0; i < squares.cols(); ++i)
            squares(row, i) = amplitudes.steps()[static_cast<std::size_t>(row)] *
                              static_cast<float>(amplitudes.codes().at(row, i));
    return squares;
}

/// What a chip is made of; all that a study varies. One device for all operands.
struct ChipParams {
    Fidelity fidelity = Fidelity::behavioural;
    device::DeviceParams device;
    CrossbarParams crossbar;
    transform::TransformParams transform;
    StreamKey key{20240610, 0};
    std::vector<linalg::Role> digital = {};  ///< operands that no crossbar multiplies with
    const AdcRanges* adc_ranges = nullptr;
    SumHistograms* histograms = nullptr;

    OperandTable operands() const {
        OperandTable table;
        table.fill({fidelity, device});
        for (const linalg::Role role : digital)
            table[static_cast<std::size_t>(role)].fidelity = Fidelity::digital;
        return table;
    }
    EngineParams engine(ActivityTable* activity = nullptr) const {
        return {crossbar, transform, operands(), adc_ranges, histograms, activity};
    }
};

/// No noise, no levels, no converters: what every non-ideality starts from.
inline ChipParams ideal_chip() {
    ChipParams params;
    params.device.read_noise_sigma = 0;
    params.device.write_noise_sigma = 0;
    params.crossbar.weight_levels = 0;
    params.crossbar.input_bits = 0;
    return params;
}

/// No noise and exact ADCs, but weights of 256 levels and inputs of 8 bits, as slices need them.
inline ChipParams noiseless_chip(Fidelity fidelity) {
    ChipParams params;
    params.fidelity = fidelity;
    params.device.read_noise_sigma = 0;
    params.device.write_noise_sigma = 0;
    params.crossbar.adc_bits = 0;
    params.crossbar.adc_range = AdcRange::full;
    return params;
}

class Chip {
  public:
    explicit Chip(const ChipParams& params, const BlockShape& shape = {})
        : Chip(params, std::make_unique<BlockWeights>(shape)) {}
    Chip(const ChipParams& params, std::unique_ptr<const BlockWeights> weights)
        : weights_(std::move(weights)),
          programmed_(program_weights(weights_->all(), params.operands(), params.crossbar, params.key)),
          engine_(weights_->all(), programmed_, params.engine(&activity_), params.key) {}

    const BlockWeights& weights() const { return *weights_; }
    std::span<const ProgrammedWeight> programmed() const { return programmed_; }
    CrossbarEngine& engine() { return engine_; }
    /// What the engine has counted.
    const ActivityTable& activity() const { return activity_; }

  private:
    std::unique_ptr<const BlockWeights> weights_;
    std::vector<ProgrammedWeight> programmed_;
    ActivityTable activity_;
    CrossbarEngine engine_;
};

/// Everything that an engine gives for one image: products with both weights, scores and contexts of all
/// heads.
struct Products {
    linalg::Matrix qkv, mlp, scores, context;
    bool operator==(const Products&) const = default;
};

/// Inputs of a block, the same for every chip; rows of a smaller number of tokens are the first rows of a
/// larger one.
struct BlockInputs {
    explicit BlockInputs(const BlockShape& of = {})
        : shape(of),
          x(linalg::normal_matrix(of.tokens, of.width, 1)),
          queries(linalg::normal_matrix(of.tokens, of.width, 2)),
          keys(linalg::normal_matrix(of.tokens, of.width, 3)),
          values(linalg::normal_matrix(of.tokens, of.width, 4)),
          probabilities(linalg::normal_matrix(of.tokens, of.tokens, 5).cwiseAbs()) {}
    BlockShape shape;
    linalg::Matrix x, queries, keys, values, probabilities;
};

inline Products products_of(linalg::MatmulEngine& engine, const BlockInputs& in, ImageId image = ImageId(0)) {
    const auto [tokens, width, hidden, heads] = in.shape;
    const Eigen::Index head_width = in.shape.head_width(), all_heads = static_cast<Eigen::Index>(heads);
    Products out{linalg::Matrix(3 * tokens, width), linalg::Matrix(tokens, hidden),
                 linalg::Matrix(tokens, all_heads * tokens), linalg::Matrix(tokens, width)};
    engine.begin_image(image);
    engine.multiply(0, linalg::const_view(in.x), linalg::view(out.qkv));
    engine.multiply(1, linalg::const_view(in.x), linalg::view(out.mlp));
    engine.write(LayerId(2), heads, linalg::const_view(in.keys), linalg::const_view(in.values));
    for (std::size_t head = 0; head < heads; ++head) {
        const Eigen::Index first = static_cast<Eigen::Index>(head) * head_width;
        engine.read_keys(head, linalg::columns_of(in.queries, first, head_width),
                         linalg::columns_of(out.scores, static_cast<Eigen::Index>(head) * tokens, tokens));
        engine.read_values(head, linalg::const_view(in.probabilities),
                           linalg::columns_of(out.context, first, head_width));
    }
    return out;
}

inline Products exact_products(const BlockInputs& in = BlockInputs()) {
    const BlockWeights weights(in.shape);
    linalg::DigitalEngine engine(weights.all());
    return products_of(engine, in);
}

inline Products noisy_products(const ChipParams& params, ImageId image = ImageId(0),
                               const BlockInputs& in = BlockInputs()) {
    Chip chip(params, in.shape);
    return products_of(chip.engine(), in, image);
}

/// |a - b| relative to |b|, root mean square, of all products together.
inline double relative_error(const Products& a, const Products& b) {
    const auto part = [](const linalg::Matrix& noisy, const linalg::Matrix& exact) {
        return static_cast<double>((noisy - exact).squaredNorm()) / static_cast<double>(exact.squaredNorm());
    };
    return std::sqrt(
        (part(a.qkv, b.qkv) + part(a.mlp, b.mlp) + part(a.scores, b.scores) + part(a.context, b.context)) /
        4);
}

/// K and V as the cells hold them in weight units, read out with unit vectors through an engine without
/// converters.
struct WrittenOperands {
    linalg::Matrix keys, values;
};

inline WrittenOperands written_operands(linalg::MatmulEngine& engine, const BlockInputs& in, ImageId image) {
    const Eigen::Index tokens = in.shape.tokens, head_width = in.shape.head_width();
    const linalg::Matrix channels = linalg::Matrix::Identity(head_width, head_width);
    const linalg::Matrix positions = linalg::Matrix::Identity(tokens, tokens);
    WrittenOperands out{linalg::Matrix(tokens, in.shape.width), linalg::Matrix(tokens, in.shape.width)};
    engine.begin_image(image);
    engine.write(LayerId(2), in.shape.heads, linalg::const_view(in.keys), linalg::const_view(in.values));
    linalg::Matrix scores(head_width, tokens);
    for (std::size_t head = 0; head < in.shape.heads; ++head) {
        const Eigen::Index first = static_cast<Eigen::Index>(head) * head_width;
        engine.read_keys(head, linalg::const_view(channels), linalg::view(scores));
        out.keys.middleCols(first, head_width) = scores.transpose();
        engine.read_values(head, linalg::const_view(positions),
                           linalg::columns_of(out.values, first, head_width));
    }
    return out;
}

}  // namespace crossweep::crossbar
