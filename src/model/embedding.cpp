#include "crossweep/model/embedding.hpp"

#include <algorithm>

#include "crossweep/core/error.hpp"
#include "crossweep/linalg/elementwise.hpp"

namespace crossweep::model {

using Eigen::Index;
using linalg::const_view;
using linalg::MatrixView;

namespace {

/// Channels of square planes, however they lie in memory.
struct Planes {
    const float* data;
    std::size_t side, channels, channel_stride, pixel_stride;
};

/// patches:[output row and column, channel · row · column], the order of a convolution's weights. Padding is
/// 0.
void cut_patches(const Planes& planes, const Convolution& convolution, MatrixView patches) {
    const auto side = static_cast<std::ptrdiff_t>(planes.side);
    const auto kernel = static_cast<std::ptrdiff_t>(convolution.kernel);
    const auto outputs = static_cast<std::ptrdiff_t>(convolution.out_side());
    for (std::ptrdiff_t output = 0; output < outputs * outputs; ++output) {
        float* to = linalg::row_of(patches, output).data();
        const auto stride = static_cast<std::ptrdiff_t>(convolution.stride);
        const auto padding = static_cast<std::ptrdiff_t>(convolution.padding);
        const std::ptrdiff_t top = output / outputs * stride - padding;
        const std::ptrdiff_t left = output % outputs * stride - padding;
        // Of the columns of a row of the patch, [begin, end) lie inside.
        const std::ptrdiff_t begin = std::max<std::ptrdiff_t>(0, -left);
        const std::ptrdiff_t end = std::min(kernel, side - left);
        for (std::size_t channel = 0; channel < planes.channels; ++channel) {
            for (std::ptrdiff_t row = top; row < top + kernel; ++row, to += kernel) {
                std::fill_n(to, kernel, 0.0F);
                if (row < 0 || row >= side) continue;
                const float* from = planes.data + channel * planes.channel_stride +
                                    static_cast<std::size_t>(row * side) * planes.pixel_stride;
                for (std::ptrdiff_t i = begin; i < end; ++i)
                    to[i] = from[static_cast<std::size_t>(left + i) * planes.pixel_stride];
            }
        }
    }
}

/// y [outputs, out channels] of `convolution`, without its bias.
void convolve(const Pass& pass, const Convolution& convolution, const Planes& planes, MatrixView y) {
    CROSSWEEP_EXPECT(planes.side == convolution.in_side && planes.channels == convolution.in_channels);
    const std::size_t inputs = convolution.in_channels * convolution.kernel * convolution.kernel;
    const MatrixView patches = pass.work.patches.shaped(y.rows(), static_cast<Index>(inputs));
    cut_patches(planes, convolution, patches);
    pass.engine.multiply(convolution.weight, const_view(patches), y);
}

}  // namespace

void ImageEmbedding::embed(const Pass& pass, const Input& input, linalg::Matrix& residual) const {
    const Architecture& a = pass.architecture;
    CROSSWEEP_EXPECT(input.pixels.size() == a.channels * a.image_size * a.image_size);
    Planes planes{input.pixels.data(), a.image_size, a.channels, a.image_size * a.image_size, 1};
    for (const Convolution& convolution : stem) {
        const auto side = static_cast<Index>(convolution.out_side());
        const MatrixView y =
            pass.work.convolved.shaped(side * side, static_cast<Index>(convolution.out_channels));
        convolve(pass, convolution, planes, y);
        linalg::add_bias_relu(y, convolution.bias);
        planes = {y.data(), convolution.out_side(), convolution.out_channels, 1, convolution.out_channels};
    }
    const auto tokens = static_cast<Index>(a.tokens), width = static_cast<Index>(a.width);
    residual.resize(tokens, width);
    const MatrixView patch_tokens = linalg::rows_of(residual, 1, tokens - 1);
    convolve(pass, patches, planes, patch_tokens);
    linalg::add_bias(patch_tokens, patches.bias);
    std::copy(class_token.begin(), class_token.end(), residual.data());
    for (std::size_t i = 0; i < position.size(); ++i) residual.data()[i] += position[i];
}

void TextEmbedding::embed(const Pass& pass, const Input& input, linalg::Matrix& residual) const {
    const Architecture& a = pass.architecture;
    const auto tokens = static_cast<Index>(input.tokens.size()), width = static_cast<Index>(a.width);
    residual.resize(tokens, width);
    MatrixView sum = norm ? pass.work.normalised.shaped(tokens, width) : linalg::view(residual);
    const auto row_of_table = [&](std::span<const float> table, std::uint32_t row) {
        CROSSWEEP_EXPECT((std::size_t{row} + 1) * a.width <= table.size());
        return Eigen::Map<const Eigen::RowVectorXf>(table.data() + std::size_t{row} * a.width, width);
    };
    for (Index i = 0; i < tokens; ++i) {
        const TextToken& token = input.tokens[static_cast<std::size_t>(i)];
        Eigen::Map<Eigen::RowVectorXf> y(sum.data() + i * width, width);
        y = row_of_table(words, token.id) + row_of_table(positions, token.position);
        if (!segments.empty()) y += row_of_table(segments, token.segment);
    }
    if (norm) pass.normalise(pass.outside_blocks(), *norm, const_view(sum), linalg::view(residual));
}

}  // namespace crossweep::model
