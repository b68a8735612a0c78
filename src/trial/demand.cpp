#include "crossweep/trial/demand.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "crossweep/core/error.hpp"

namespace crossweep::trial {

using crossbar::ProductShape;
using crossbar::WrittenShape;
using Eigen::Index;
using linalg::ConstMatrixView;
using linalg::MatrixView;
using linalg::Role;

namespace {

auto extents(const ProductShape& s) {
    return std::tuple(s.role, s.vectors, s.outputs, s.inputs, s.head_width);
}

auto extents(const WrittenShape& s) {
    return std::tuple(s.role, s.vectors, s.tokens, s.width, s.head_width);
}

auto extents(const FunctionShape& s) {
    return std::tuple(s.role, s.rows, s.width);
}

/// Writes down what it is asked for, and answers with zeros.
class ShapeRecorder final : public linalg::MatmulEngine {
  public:
    explicit ShapeRecorder(std::span<const linalg::StationaryWeight> weights) : weights_(weights) {}

    ModelShapes take() { return std::move(shapes_); }

    using MatmulEngine::begin_image;
    void begin_image(ImageId, std::size_t) override {}

    void multiply(std::size_t number, const ConstMatrixView& x, MatrixView y) override {
        const linalg::StationaryWeight& weight = weights_[number];
        for (std::size_t part = 0; part < weight.parts; ++part) {
            add(shapes_.products, weight.layer,
                {role_of_part(weight, part), x.rows(), y.cols(), x.cols(),
                 static_cast<Index>(weight.head_width)});
        }
        y.setZero();
    }

    void write(LayerId layer, std::size_t heads, const ConstMatrixView& keys,
               const ConstMatrixView& values) override {
        const Index head_width = keys.cols() / static_cast<Index>(heads);
        // Without a cache, as many queries as tokens.
        add(shapes_.written, layer, {Role::written_keys, keys.rows(), keys.rows(), keys.cols(), head_width});
        add(shapes_.written, layer,
            {Role::written_values, values.rows(), values.rows(), values.cols(), head_width});
    }

    void read_keys(std::size_t, const ConstMatrixView&, MatrixView scores) override { scores.setZero(); }
    void read_values(std::size_t, const ConstMatrixView&, MatrixView context) override { context.setZero(); }

    void softmax(LayerId layer, MatrixView x, float, std::optional<Index>) override {
        add(shapes_.functions, layer, {Role::softmax, x.rows(), x.cols()});
    }
    void layer_norm(LayerId layer, const ConstMatrixView& x, const linalg::Norm&, MatrixView y) override {
        add(shapes_.functions, layer, {Role::layer_norm, x.rows(), x.cols()});
        y.setZero();
    }
    void add_bias_gelu(LayerId layer, MatrixView x, std::span<const float>, linalg::Gelu) override {
        add(shapes_.functions, layer, {Role::gelu, x.rows(), x.cols()});
    }

  private:
    template <class Shape>
    static void add(std::vector<InLayers<Shape>>& known, LayerId layer, const Shape& shape) {
        const auto is_equal = [&](const auto& other) { return extents(other.shape) == extents(shape); };
        auto found = std::ranges::find_if(known, is_equal);
        if (found == known.end()) found = known.insert(found, {shape, {}});
        found->layers.push_back(layer);
    }

    std::span<const linalg::StationaryWeight> weights_;
    ModelShapes shapes_;
};

/// Adds up what the shapes of an operand ask for.
class DemandSum {
  public:
    explicit DemandSum(const crossbar::OperandTable& operands) : operands_(operands) {}

