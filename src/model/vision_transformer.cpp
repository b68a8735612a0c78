#include "crossweep/model/vision_transformer.hpp"

#include <algorithm>
#include <cmath>

#include "crossweep/core/error.hpp"
#include "crossweep/linalg/elementwise.hpp"

namespace crossweep::model {

using Eigen::Index;
using linalg::columns_of;
using linalg::const_view;
using linalg::ConstMatrixView;
using linalg::view;

namespace {

ConstMatrixView matrix_of(std::span<const float> values, std::size_t rows, std::size_t columns) {
    return {values.data(), static_cast<Index>(rows), static_cast<Index>(columns),
            Eigen::OuterStride<>(static_cast<Index>(columns))};
}

}  // namespace

std::uint64_t Architecture::parameters() const {
    const std::uint64_t block =
        4 * width * width + 4 * width + 2 * width * mlp_width + mlp_width + width + 4 * width;
    return depth * block + width * (channels * patch_size * patch_size + 1) + width * (tokens + 1) +
           2 * width + classes * (width + 1);
}

std::uint64_t Architecture::multiply_accumulates(linalg::Role role) const {
    using linalg::Role;
    switch (role) {
        case Role::query:
        case Role::key:
        case Role::value:
        case Role::projection:
            return depth * tokens * width * width;
        case Role::mlp_in:
        case Role::mlp_out:
            return depth * tokens * width * mlp_width;
        case Role::written_keys:
        case Role::written_values:
            return depth * tokens * tokens * width;
        case Role::embedding:
            return (tokens - 1) * width * channels * patch_size * patch_size;
        case Role::head:
            return classes * width;
    }
    throw InternalError("unknown role");
}

std::uint64_t Architecture::multiply_accumulates() const {
    std::uint64_t sum = 0;
    for (std::size_t role = 0; role < linalg::role_count; ++role)
        sum += multiply_accumulates(static_cast<linalg::Role>(role));
    return sum;
}

void VisionTransformer::forward(std::span<const Image> images, linalg::MatmulEngine& engine,
                                Activations& activations, const AttentionObserver& observe,
                                linalg::MatrixView logits) const {
    CROSSWEEP_EXPECT(logits.rows() == static_cast<Index>(images.size()) &&
                     logits.cols() == static_cast<Index>(architecture_.classes));
    auto& residual = activations.residual;
    residual.resize(std::max(residual.size(), images.size()));
    const auto for_every_image = [&](const auto& step) {
        for (std::size_t i = 0; i < images.size(); ++i) {
            engine.begin_image(images[i].id);
            step(i);
        }
    };
    for_every_image([&](std::size_t i) { embed(images[i].pixels, engine, activations, residual[i]); });
    for (std::size_t block = 0; block < architecture_.depth; ++block) {
        const LayerId layer(static_cast<std::uint32_t>(block));
        for_every_image([&](std::size_t i) {
            attend(block, engine, activations, residual[i], [&](const ConstMatrixView& attention) {
                if (observe) observe(i, layer, attention);
            });
            feed_forward(block, engine, activations, residual[i]);
        });
    }
    for_every_image([&](std::size_t i) {
        classify(engine, activations, residual[i], linalg::row_of(logits, static_cast<Index>(i)));
    });
}

void VisionTransformer::embed(std::span<const float> pixels, linalg::MatmulEngine& engine,
                              Activations& activations, linalg::Matrix& residual) const {
    const std::size_t side = architecture_.image_size, patch = architecture_.patch_size;
    const std::size_t per_side = side / patch, patch_inputs = architecture_.channels * patch * patch;
    CROSSWEEP_EXPECT(pixels.size() == architecture_.channels * side * side);
    activations.patches.resize(static_cast<Index>(per_side * per_side), static_cast<Index>(patch_inputs));
    // patches:[patch row and column, channel · row · column], the order of a convolution's weights
    for (std::size_t p = 0; p < per_side * per_side; ++p) {
        float* to = linalg::row_of(activations.patches, static_cast<Index>(p)).data();
        const std::size_t corner = (p / per_side) * patch * side + (p % per_side) * patch;
        for (std::size_t channel = 0; channel < architecture_.channels; ++channel) {
            for (std::size_t row = 0; row < patch; ++row, to += patch) {
                std::copy_n(pixels.data() + channel * side * side + corner + row * side, patch, to);
            }
        }
    }
    const auto tokens = static_cast<Index>(architecture_.tokens),
               width = static_cast<Index>(architecture_.width);
    residual.resize(tokens, width);
    activations.normalised.resize(tokens, width);
    const linalg::MatrixView patch_tokens(residual.data() + width, tokens - 1, width,
                                          Eigen::OuterStride<>(width));
    engine.multiply(embedding_index(), const_view(activations.patches), patch_tokens);
    linalg::add_bias(patch_tokens, patch_bias_);
    std::copy(class_token_.begin(), class_token_.end(), residual.data());
    for (std::size_t i = 0; i < position_.size(); ++i) residual.data()[i] += position_[i];
}

void VisionTransformer::attend(std::size_t block, linalg::MatmulEngine& engine, Activations& activations,
                               linalg::Matrix& residual,
                               const std::function<void(const ConstMatrixView&)>& observe) const {
    const Block& layer = blocks_[block];
    const auto tokens = static_cast<Index>(architecture_.tokens),
               width = static_cast<Index>(architecture_.width);
    const auto head_width = static_cast<Index>(architecture_.head_width());
    activations.qkv.resize(3 * tokens, width);
    activations.scores.resize(tokens, tokens);
    activations.attention.resize(tokens, width);
    activations.projected.resize(tokens, width);

    linalg::layer_norm(const_view(residual), layer.norm1.weight, layer.norm1.bias,
                       architecture_.layer_norm_epsilon, view(activations.normalised));
    engine.multiply(weight_index(block, linalg::Role::query), const_view(activations.normalised),
                    view(activations.qkv));
    const auto part = [&](Index index) { return linalg::rows_of(activations.qkv, index * tokens, tokens); };
    linalg::MatrixView queries = part(0);
    for (Index i = 0; i < 3 && !layer.qkv_bias.empty(); ++i)
        linalg::add_bias(part(i),
                         layer.qkv_bias.subspan(static_cast<std::size_t>(i * width), architecture_.width));
    engine.write(LayerId(static_cast<std::uint32_t>(block)), architecture_.heads, const_view(part(1)),
                 const_view(part(2)));
    const float scale = 1.0F / std::sqrt(static_cast<float>(head_width));
    for (std::size_t head = 0; head < architecture_.heads; ++head) {
        const Index first = static_cast<Index>(head) * head_width;
        engine.read_keys(head, const_view(columns_of(queries, first, head_width)), view(activations.scores));
        linalg::softmax(view(activations.scores), scale);
        engine.read_values(head, const_view(activations.scores),
                           columns_of(activations.attention, first, head_width));
    }
    observe(const_view(activations.attention));
    engine.multiply(weight_index(block, linalg::Role::projection), const_view(activations.attention),
                    view(activations.projected));
    linalg::add_to_residual(const_view(activations.projected), layer.projection_bias, view(residual));
}

void VisionTransformer::feed_forward(std::size_t block, linalg::MatmulEngine& engine,
                                     Activations& activations, linalg::Matrix& residual) const {
    const Block& layer = blocks_[block];
    activations.hidden.resize(static_cast<Index>(architecture_.tokens),
                              static_cast<Index>(architecture_.mlp_width));
    linalg::layer_norm(const_view(residual), layer.norm2.weight, layer.norm2.bias,
                       architecture_.layer_norm_epsilon, view(activations.normalised));
    engine.multiply(weight_index(block, linalg::Role::mlp_in), const_view(activations.normalised),
                    view(activations.hidden));
    linalg::add_bias_gelu(view(activations.hidden), layer.fc1_bias);
    engine.multiply(weight_index(block, linalg::Role::mlp_out), const_view(activations.hidden),
                    view(activations.projected));
    linalg::add_to_residual(const_view(activations.projected), layer.fc2_bias, view(residual));
}

void VisionTransformer::classify(linalg::MatmulEngine& engine, Activations& activations,
                                 const linalg::Matrix& residual, std::span<float> logits) const {
    // Only the class token reaches the classifier.
    const auto class_token = matrix_of(linalg::row_of(const_view(residual), 0), 1, architecture_.width);
    auto normalised = linalg::MatrixView(activations.normalised.data(), 1, class_token.cols(),
                                         Eigen::OuterStride<>(class_token.cols()));
    linalg::layer_norm(class_token, norm_.weight, norm_.bias, architecture_.layer_norm_epsilon, normalised);
    const linalg::MatrixView output(logits.data(), 1, static_cast<Index>(logits.size()),
                                    Eigen::OuterStride<>(static_cast<Index>(logits.size())));
    engine.multiply(head_index(), const_view(normalised), output);
    linalg::add_bias(output, head_bias_);
}

}  // namespace crossweep::model
