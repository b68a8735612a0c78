#include "crossweep/crossbar/crossbar_engine.hpp"

#include <new>

#include "crossweep/core/error.hpp"
#include "crossweep/linalg/gemm.hpp"

namespace crossweep::crossbar {

using Eigen::Index;
using linalg::columns_of;
using linalg::ConstMatrixView;
using linalg::MatrixView;
using linalg::Role;

namespace {

/// Draws of attention products are named by head and token; `head` stands above the tokens.
std::uint32_t row_of_head(std::size_t head, std::size_t tokens) {
    if (tokens > 65536 || head >= 65536)
        throw InternalError("more than 65536 tokens or heads: outside the random stream");
    return static_cast<std::uint32_t>(head) << 16;
}

}  // namespace

CrossbarEngine::CrossbarEngine(std::span<const linalg::StationaryWeight> weights,
                               std::span<const ProgrammedWeight> programmed, const EngineParams& params,
                               StreamKey key)
    : counter_(params.crossbar, params.transform, params.operands),
      weights_(weights),
      programmed_(programmed),
      params_(params),
      key_(key),
      inputs_(params.crossbar) {
    for (std::size_t i = 0; i < linalg::role_count; ++i) {
        const Role role = static_cast<Role>(i);
        simulated_.push_back(simulation_of(role, params_.operands[i], params_.crossbar));
        if (is_digital(role)) continue;
        if (!linalg::is_function(role)) {
            cells_[i] = make_cells(role, operand(role), crossbar(role), params_.transform);
        } else if (params_.operands[i].fidelity == Fidelity::large_small) {
            units_[i].emplace(params_.operands[i], params_.crossbar);
        }
    }
    for (std::size_t weight = 0; weight < weights_.size(); ++weight) {
        auto& adc = adc_.emplace_back(weights_[weight].parts);
        for (std::size_t part = 0; part < adc.size(); ++part) {
            const auto* circuit = std::get_if<CircuitMatrix>(&programmed_[weight][part]);
            if (circuit == nullptr) continue;
            adc[part] = make_adc(role_of_part(weights_[weight], part), weights_[weight].layer,
                                 static_cast<Index>(circuit->input_edges.size()) - 1, circuit->outputs);
        }
    }
}

AdcBank CrossbarEngine::make_adc(Role role, LayerId layer, Index row_tiles, Index outputs) const {
    return {crossbar(role),
            cells_[static_cast<std::size_t>(role)]->layout(),
            params_.adc_ranges,
            {key_, layer, role, row_tiles, outputs}};
}

void CrossbarEngine::begin_image(ImageId image, std::size_t first_token) {
    image_draw_ = image.value() + 1;
    first_token_ = static_cast<std::uint32_t>(first_token);
    calls_ = {};
}

ReadDraws CrossbarEngine::draws(NoiseSite site, LayerId layer, Role role, std::uint32_t first_row) const {
    return {key_, site, layer, role, image_draw_, first_row + first_token_};
}

void CrossbarEngine::multiply(std::size_t weight, const ConstMatrixView& x, MatrixView y) {
    const linalg::StationaryWeight& stationary = weights_[weight];
    bool converted = false;
    for (std::size_t part = 0; part < stationary.parts; ++part) {
        const Role role = role_of_part(stationary, part);
        MatrixView product = linalg::rows_of(y, static_cast<Index>(part) * x.rows(), x.rows());
        count_product(stationary.layer,
                      {role, x.rows(), y.cols(), x.cols(), static_cast<Index>(stationary.head_width)});
        if (is_digital(role)) {
            linalg::multiply_transposed(x, part_of(stationary, part), product);
            continue;
        }
        if (!converted) inputs_.convert(x, InputSign::both);
        converted = true;
        const ReadDraws reads = draws(NoiseSite::product_read, stationary.layer, role);
        const StoredMatrix& stored = programmed_[weight][part];
        if (const auto* circuit = std::get_if<CircuitMatrix>(&stored)) {
            multiply_circuit(role, *circuit, *adc_[weight][part], {0, x.cols(), 0, y.cols()}, reads, product);
        } else {
            multiply_linear(role, std::get<LinearMatrix>(stored), 0, reads, product);
        }
    }
}

void CrossbarEngine::write(LayerId layer, std::size_t heads, const ConstMatrixView& keys,
                           const ConstMatrixView& values) {
    keys_.layer = values_.layer = layer;
    store_written(heads, keys, keys_);
    store_written(heads, values, values_);
}

void CrossbarEngine::store_written(std::size_t heads, const ConstMatrixView& values, Written& written) {
    new (&written.exact) ConstMatrixView(values);
    const Index head_width = values.cols() / static_cast<Index>(heads);
    const std::uint64_t rewrites = is_digital(written.role) ? 0 : cells(written.role).rewrites();
    if (!is_digital(written.role)) store_on_cells(head_width, values, written);
    count_writing(written, head_width,
                  is_digital(written.role) ? 0 : cells(written.role).rewrites() - rewrites);
}

void CrossbarEngine::store_on_cells(Index head_width, const ConstMatrixView& values, Written& written) {
    const OperandParams& params = operand(written.role);
    const bool by_token =
        written.role == Role::written_values && params_.crossbar.written_scale == ScaleBlock::token;
    map_written(params_.crossbar, params_.transform, device::conductance_window(params.device), written.role,
                by_token ? written.tokens.divide(values) : values, head_width, written.mapped);
    const ArrayGrid grid = grid_of_written(crossbar(written.role), written.role, values.cols(), head_width);
    const CellIdentity identity{key_, written.layer, written.role, image_draw_};
    if (params.fidelity == Fidelity::circuit) {
        store(written.mapped, grid, identity, cells(written.role), written.circuit);
        written.adc = &adc_of(written);
    } else {
        store(written.mapped, grid, head_width, {}, identity, cells(written.role), written.linear);
    }
}

void CrossbarEngine::count_product(LayerId layer, const ProductShape& shape) {
    if (!counts()) return;
    Activity& activity = activity_of(layer, shape.role);
    if (operand(shape.role).fidelity != Fidelity::circuit) {
        activity += counter_.of_product(shape);
        return;
    }
    activity += counter_.around_arrays(shape);
    activity.read_steps += counter_.read_steps(shape.role, static_cast<std::uint64_t>(shape.vectors));
}

void CrossbarEngine::count_function(LayerId layer, Role role, const ConstMatrixView& x) {
    if (counts()) activity_of(layer, role) += counter_.of_function(role, x.rows(), x.cols());
}

void CrossbarEngine::count_writing(const Written& written, Index head_width, std::uint64_t rewrites) {
    if (!counts()) return;
    const Index tokens = written.exact.rows();
    Activity writing = counter_.of_writing({written.role, tokens, tokens, written.exact.cols(), head_width},
                                           tokens - static_cast<Index>(first_token_));
    // A composite cell stands for all cells of its weight: they are written as often as it is.
    const bool is_composite = operand(written.role).fidelity == Fidelity::behavioural;
    writing.write_pulses =
        writing.cell_writes + rewrites * (is_composite ? counter_.cells_per_weight(written.role) : 1);
    activity_of(written.layer, written.role) += writing;
}

void CrossbarEngine::count_reading(const Written& written, std::size_t head, Index vectors,
                                   Index head_width) {
    if (!counts()) return;
    Activity& activity = activity_of(written.layer, written.role);
    const Index tokens = written.exact.rows();
    const bool is_keys = written.role == Role::written_keys;
    Activity reading = operand(written.role).fidelity == Fidelity::circuit
                           ? counter_.around_arrays({written.role, vectors, is_keys ? tokens : head_width,
                                                     is_keys ? head_width : tokens, head_width})
                           : counter_.of_reading({written.role, vectors, tokens, head_width, head_width});
    // Heads have arrays of their own, which read at the same time.
    reading.read_steps = is_digital(written.role) || head > 0
                             ? 0
                             : counter_.read_steps(written.role, static_cast<std::uint64_t>(vectors));
    activity += reading;
}

std::uint32_t CrossbarEngine::row_of_call(LayerId layer, Role role, Index rows) {
    // A decoder passes all layers with one begin_image.
    if (layer != calls_layer_) calls_ = {};
    calls_layer_ = layer;
    return row_of_head(calls_[static_cast<std::size_t>(role)]++,
                       first_token_ + static_cast<std::size_t>(rows));
}

FunctionUnit* CrossbarEngine::function_unit(Role role) {
    auto& unit = units_[static_cast<std::size_t>(role)];
    return unit ? &*unit : nullptr;
}

void CrossbarEngine::softmax(LayerId layer, MatrixView x, float scale, std::optional<Index> first) {
    count_function(layer, Role::softmax, linalg::const_view(x));
    FunctionUnit* unit = function_unit(Role::softmax);
    if (unit == nullptr) return MatmulEngine::softmax(layer, x, scale, first);
    unit->softmax(
        x, scale, first,
        draws(NoiseSite::telegraph, layer, Role::softmax, row_of_call(layer, Role::softmax, x.rows())));
}

void CrossbarEngine::layer_norm(LayerId layer, const ConstMatrixView& x, const linalg::Norm& norm,
                                MatrixView y) {
    count_function(layer, Role::layer_norm, x);
    FunctionUnit* unit = function_unit(Role::layer_norm);
    if (unit == nullptr) return MatmulEngine::layer_norm(layer, x, norm, y);
    unit->layer_norm(
        x, norm, y,
        draws(NoiseSite::telegraph, layer, Role::layer_norm, row_of_call(layer, Role::layer_norm, y.rows())));
}

void CrossbarEngine::add_bias_gelu(LayerId layer, MatrixView x, std::span<const float> bias,
                                   linalg::Gelu form) {
    count_function(layer, Role::gelu, linalg::const_view(x));
    FunctionUnit* unit = function_unit(Role::gelu);
    if (unit == nullptr) return MatmulEngine::add_bias_gelu(layer, x, bias, form);
    unit->add_bias_gelu(x, bias, form);
}

const AdcBank& CrossbarEngine::adc_of(const Written& written) {
    const auto row_tiles = static_cast<Index>(written.circuit.input_edges.size()) - 1;
    const auto key = std::tuple(written.role, written.layer, row_tiles, written.circuit.outputs);
    auto found = written_adc_.find(key);
    if (found == written_adc_.end()) {
        found = written_adc_
                    .emplace(key, make_adc(written.role, written.layer, row_tiles, written.circuit.outputs))
                    .first;
    }
    return found->second;
}

void CrossbarEngine::read_keys(std::size_t head, const ConstMatrixView& queries, MatrixView scores) {
    const Index width = queries.cols(), first = static_cast<Index>(head) * width;
    count_reading(keys_, head, queries.rows(), width);
    if (is_digital(keys_.role)) {
        linalg::multiply_transposed(queries, columns_of(keys_.exact, first, width), scores);
        return;
    }
    inputs_.convert(queries, InputSign::both);
    read_written(keys_, NoiseSite::score_read, head, {first, width, 0, scores.cols()}, scores);
}

void CrossbarEngine::read_values(std::size_t head, const ConstMatrixView& probabilities, MatrixView context) {
    const Index width = context.cols(), first = static_cast<Index>(head) * width;
    count_reading(values_, head, probabilities.rows(), width);
    if (is_digital(values_.role)) {
        linalg::multiply(probabilities, columns_of(values_.exact, first, width), context);
        return;
    }
    if (params_.crossbar.written_scale == ScaleBlock::token) {
        MatrixView scaled = scaled_.shaped(probabilities.rows(), probabilities.cols());
        values_.tokens.multiply(probabilities, scaled);
        inputs_.convert(linalg::const_view(scaled), InputSign::not_negative);
    } else {
        inputs_.convert(probabilities, InputSign::not_negative);
    }
    read_written(values_, NoiseSite::context_read, head, {0, probabilities.cols(), first, width}, context);
}

void CrossbarEngine::read_written(const Written& written, NoiseSite site, std::size_t head,
                                  const Region& region, MatrixView y) {
    const ReadDraws reads = draws(site, written.layer, written.role,
                                  row_of_head(head, first_token_ + static_cast<std::size_t>(y.rows())));
    if (operand(written.role).fidelity == Fidelity::circuit) {
        multiply_circuit(written.role, written.circuit, *written.adc, region, reads, y);
        return;
    }
    multiply_linear(written.role, written.linear, head, reads, y);
}

void CrossbarEngine::multiply_linear(Role role, const LinearMatrix& matrix, std::size_t head,
                                     const ReadDraws& reads, MatrixView y) {
    std::optional<ReadNoiseOfProduct> noise;
    const float sigma = cells(role).read_sigma();
    if (sigma > 0) {
        const bool by_cycles = operand(role).fidelity == Fidelity::sliced;
        noise = {sigma, reads, by_cycles ? InputEnergy::by_cycles : InputEnergy::at_once};
    }
    linear_.multiply(matrix, head, inputs_, noise, y);
}

void CrossbarEngine::multiply_circuit(Role role, const CircuitMatrix& matrix, const AdcBank& adc,
                                      const Region& region, const ReadDraws& reads, MatrixView y) {
    ColumnReaders readers;
    readers.adc = &adc;
    if (counts()) readers.activity = &activity_of(reads.layer, role);
    if (cells(role).read_sigma() > 0) readers.draws = reads;
    if (cells(role).telegraph_amplitude() > 0) {
        readers.telegraph = reads;
        readers.telegraph->site = NoiseSite::telegraph;
    }
    if (params_.histograms != nullptr) {
        const AdcRanges::Key key{reads.layer.value(), static_cast<std::uint32_t>(role)};
        const double full = full_range(crossbar(role), cells(role).layout().largest_digit);
        readers.histogram = &params_.histograms->try_emplace(key, full).first->second;
    }
    circuit_.multiply(matrix, cells(role), inputs_, region, readers, y);
}

bool draws_per_chip(const OperandTable& operands, const CrossbarParams& crossbar) {
    for (std::size_t i = 0; i < operands.size(); ++i) {
        const OperandParams& operand = operands[i];
        if (operand.fidelity == Fidelity::digital) continue;
        const bool written = linalg::is_written(static_cast<Role>(i));
        if (device::draws_per_chip(operand.device,
                                   written ? device::Storage::written : device::Storage::stationary))
            return true;
        const bool converts = operand.fidelity == Fidelity::circuit && crossbar.adc_bits > 0;
        if (converts && (crossbar.adc_gain_sigma > 0 || crossbar.adc_offset_sigma > 0)) return true;
    }
    return false;
}

}  // namespace crossweep::crossbar
