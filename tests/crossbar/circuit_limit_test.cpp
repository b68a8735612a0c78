// Where the fidelities must agree: whole numbers come through a circuit exactly, and without noise every
// fidelity is the one before it.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>

#include "crossbar/chip.hpp"
#include "crossweep/core/noise_stream.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::Matrix;
using linalg::Role;
using Integers = Eigen::Matrix<std::int64_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// ---- Whole numbers

/// Whole numbers from `least` to `most`.
Matrix whole_numbers(Index rows, Index columns, int least, int most, std::uint32_t name) {
    Matrix matrix(rows, columns);
    for (Index i = 0; i < matrix.size(); ++i) {
        const auto word = philox_block({0xfeed, 1}, {name, 0, 0}, static_cast<std::uint32_t>(i))[0];
        matrix.data()[i] =
            static_cast<float>(least + static_cast<int>(word % static_cast<std::uint32_t>(most - least + 1)));
    }
    return matrix;
}

constexpr BlockShape shape{.tokens = 9, .width = 22, .hidden = 17, .heads = 2};

/// Weights whose largest is 255 in every part: a code is worth 1.
std::unique_ptr<const BlockWeights> whole_weights() {
    Matrix qkv = whole_numbers(3 * shape.width, shape.width, -255, 255, 1);
    for (const Index part : {0, 1, 2}) qkv(part * shape.width + 2, 3) = part == 1 ? 255 : -255;
    Matrix mlp = whole_numbers(shape.hidden, shape.width, -255, 255, 2);
    mlp(shape.hidden - 1, 0) = -255;
    return std::make_unique<BlockWeights>(shape, std::move(qkv), std::move(mlp));
}

/// Inputs whose largest is 127 in every token, for every head: a code is worth 1 too.
BlockInputs whole_inputs() {
    BlockInputs in(shape);
    in.x = whole_numbers(shape.tokens, shape.width, -127, 127, 3);
    in.queries = whole_numbers(shape.tokens, shape.width, -127, 127, 4);
    in.keys = whole_numbers(shape.tokens, shape.width, -255, 255, 5);
    in.values = whole_numbers(shape.tokens, shape.width, -255, 255, 6);
    in.probabilities = whole_numbers(shape.tokens, shape.tokens, 0, 127, 7);
    in.x.col(7).setConstant(-127);
    in.queries.col(1).setConstant(127);
    in.queries.col(shape.head_width() + 4).setConstant(-127);
    in.probabilities.col(5).setConstant(127);
    in.keys(4, 4) = 255;
    in.values(8, 20) = -255;
    return in;
}

/// The products in whole numbers of 64 bits; all are far below 2^24, so that fp32 holds them exactly.
Products integer_products(const BlockWeights& weights, const BlockInputs& in) {
    const auto product = [](const Matrix& x, const Matrix& w) -> Matrix {
        const Integers integer_x = x.cast<std::int64_t>(), integer_w = w.cast<std::int64_t>();
        return Integers(integer_x * integer_w).cast<float>();
    };
    Products out{Matrix(3 * shape.tokens, shape.width), product(in.x, weights.mlp().transpose()),
                 Matrix(shape.tokens, 2 * shape.tokens), product(in.probabilities, in.values)};
    for (const Index part : {0, 1, 2}) {
        out.qkv.middleRows(part * shape.tokens, shape.tokens) =
            product(in.x, weights.qkv().middleRows(part * shape.width, shape.width).transpose());
    }
    for (const Index head : {0, 1}) {
        const Index first = head * shape.head_width(), width = shape.head_width();
        out.scores.middleCols(head * shape.tokens, shape.tokens) =
            product(in.queries.middleCols(first, width), in.keys.middleCols(first, width).transpose());
    }
    return out;
}

