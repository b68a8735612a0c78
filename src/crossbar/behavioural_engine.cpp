#include "crossweep/crossbar/behavioural_engine.hpp"

#include "crossweep/core/error.hpp"
#include "crossweep/crossbar/read_law.hpp"
#include "crossweep/linalg/gaussian.hpp"
#include "crossweep/linalg/gemm.hpp"
#include "crossweep/linalg/quantise.hpp"

namespace crossweep::crossbar {

using Eigen::Index;
using linalg::columns_of;
using linalg::const_view;
using linalg::ConstMatrixView;
using linalg::MatrixView;
using linalg::Role;
using linalg::row_of;

namespace {

/// Draws of attention products are named by head and token, so that they do not depend on the number of
/// tokens.
std::uint32_t row_of_head(std::size_t head, Index tokens) {
    if (tokens > 65536 || head >= 65536)
        throw InternalError("more than 65536 tokens or heads: outside the random stream");
    return static_cast<std::uint32_t>(head) << 16;
}

}  // namespace

BehaviouralEngine::BehaviouralEngine(std::span<const linalg::StationaryWeight> weights,
                                     std::span<const ProgrammedWeight> programmed,
                                     const device::DeviceParams& device, const CrossbarParams& crossbar,
                                     ConductanceTransform transform, StreamKey key)
    : weights_(weights),
      programmed_(programmed),
      crossbar_(crossbar),
      transform_(std::move(transform)),
      key_(key),
      window_(device::conductance_window(device)),
      write_noise_(device::WriteNoise::of_written_operands(device)),
      read_noise_(device),
      per_read_(device::draws_at_every_read(device)),
      kept_(device::keeps_read_noise(device)) {}

void BehaviouralEngine::begin_image(ImageId image) {
    image_draw_ = image.value() + 1;
}

void BehaviouralEngine::multiply(std::size_t weight, const ConstMatrixView& x, MatrixView y) {
    const linalg::StationaryWeight& stationary = weights_[weight];
    const ProgrammedWeight& programmed = programmed_[weight];
    const ConstMatrixView inputs = converted_inputs(x);
    linalg::multiply_transposed(inputs, const_view(programmed.mean), y);
    if (!per_read_) return;
    MatrixView squares = squares_.shaped(y.rows(), y.cols());
    linalg::multiply_transposed(squared_inputs(inputs), const_view(programmed.squared_amplitude), squares);
    const Index outputs = y.cols() / static_cast<Index>(stationary.parts);
    for (std::size_t part = 0; part < stationary.parts; ++part) {
        const Index first = static_cast<Index>(part) * outputs;
        add_noise(NoiseSite::product_read, stationary.layer,
                  static_cast<Role>(static_cast<std::size_t>(stationary.first_role) + part), 0,
                  const_view(columns_of(squares, first, outputs)), columns_of(y, first, outputs));
    }
}

void BehaviouralEngine::write(LayerId layer, std::size_t heads, const ConstMatrixView& keys,
                              const ConstMatrixView& values) {
    layer_ = layer;
    const Index head_width = keys.cols() / static_cast<Index>(heads);
    for (const auto& [role, operand, written] :
         {std::tuple(Role::key, &keys, &keys_), std::tuple(Role::value, &values, &values_)}) {
        blocks_ = blocks_of_written(crossbar_, role, operand->rows(), operand->cols(), head_width);
        write_operand(role, *operand, *written);
    }
}

void BehaviouralEngine::write_operand(Role role, const ConstMatrixView& operand, Written& written) {
    const auto width = static_cast<std::size_t>(operand.cols());
    conductance_.resize(width);
    normal_.resize(width);
    written.mean.resize(operand.rows(), operand.cols());
    if (per_read_) written.squared_amplitude.resize(operand.rows(), operand.cols());
    const auto draw = [&](NoiseSite site, Index row) {
        linalg::fill_normal(key_,
                            draw_identity(site, layer_, static_cast<std::uint32_t>(role), image_draw_,
                                          static_cast<std::uint32_t>(row)),
                            normal_);
    };
    for (Index row = 0; row < operand.rows(); ++row) {
        if (row % blocks_.rows == 0) band_.measure(operand, row, blocks_);
        const auto wanted = row_of(operand, row);
        to_conductance(wanted, band_.inverse(), crossbar_.weight_levels, window_, conductance_);
        if (transform_) transform_(conductance_);
        if (write_noise_.sigma() > 0) {
            draw(NoiseSite::operand_write, row);
            write_noise_(conductance_, normal_);
        }
        if (kept_) {
            draw(NoiseSite::operand_read, row);
            read_noise_(conductance_, normal_);
        }
        to_weight(conductance_, wanted, band_.scale(), window_, row_of(written.mean, row));
        if (per_read_) {
            to_squared_amplitude(conductance_, band_.scale(), window_,
                                 row_of(written.squared_amplitude, row));
        }
    }
}

void BehaviouralEngine::read_keys(std::size_t head, const ConstMatrixView& queries, MatrixView scores) {
    const Index width = queries.cols(), first = static_cast<Index>(head) * width;
    const ConstMatrixView inputs = converted_inputs(queries);
    linalg::multiply_transposed(inputs, const_view(columns_of(keys_.mean, first, width)), scores);
    if (!per_read_) return;
    MatrixView squares = squares_.shaped(scores.rows(), scores.cols());
    linalg::multiply_transposed(squared_inputs(inputs),
                                const_view(columns_of(keys_.squared_amplitude, first, width)), squares);
    add_noise(NoiseSite::score_read, layer_, Role::key, row_of_head(head, scores.rows()), const_view(squares),
              scores);
}

void BehaviouralEngine::read_values(std::size_t head, const ConstMatrixView& probabilities,
                                    MatrixView context) {
    const Index width = context.cols(), first = static_cast<Index>(head) * width;
    const ConstMatrixView inputs = converted_inputs(probabilities);
    linalg::multiply(inputs, const_view(columns_of(values_.mean, first, width)), context);
    if (!per_read_) return;
    MatrixView squares = squares_.shaped(context.rows(), context.cols());
    linalg::multiply(squared_inputs(inputs), const_view(columns_of(values_.squared_amplitude, first, width)),
                     squares);
    add_noise(NoiseSite::context_read, layer_, Role::value, row_of_head(head, context.rows()),
              const_view(squares), context);
}

ConstMatrixView BehaviouralEngine::converted_inputs(const ConstMatrixView& x) {
    if (crossbar_.input_bits == 0) return x;
    MatrixView converted = inputs_.shaped(x.rows(), x.cols());
    const bool per_token = crossbar_.input_scale == InputScale::token;
    const float largest_of_all = per_token ? 0 : linalg::largest_magnitude(x);
    for (Index row = 0; row < x.rows(); ++row) {
        const auto input = row_of(x, row);
        const float largest = per_token ? linalg::largest_magnitude(input) : largest_of_all;
        linalg::quantise(input, largest, crossbar_.input_bits, row_of(converted, row));
    }
    return const_view(converted);
}

ConstMatrixView BehaviouralEngine::squared_inputs(const ConstMatrixView& x) {
    MatrixView squared = squared_inputs_.shaped(x.rows(), x.cols());
    square(x, squared);
    return const_view(squared);
}

void BehaviouralEngine::add_noise(NoiseSite site, LayerId layer, Role role, std::uint32_t first_row,
                                  const ConstMatrixView& squares, MatrixView output) {
    normal_.resize(static_cast<std::size_t>(output.cols()));
    for (Index row = 0; row < output.rows(); ++row) {
        linalg::fill_normal(key_,
                            draw_identity(site, layer, static_cast<std::uint32_t>(role), image_draw_,
                                          first_row + static_cast<std::uint32_t>(row)),
                            normal_);
        add_read_noise(row_of(output, row), row_of(squares, row), normal_, read_noise_.sigma());
    }
}

}  // namespace crossweep::crossbar
