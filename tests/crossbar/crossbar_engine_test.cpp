// Products on a chip: the ideal limit, what noise depends on and what it must not depend on.
#include "crossweep/crossbar/crossbar_engine.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "crossbar/chip.hpp"
#include "crossweep/core/error.hpp"

namespace crossweep::crossbar {
namespace {

using device::ReadNoiseMode;
using Eigen::Index;
using linalg::columns_of;
using linalg::const_view;
using linalg::largest_difference;
using linalg::Matrix;
using linalg::view;

constexpr ReadNoiseMode both_modes[] = {ReadNoiseMode::per_read, ReadNoiseMode::frozen};
constexpr Fidelity on_crossbars[] = {Fidelity::behavioural, Fidelity::sliced, Fidelity::circuit,
                                     Fidelity::large_small};

/// The field's usual noise. ADCs are exact: coarse ones would hide the smallest differences.
ChipParams noisy_chip(ReadNoiseMode mode, Fidelity fidelity = Fidelity::behavioural) {
    ChipParams params;
    params.fidelity = fidelity;
    params.device.read_noise = mode;
    params.crossbar.adc_bits = 0;
    return params;
}

/// The same at every fidelity with crossbars, with fresh and with frozen read noise.
std::vector<ChipParams> noisy_chips() {
    std::vector<ChipParams> chips;
    for (const Fidelity fidelity : on_crossbars) {
        for (const ReadNoiseMode mode : both_modes) chips.push_back(noisy_chip(mode, fidelity));
    }
    return chips;
}

TEST(CrossbarEngine, ideal_limit_is_the_digital_result) {
    for (const ReadNoiseMode mode : both_modes) {
        for (const ScaleBlock block :
             {ScaleBlock::tensor, ScaleBlock::head, ScaleBlock::column, ScaleBlock::tile}) {
            ChipParams params = ideal_chip();
            params.device.read_noise = mode;
            params.crossbar.weight_scale = params.crossbar.written_scale = block;
            params.crossbar.array_rows = 5;
            params.crossbar.array_columns = 7;
            EXPECT_LT(relative_error(noisy_products(params), exact_products()), 1e-6);
        }
    }
}

TEST(CrossbarEngine, ideal_limit_is_reached_by_each_non_ideality_alone) {
    const Products exact = exact_products();
    const auto error = [&](auto&& change) {
        ChipParams params = ideal_chip();
        change(params);
        return relative_error(noisy_products(params), exact);
    };
    EXPECT_LT(error([](ChipParams& p) { p.device.read_noise_sigma = 1e-6; }), 1e-5);
    EXPECT_LT(error([](ChipParams& p) { p.device.write_noise_sigma = 1e-6; }), 1e-5);
    EXPECT_LT(error([](ChipParams& p) { p.device.programming_noise_sigma = 1e-6; }), 1e-5);
    EXPECT_LT(error([](ChipParams& p) { p.device.write_noise_sigma = 0.1, p.device.write_noise_factor = 0; }),
              1e-6);
    EXPECT_LT(error([](ChipParams& p) { p.crossbar.weight_levels = 1 << 20; }), 1e-5);
    EXPECT_LT(error([](ChipParams& p) { p.crossbar.input_bits = 16; }), 1e-4);
    EXPECT_GT(error([](ChipParams& p) { p.device.read_noise_sigma = 0.05; }), 1e-3);
    EXPECT_GT(error([](ChipParams& p) { p.device.write_noise_sigma = 0.1; }), 1e-2);
    EXPECT_GT(error([](ChipParams& p) { p.device.programming_noise_sigma = 0.1; }), 1e-2);
}

// Half a step of 1 / 255 W_max for weights and 1 / 127 x_max for inputs, uniform: well below 2 % together.
TEST(CrossbarEngine, eight_bit_limit_is_close) {
    ChipParams params = ideal_chip();
    params.crossbar = CrossbarParams{};
    const double error = relative_error(noisy_products(params), exact_products());
    EXPECT_LT(error, 0.02);
    EXPECT_GT(error, 1e-4);
}

TEST(CrossbarEngine, coarser_converters_are_worse) {
    const Products exact = exact_products();
    double finer = 0;
    for (const std::uint32_t bits : {10U, 8U, 6U, 4U, 3U}) {
        ChipParams params = ideal_chip();
        params.crossbar.input_bits = bits;
        const double error = relative_error(noisy_products(params), exact);
        EXPECT_GT(error, 1.5 * finer) << bits;
        finer = error;
    }
    finer = 0;
    for (const std::uint32_t levels : {1024U, 256U, 64U, 16U, 4U}) {
        ChipParams params = ideal_chip();
        params.crossbar.weight_levels = levels;
        const double error = relative_error(noisy_products(params), exact);
        EXPECT_GT(error, 1.5 * finer) << levels;
        finer = error;
    }
}

TEST(CrossbarEngine, input_scale_of_a_token_ignores_other_tokens) {
    BlockInputs in;
    in.x.row(3) *= 1000.0F;  // leaves nothing of the others' codes where one scale serves all
    ChipParams params = ideal_chip();
    params.crossbar.input_bits = 8;
    const Matrix exact = exact_products(in).mlp;
    const auto error_of_first_row = [&](InputScale scale) {
        params.crossbar.input_scale = scale;
        const Matrix noisy = noisy_products(params, ImageId(0), in).mlp;
        return static_cast<double>((noisy.row(0) - exact.row(0)).norm() / exact.row(0).norm());
    };
    EXPECT_LT(error_of_first_row(InputScale::token), 0.02);
    EXPECT_GT(error_of_first_row(InputScale::tensor), 0.5);
}

// A few chips are an average over 11 x (72 + 40 + 22 + 24) outputs each.
TEST(CrossbarEngine, more_noise_is_not_better_on_average) {
    const Products exact = exact_products();
    const auto mean_error = [&](auto&& set) {
        double sum = 0;
        for (std::uint32_t trial = 0; trial < 5; ++trial) {
            ChipParams params;
            params.key.trial = trial;
            set(params.device);
            sum += relative_error(noisy_products(params), exact);
        }
        return sum / 5;
    };
    for (const ReadNoiseMode mode : both_modes) {
        double less = 0;
        for (const double factor : {0.0, 1.0, 3.0, 4.0, 5.0, 10.0}) {
            const double error = mean_error([&](device::DeviceParams& device) {
                device.read_noise = mode;
                device.write_noise_factor = factor;
            });
            EXPECT_GT(error, less) << "gamma " << factor;
            less = error;
        }
        less = 0;
        for (const double sigma : {0.0, 0.02, 0.05, 0.1, 0.3}) {
            const double error = mean_error([&](device::DeviceParams& device) {
                device.read_noise = mode;
                device.write_noise_factor = 0;
                device.read_noise_sigma = sigma;
            });
            EXPECT_GT(error, less) << "sigma_R " << sigma;
            less = error;
        }
        less = 0;
        for (const double sigma : {0.0, 0.02, 0.05, 0.2}) {
            const double error = mean_error([&](device::DeviceParams& device) {
                device.read_noise = mode;
                device.read_noise_sigma = device.write_noise_factor = 0;
                device.programming_noise_sigma = sigma;
            });
            EXPECT_GT(error, less) << "programming " << sigma;
            less = error;
        }
    }
}

TEST(CrossbarEngine, same_seeds_give_the_same_bits) {
    for (const ChipParams& params : noisy_chips()) {
        EXPECT_EQ(noisy_products(params), noisy_products(params));
        Chip chip(params);
        const Products first = products_of(chip.engine(), BlockInputs(), ImageId(4));
        products_of(chip.engine(), BlockInputs(), ImageId(5));
        EXPECT_EQ(products_of(chip.engine(), BlockInputs(), ImageId(4)), first);  // no state is left behind
    }
}

TEST(CrossbarEngine, other_seed_or_trial_gives_other_noise_everywhere) {
    for (ChipParams params : noisy_chips()) {
        const Products original = noisy_products(params);
        const std::uint32_t original_seed = params.key.seed;
        for (const StreamKey key : {StreamKey{original_seed + 1, 0}, StreamKey{original_seed, 1}}) {
            params.key = key;
            const Products other = noisy_products(params);
            EXPECT_TRUE(((other.qkv - original.qkv).array() != 0.0F).all());
            EXPECT_TRUE(((other.mlp - original.mlp).array() != 0.0F).all());
            EXPECT_TRUE(((other.scores - original.scores).array() != 0.0F).all());
            EXPECT_TRUE(((other.context - original.context).array() != 0.0F).all());
        }
    }
}

TEST(CrossbarEngine, frozen_weights_are_the_same_for_two_images_and_fresh_reads_are_not) {
    for (const ChipParams& params : noisy_chips()) {
        Chip chip(params);
        const Products first = products_of(chip.engine(), BlockInputs(), ImageId(0));
        const Products second = products_of(chip.engine(), BlockInputs(), ImageId(1));
        const bool frozen = params.device.read_noise == ReadNoiseMode::frozen;
        EXPECT_EQ(first.qkv == second.qkv, frozen);
        EXPECT_EQ(first.mlp == second.mlp, frozen);
        EXPECT_NE(first.scores, second.scores);  // K and V are written anew in both
        EXPECT_NE(first.context, second.context);
    }
}

TEST(CrossbarEngine, noise_of_the_chip_is_not_that_of_the_first_image) {
    for (const Fidelity fidelity : on_crossbars) {
        ChipParams params = noisy_chip(ReadNoiseMode::frozen, fidelity);
        params.device.programming_noise_sigma = 0.1;
        Chip chip(params);
        EXPECT_EQ(products_of(chip.engine(), BlockInputs(), ImageId(0)).qkv,
                  products_of(chip.engine(), BlockInputs(), ImageId(7)).qkv);
    }
}

// Exponents of drift differ from cell to cell, but a cell keeps its own, whatever is written to it.
TEST(CrossbarEngine, drift_of_k_and_v_is_the_chips) {
    ChipParams params = ideal_chip();
    params.device.drift_exponent = 0.05;
    params.device.drift_exponent_sigma = 0.02;
    params.device.written_t_read_s = 1000;
    Chip chip(params);
    const WrittenOperands first = written_operands(chip.engine(), BlockInputs(), ImageId(0));
    const WrittenOperands second = written_operands(chip.engine(), BlockInputs(), ImageId(1));
    EXPECT_EQ(first.keys, second.keys);
    EXPECT_EQ(first.values, second.values);
}

TEST(CrossbarEngine, order_of_the_products_does_not_matter) {
    const BlockInputs in;
    for (const ChipParams& params : noisy_chips()) {
        Chip chip(params);
        const Products forward = products_of(chip.engine(), in);
        const Index tokens = in.shape.tokens, width = in.shape.width, head_width = in.shape.head_width();
        Products backward{Matrix(3 * tokens, width), Matrix(tokens, in.shape.hidden),
                          Matrix(tokens, 2 * tokens), Matrix(tokens, width)};
        auto& engine = chip.engine();
        engine.begin_image(ImageId(0));
        engine.write(LayerId(2), 2, const_view(in.keys), const_view(in.values));
        for (const std::size_t head : {1U, 0U}) {
            const Index first = static_cast<Index>(head) * head_width;
            engine.read_values(head, const_view(in.probabilities),
                               columns_of(backward.context, first, head_width));
            engine.read_keys(head, columns_of(in.queries, first, head_width),
                             columns_of(backward.scores, static_cast<Index>(head) * tokens, tokens));
        }
        engine.multiply(1, const_view(in.x), view(backward.mlp));
        engine.multiply(0, const_view(in.x), view(backward.qkv));
        EXPECT_EQ(backward, forward);
    }
}

// Noise is named by token, head and channel: the first rows have it whatever follows. (Only rounding may
// differ, as the products of another height may be summed in another order.)
TEST(CrossbarEngine, noise_of_a_token_does_not_depend_on_the_number_of_tokens) {
    BlockInputs many, few(BlockShape{.tokens = 6});
    for (BlockInputs* in : {&many, &few}) {
        in->keys.row(0).setConstant(5.0F);  // the largest stands in the first row, so that W_max is the same
        in->values.row(0).setConstant(5.0F);
        in->probabilities.rightCols(in->shape.tokens - 6).setZero();
    }
    for (const ChipParams& params : noisy_chips()) {
        // Draws of circuits follow the columns of an array.
        if (params.fidelity == Fidelity::circuit || params.fidelity == Fidelity::large_small) continue;
        const Products of_many = noisy_products(params, ImageId(3), many);
        const Products of_few = noisy_products(params, ImageId(3), few);
        const Products exact = exact_products(few);
        const auto expect_same_noise = [](const Matrix& a, const Matrix& b, const Matrix& without) {
            const double scale = static_cast<double>(without.cwiseAbs().maxCoeff());
            EXPECT_LT(largest_difference(a, b), 1e-5 * scale);
            EXPECT_GT(largest_difference(b, without), 1e-2 * scale);
        };
        for (const Index part : {0, 1, 2}) {
            expect_same_noise(of_many.qkv.middleRows(part * many.shape.tokens, 6),
                              of_few.qkv.middleRows(part * 6, 6), exact.qkv.middleRows(part * 6, 6));
        }
        expect_same_noise(of_many.mlp.topRows(6), of_few.mlp, exact.mlp);
        expect_same_noise(of_many.scores.topLeftCorner(6, 6), of_few.scores.leftCols(6),
                          exact.scores.leftCols(6));
        expect_same_noise(of_many.scores.block(0, 11, 6, 6), of_few.scores.rightCols(6),
                          exact.scores.rightCols(6));
    }
    // The read noise of the context sums over all tokens; what was written does not.
    ChipParams written_only = ideal_chip();
    written_only.device.write_noise_sigma = 0.1;
    const Matrix of_many = noisy_products(written_only, ImageId(3), many).context;
    const Matrix of_few = noisy_products(written_only, ImageId(3), few).context;
    EXPECT_LT(largest_difference(of_many.topRows(6), of_few), 1e-5);
}

TEST(CrossbarEngine, noise_does_not_depend_on_the_size_of_the_arrays) {
    for (const Fidelity fidelity : {Fidelity::behavioural, Fidelity::sliced}) {
        ChipParams params = noisy_chip(ReadNoiseMode::per_read, fidelity);
        const Products original = noisy_products(params);
        params.crossbar.array_rows = 5;
        params.crossbar.array_columns = 7;
        EXPECT_EQ(noisy_products(params), original);
    }
}

TEST(CrossbarEngine, heads_layers_and_operands_have_noise_of_their_own) {
    BlockInputs in;
    const Index head_width = in.shape.head_width();
    in.keys.rightCols(head_width) = in.keys.leftCols(head_width).eval();
    in.queries.rightCols(head_width) = in.queries.leftCols(head_width).eval();
    in.values = in.keys;
    for (const ReadNoiseMode mode : both_modes) {
        ChipParams params = ideal_chip();
        params.device.read_noise = mode;
        params.device.write_noise_sigma = 0.1;
        Chip written(params);
        const WrittenOperands operands = written_operands(written.engine(), in, ImageId(0));
        EXPECT_NE(operands.keys, operands.values);
        EXPECT_NE(operands.keys.leftCols(head_width), operands.keys.rightCols(head_width));

        params.device.write_noise_sigma = 0;
        params.device.read_noise_sigma = 0.1;
        const Products products = noisy_products(params, ImageId(0), in);
        EXPECT_NE(products.scores.leftCols(in.shape.tokens), products.scores.rightCols(in.shape.tokens));
        EXPECT_NE(products.context.leftCols(head_width), products.context.rightCols(head_width));

        Chip chip(params);
        Matrix of_layer_1(in.shape.tokens, head_width), of_layer_2 = of_layer_1;
        for (const auto& [layer, context] : {std::pair(1U, &of_layer_1), std::pair(2U, &of_layer_2)}) {
            chip.engine().begin_image(ImageId(0));
            chip.engine().write(LayerId(layer), in.shape.heads, const_view(in.keys), const_view(in.values));
            chip.engine().read_values(0, const_view(in.probabilities), view(*context));
        }
        EXPECT_NE(of_layer_1, of_layer_2);
    }
}

TEST(CrossbarEngine, zero_operands_give_zero_products_without_read_noise) {
    BlockInputs in;
    in.keys.setZero();
    in.values.setZero();
    in.x.setZero();
    for (ChipParams params : noisy_chips()) {
        params.device.read_noise_sigma = 0;
        const Products products = noisy_products(params, ImageId(0), in);
        for (const Matrix* product : {&products.qkv, &products.mlp, &products.scores, &products.context}) {
            EXPECT_TRUE((product->array() == 0.0F).all());
        }
    }
}

// A point whose numbers overflow must fail: slices, which hold whole numbers, must not lose them.
TEST(CrossbarEngine, what_is_not_finite_reaches_the_products) {
    for (ChipParams params : noisy_chips()) {
        for (const InputScale scale : {InputScale::token, InputScale::tensor}) {
            params.crossbar.input_scale = scale;
            for (const float bad :
                 {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
                BlockInputs in;
                in.x(3, 5) = in.keys(3, 5) = in.values(3, 5) = bad;
                const Products products = noisy_products(params, ImageId(0), in);
                for (const auto product :
                     {&Products::qkv, &Products::mlp, &Products::scores, &Products::context})
                    EXPECT_FALSE(std::isfinite((products.*product).sum()));
            }
        }
    }
}

// beta = 0.5 leaves (0.5 G_max - G_min) / (G_max - G_min) = 0.49 / 0.99 of W_max at an on/off ratio of 100.
TEST(CrossbarEngine, transform_clips_k_and_v_and_no_weight) {
    ChipParams params = ideal_chip();
    params.transform.beta = 0.5;
    const BlockInputs in;
    BlockInputs clipped = in;
    for (Matrix* operand : {&clipped.keys, &clipped.values}) {
        const float most = 0.49F / 0.99F * operand->cwiseAbs().maxCoeff();
        *operand = operand->cwiseMin(most).cwiseMax(-most);
    }
    const Products exact = exact_products(in), wanted = exact_products(clipped),
                   got = noisy_products(params, ImageId(0), in);
    EXPECT_LT(largest_difference(got.scores, wanted.scores), 1e-4);
    EXPECT_LT(largest_difference(got.context, wanted.context), 1e-4);
    EXPECT_GT(largest_difference(got.scores, exact.scores), 0.1);
    EXPECT_LT(largest_difference(got.qkv, exact.qkv), 1e-4);
    EXPECT_LT(largest_difference(got.mlp, exact.mlp), 1e-4);
}

TEST(CrossbarEngine, clamp_of_the_window_bounds_what_is_written) {
    const BlockInputs in;
    const double largest = static_cast<double>(in.keys.cwiseAbs().maxCoeff());
    const auto extremes = [&](device::Clamp clamp) {
        ChipParams params = ideal_chip();
        params.device.write_noise_sigma = 0.5;
        params.device.clamp = clamp;
        Chip chip(params);
        const Matrix keys = written_operands(chip.engine(), in, ImageId(0)).keys;
        // Along the wanted sign: a negative magnitude is a conductance below G_min.
        const Matrix magnitude = (keys.array() * in.keys.array().sign()).matrix();
        return std::pair(static_cast<double>(magnitude.minCoeff()) / largest,
                         static_cast<double>(magnitude.maxCoeff()) / largest);
    };
    EXPECT_LT(extremes(device::Clamp::none).first, -0.5);
    EXPECT_GT(extremes(device::Clamp::none).second, 1.5);
    EXPECT_NEAR(extremes(device::Clamp::non_negative).first, -1.0 / 99, 1e-5);
    EXPECT_GT(extremes(device::Clamp::non_negative).second, 1.5);
    EXPECT_NEAR(extremes(device::Clamp::window).first, 0, 1e-5);
    EXPECT_NEAR(extremes(device::Clamp::window).second, 1, 1e-5);
}

TEST(CrossbarEngine, more_tokens_than_the_random_stream_can_name_are_refused) {
    Chip chip({}, BlockShape{.tokens = 1});
    const Matrix one = Matrix::Ones(1, 1), queries = Matrix::Ones(65537, 1);
    Matrix scores(65537, 1);
    chip.engine().begin_image(ImageId(0));
    chip.engine().write(LayerId(0), 1, const_view(one), const_view(one));
    EXPECT_THROW(chip.engine().read_keys(0, const_view(queries), view(scores)), InternalError);
}

}  // namespace
}  // namespace crossweep::crossbar