struct ArraySize {
    std::uint32_t rows, columns;
};
constexpr ArraySize array_sizes[] = {{64, 64}, {5, 64}, {7, 3}};  // ragged: none divides 22, 11, 17 or 9
constexpr Mapping mappings[] = {Mapping::differential, Mapping::offset};
constexpr InputEncoding encodings[] = {InputEncoding::twos_complement, InputEncoding::sign_magnitude};

/// Call `check` with chips of all arrays, mappings, encodings, 1 … 4 bits per cell, and DACs of 1, 2 and all
/// bits.
template <class Check>
void for_every_circuit(Fidelity fidelity, Check&& check) {
    ChipParams params = noiseless_chip(fidelity);
    for (const ArraySize& size : array_sizes) {
        for (const Mapping mapping : mappings) {
            for (const InputEncoding encoding : encodings) {
                for (std::uint32_t bits = 1; bits <= 4; ++bits) {
                    for (const std::uint32_t dac_bits : {1U, 2U, 7U}) {
                        SCOPED_TRACE(testing::Message() << size.rows << " x " << size.columns
                                                        << " arrays, mapping " << static_cast<int>(mapping)
                                                        << ", encoding " << static_cast<int>(encoding) << ", "
                                                        << bits << " bits per cell, DAC of " << dac_bits);
                        params.crossbar.array_rows = size.rows;
                        params.crossbar.array_columns = size.columns;
                        params.crossbar.mapping = mapping;
                        params.crossbar.input_encoding = encoding;
                        params.crossbar.dac_bits = dac_bits;
                        params.device.bits_per_cell = bits;
                        check(params);
                    }
                }
            }
        }
    }
}

void expect_integer_products(const ChipParams& params) {
    static const BlockInputs in = whole_inputs();
    static const Products exact = integer_products(*whole_weights(), in);
    Chip chip(params, whole_weights());
    const Products products = products_of(chip.engine(), in);
    EXPECT_EQ(products.qkv, exact.qkv);
    EXPECT_EQ(products.mlp, exact.mlp);
    EXPECT_EQ(products.scores, exact.scores);
    EXPECT_EQ(products.context, exact.context);
}

TEST(WholeNumbers, come_through_a_circuit_with_exact_adcs_exactly) {
    for_every_circuit(Fidelity::circuit, expect_integer_products);
}

TEST(WholeNumbers, come_through_adcs_with_one_code_per_level_exactly) {
    for_every_circuit(Fidelity::circuit, [](ChipParams params) {
        const auto full =
            full_range(params.crossbar, static_cast<float>((1U << params.device.bits_per_cell) - 1));
        params.crossbar.adc_bits =
            static_cast<std::uint32_t>(std::bit_width(static_cast<std::uint32_t>(full)));
        expect_integer_products(params);
    });
}

// The full range of a smaller array, or of one bit less, is not enough.
TEST(WholeNumbers, do_not_come_through_adcs_of_one_bit_less) {
    ChipParams params = noiseless_chip(Fidelity::circuit);
    params.crossbar.array_rows = 5;  // 5 rows of digit 3: 15, four bits
    params.crossbar.adc_bits = 3;
    Chip chip(params, whole_weights());
    const BlockInputs in = whole_inputs();
    const Products products = products_of(chip.engine(), in), exact = integer_products(*whole_weights(), in);
    for (const auto product : {&Products::qkv, &Products::mlp, &Products::scores, &Products::context})
        EXPECT_NE(products.*product, exact.*product);
}

TEST(WholeNumbers, come_through_scales_of_every_block_to_rounding) {
    const BlockInputs in = whole_inputs();
    const Products exact = integer_products(*whole_weights(), in);
    for (const ScaleBlock block : {ScaleBlock::head, ScaleBlock::column, ScaleBlock::tile}) {
        ChipParams params = noiseless_chip(Fidelity::circuit);
        params.crossbar.weight_levels = 1 << 14;
        params.crossbar.weight_scale = params.crossbar.written_scale = block;
        params.crossbar.array_rows = 5;
        params.crossbar.array_columns = 7;
        Chip chip(params, whole_weights());
        EXPECT_LT(relative_error(products_of(chip.engine(), in), exact), 1e-4) << static_cast<int>(block);
    }
}