    /// What one shape asks for in each of `layers`, whatever layer it names.
    void add(const std::vector<LayerId>& layers, const cost::OperandDemand& of_shape) {
        const Role role = of_shape.operand.role;
        const crossbar::OperandParams& params = operands_[static_cast<std::size_t>(role)];
        const bool shares = params.fidelity == crossbar::Fidelity::large_small;
        for (const LayerId layer : layers) {
            cost::OperandDemand& demand = sums_[{layer, role}];
            demand.operand = {layer, role};
            demand.fidelity = params.fidelity;
            demand.bits_per_cell = params.device.bits_per_cell;
            // On shared arrays one product of a role follows another, but all heads of a softmax add up at
            // once.
            const bool in_turn = shares && role != Role::softmax;
            demand.arrays =
                in_turn ? std::max(demand.arrays, of_shape.arrays) : demand.arrays + of_shape.arrays;
            demand.vectors = std::max(demand.vectors, of_shape.vectors);
            if (of_shape.arrays > 0 && !shares) demand.written_cells += of_shape.activity.cell_writes;
            demand.storage_B += of_shape.storage_B;
            if (shares) demand.results_B += of_shape.results_B;
            demand.activity += of_shape.activity;
        }
    }

    std::vector<cost::OperandDemand> demands() const {
        std::vector<cost::OperandDemand> all;
        for (const auto& [operand, demand] : sums_) all.push_back(demand);
        return all;
    }

  private:
    const crossbar::OperandTable& operands_;
    std::map<crossbar::OperandOfLayer, cost::OperandDemand> sums_;
};

}  // namespace

ModelShapes shapes_of(const model::Transformer& network, std::size_t tokens) {
    const model::Architecture& a = network.architecture();
    model::Input input{ImageId(0)};
    std::vector<float> pixels(a.channels * a.image_size * a.image_size);
    std::vector<model::TextToken> text;
    if (a.takes_images()) {
        input.pixels = pixels;
    } else {
        CROSSWEEP_EXPECT(tokens <= a.tokens);
        for (std::uint32_t place = 0; place < tokens; ++place) text.push_back({0, place, 0});
        input.tokens = text;
    }
    ShapeRecorder recorder(network.stationary_weights());
    model::Activations activations;
    network.forward({&input, 1}, recorder, activations, {}, [](std::size_t, const MatrixView&) {});
    return recorder.take();
}

std::vector<cost::OperandDemand> demands_of(const ModelShapes& shapes, const PointParams& point) {
    const crossbar::ActivityCounter counter(point.crossbar, point.transform, point.operands);
    DemandSum sum(point.operands);
    const auto elements = [](Index rows, Index columns) {
        return static_cast<std::uint64_t>(rows * columns);
    };
    const std::uint64_t bytes = counter.activation_B();
    for (const auto& [shape, layers] : shapes.products) {
        sum.add(layers, {.operand = {{}, shape.role},
                         .arrays = counter.arrays_of(shape),
                         .vectors = elements(shape.vectors, 1),
                         .storage_B = counter.stored_B(shape),
                         .activity = counter.of_product(shape),
                         .results_B = elements(shape.vectors, shape.outputs) * bytes});
    }
    for (const auto& [shape, layers] : shapes.written) {
        crossbar::Activity activity = counter.of_writing(shape, shape.tokens);
        activity += counter.of_reading(shape);
        const bool is_keys = shape.role == Role::written_keys;
        const Index outputs = is_keys ? shape.tokens * (shape.width / shape.head_width) : shape.width;
        sum.add(layers, {.operand = {{}, shape.role},
                         .arrays = counter.arrays_of(shape),
                         .vectors = elements(shape.vectors, 1),
                         .activity = activity,
                         .results_B = elements(shape.vectors, outputs) * bytes});
    }
    // Functions leave their results where their inputs were. Of a norm's rows, which are written themselves,
    // copies would be of no use.
    for (const auto& [shape, layers] : shapes.functions) {
        sum.add(layers, {.operand = {{}, shape.role},
                         .arrays = counter.arrays_of_function(shape.role, shape.rows, shape.width),
                         .vectors = shape.role == Role::softmax ? elements(shape.rows, 1) : 1,
                         .activity = counter.of_function(shape.role, shape.rows, shape.width)});
    }
    return sum.demands();
}

}  // namespace crossweep::trial