TEST(WholeNumbers, come_out_the_same_in_any_order_of_products) {
    const BlockInputs in = whole_inputs();
    const Products exact = integer_products(*whole_weights(), in);
    Chip chip(noiseless_chip(Fidelity::circuit), whole_weights());
    auto& engine = chip.engine();
    const Index width = shape.head_width();
    Matrix scores(shape.tokens, shape.tokens), context(shape.tokens, width), mlp(shape.tokens, shape.hidden);
    engine.begin_image(ImageId(0));
    engine.write(LayerId(2), 2, linalg::const_view(in.keys), linalg::const_view(in.values));
    for (const Index head : {1, 0, 1, 0}) {
        engine.read_values(static_cast<std::size_t>(head), linalg::const_view(in.probabilities),
                           linalg::view(context));
        EXPECT_EQ(context, exact.context.middleCols(head * width, width));
        engine.multiply(1, linalg::const_view(in.x), linalg::view(mlp));
        EXPECT_EQ(mlp, exact.mlp);
        engine.read_keys(static_cast<std::size_t>(head), linalg::columns_of(in.queries, head * width, width),
                         linalg::view(scores));
        EXPECT_EQ(scores, exact.scores.middleCols(head * shape.tokens, shape.tokens));
    }
}

// ---- Real numbers

/// `matrix` at the nearest of `levels` magnitudes up to its largest, in double.
Matrix at_levels(const Matrix& matrix, double levels) {
    const double step = static_cast<double>(matrix.cwiseAbs().maxCoeff()) / levels;
    return matrix.unaryExpr([&](float value) {
        return static_cast<float>(std::nearbyint(static_cast<double>(value) / step) * step);
    });
}

Matrix rows_at_levels(Matrix matrix, double levels) {
    for (Index row = 0; row < matrix.rows(); ++row) matrix.row(row) = at_levels(matrix.row(row), levels);
    return matrix;
}

/// Exact products of weights of 256 levels, a scale for each part, with inputs of 8 bits, a scale for each
/// token.
Products quantised_products() {
    BlockInputs in;
    const BlockWeights weights;
    const Index width = in.shape.width, head_width = in.shape.head_width();
    Matrix qkv = weights.qkv();
    for (const Index part : {0, 1, 2})
        qkv.middleRows(part * width, width) = at_levels(weights.qkv().middleRows(part * width, width), 255);
    in.x = rows_at_levels(in.x, 127);
    for (const Index head : {0, 1}) {
        in.queries.middleCols(head * head_width, head_width) =
            rows_at_levels(in.queries.middleCols(head * head_width, head_width), 127);
    }
    in.probabilities = rows_at_levels(in.probabilities, 127);
    in.keys = at_levels(in.keys, 255);
    in.values = at_levels(in.values, 255);
    const BlockWeights quantised(in.shape, qkv, at_levels(weights.mlp(), 255));
    linalg::DigitalEngine engine(quantised.all());
    return products_of(engine, in);
}

// fp32 rounds sums of 24 terms and a dozen digits to 2^-24 each: well below 1e-6 of the products' mean.
constexpr double rounding = 1e-6;

TEST(Fidelities, without_noise_all_are_the_product_of_quantised_operands) {
    const Products quantised = quantised_products();
    EXPECT_GT(relative_error(quantised, exact_products()), 1e-3);  // which is not the exact one
    EXPECT_LT(relative_error(noisy_products(noiseless_chip(Fidelity::behavioural)), quantised), rounding);
    for (const Fidelity fidelity : {Fidelity::sliced, Fidelity::circuit}) {
        for_every_circuit(fidelity, [&](const ChipParams& params) {
            EXPECT_LT(relative_error(noisy_products(params), quantised), rounding);
        });
    }
}

TEST(Fidelities, offset_is_differential_without_noise) {
    for (const Fidelity fidelity : {Fidelity::sliced, Fidelity::circuit}) {
        ChipParams params = noiseless_chip(fidelity);
        const Products differential = noisy_products(params);
        params.crossbar.mapping = Mapping::offset;
        EXPECT_LT(relative_error(noisy_products(params), differential), rounding);
    }
}

TEST(Fidelities, behavioural_without_levels_and_converters_is_digital) {
    EXPECT_LT(relative_error(noisy_products(ideal_chip()), exact_products()), rounding);
}

TEST(Fidelities, digital_is_the_digital_engine_to_the_bit) {
    ChipParams params;
    params.fidelity = Fidelity::digital;
    EXPECT_EQ(noisy_products(params), exact_products());
}

// Of two cells with one slice each, one holds 0: what remains is the sum that a composite cell gives.
TEST(Fidelities, one_slice_is_one_composite_cell_to_the_bit) {
    ChipParams params = noiseless_chip(Fidelity::behavioural);
    params.crossbar.weight_levels = 16;
    params.device.bits_per_cell = 4;
    const Products behavioural = noisy_products(params);
    params.fidelity = Fidelity::sliced;
    EXPECT_EQ(noisy_products(params), behavioural);
}

// ---- Operands of different fidelity

constexpr Fidelity on_crossbars[] = {Fidelity::behavioural, Fidelity::sliced, Fidelity::circuit};

ChipParams usual_noise(Fidelity fidelity, std::vector<Role> digital) {
    ChipParams params;
    params.fidelity = fidelity;
    params.crossbar.adc_range = AdcRange::full;
    params.digital = std::move(digital);
    return params;
}

TEST(Hybrid, of_digital_keys_and_values_has_exact_attention_products_and_noisy_weights) {
    const Products exact = exact_products();
    for (const Fidelity fidelity : on_crossbars) {
        const Products products =
            noisy_products(usual_noise(fidelity, {Role::written_keys, Role::written_values}));
        EXPECT_EQ(products.scores, exact.scores);
        EXPECT_EQ(products.context, exact.context);
        EXPECT_TRUE(((products.qkv - exact.qkv).array() != 0.0F).all());
        EXPECT_TRUE(((products.mlp - exact.mlp).array() != 0.0F).all());
    }
}

TEST(Hybrid, of_digital_weights_has_exact_weights_and_noisy_attention_products) {
    const Products exact = exact_products();
    for (const Fidelity fidelity : on_crossbars) {
        const Products products =
            noisy_products(usual_noise(fidelity, {Role::query, Role::key, Role::value, Role::mlp_in}));
        EXPECT_EQ(products.qkv, exact.qkv);
        EXPECT_EQ(products.mlp, exact.mlp);
        EXPECT_TRUE(((products.scores - exact.scores).array() != 0.0F).all());
        EXPECT_TRUE(((products.context - exact.context).array() != 0.0F).all());
    }
}

TEST(Hybrid, part_of_a_stacked_weight_is_exact_and_its_neighbours_are_as_without_it) {
    const Products exact = exact_products();
    const Index tokens = BlockShape().tokens;
    for (const Fidelity fidelity : on_crossbars) {
        const Products all = noisy_products(usual_noise(fidelity, {}));
        const Products hybrid = noisy_products(usual_noise(fidelity, {Role::key}));
        EXPECT_EQ(hybrid.qkv.middleRows(tokens, tokens), exact.qkv.middleRows(tokens, tokens));
        EXPECT_EQ(hybrid.qkv.topRows(tokens), all.qkv.topRows(tokens));
        EXPECT_EQ(hybrid.qkv.bottomRows(tokens), all.qkv.bottomRows(tokens));
        EXPECT_EQ(hybrid.scores, all.scores);
    }
}

}  // namespace
}  // namespace crossweep::crossbar
