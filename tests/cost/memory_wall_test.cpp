// Counts against the totals published in arXiv 2302.14017 and 2403.14123, as many digits as are printed.
#include "crossweep/cost/memory_wall.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "crossweep/cost/published_shapes.hpp"

namespace crossweep::cost {
namespace {

struct PublishedTotal {
    const char* model;
    std::size_t tokens;
    double gflop, gflop_digit;  ///< with the unit of its last printed digit
    double gmop, gmop_digit;
    double intensity, intensity_digit;
};

constexpr PublishedTotal published[] = {
    {"bert-base", 128, 22.42, 0.01, 0.14, 0.01, 159.68, 0.01},
    {"bert-base", 256, 46, 1, 0.2, 0.1, 215, 1},
    {"bert-base", 512, 97.02, 0.01, 0.42, 0.01, 231.0, 0.1},
    {"bert-base", 1024, 214, 1, 1.1, 0.1, 202, 1},
    {"bert-base", 2048, 505, 1, 3.2, 0.1, 156, 1},
    {"bert-base", 4096, 1323.66, 0.01, 11.22, 0.01, 117.96, 0.01},
    {"gpt2", 128, 22.12, 0.01, 11.08, 0.01, 2.0, 0.1},
    {"gpt2", 256, 45, 1, 22.5, 0.1, 2.0, 0.1},
    {"gpt2", 512, 92.15, 0.01, 46.17, 0.01, 2.00, 0.01},
    {"gpt2", 1024, 194, 1, 97.3, 0.1, 2, 1},
    {"gpt2", 2048, 428, 1, 214.3, 0.1, 2, 1},
    {"gpt2", 4096, 1012.04, 0.01, 507.80, 0.01, 1.99, 0.01},
};

constexpr PublishedTotal published_bert_large[] = {
    {"bert-large", 128, 73, 1, 0.4, 0.1, 171, 1},    {"bert-large", 256, 149, 1, 0.6, 0.1, 239, 1},
    {"bert-large", 512, 310, 1, 1.2, 0.1, 266, 1},   {"bert-large", 1024, 673, 1, 2.9, 0.1, 235, 1},
    {"bert-large", 2048, 1554, 1, 8.7, 0.1, 179, 1}, {"bert-large", 4096, 3942, 1, 29.9, 0.1, 131, 1},
};

const TransformerShape& shape_named(const std::string& name) {
    return *find_published_shape(name);
}

/// Whether all three figures are as printed; `units` of the last digit, 0.5 for rounding.
bool agrees(const TransformerCost& cost, const PublishedTotal& row, double units = 0.5) {
    const OperationCost sum = total(cost);
    const auto near = [&](double value, double printed, double digit) {
        return std::abs(value - printed) <= units * digit;
    };
    return near(sum.flop / 1e9, row.gflop, row.gflop_digit) &&
           near(sum.moved_B() / 1e9, row.gmop, row.gmop_digit) &&
           near(sum.intensity_flop_per_B(), row.intensity, row.intensity_digit);
}

/// `spoil` is applied to every count before it is compared.
bool all_agree(const std::function<void(TransformerCost&)>& spoil) {
    return std::ranges::all_of(published, [&](const PublishedTotal& row) {
        TransformerCost cost = count_operations(shape_named(row.model), row.tokens);
        spoil(cost);
        return agrees(cost, row);
    });
}

TEST(MemoryWall, totals_of_bert_base_and_gpt2_are_as_published) {
    for (const PublishedTotal& row : published)
        EXPECT_TRUE(agrees(count_operations(shape_named(row.model), row.tokens), row))
            << row.model << " at " << row.tokens;
}

// The published BERT-Large lacks one of the four projections of each block, and its figures are not all
// rounded alike: at 4096 tokens 3942 / 29.9 is 131.8, where 131 is printed. Hence a whole unit of the last
// digit.
TEST(MemoryWall, totals_of_bert_large_are_as_published_without_one_projection_per_block) {
    for (const PublishedTotal& row : published_bert_large) {
        const TransformerShape& shape = shape_named(row.model);
        const auto depth = static_cast<double>(shape.depth), width = static_cast<double>(shape.width),
                   tokens = static_cast<double>(row.tokens);
        TransformerCost cost = count_operations(shape, row.tokens);
        EXPECT_FALSE(agrees(cost, row, 1)) << "with all projections, at " << row.tokens;
        cost[0].flop -= 2 * depth * width * width * tokens;
        cost[0].weights_B -= depth * width * width;
        EXPECT_TRUE(agrees(cost, row, 1)) << "at " << row.tokens;
    }
}

TEST(MemoryWall, a_wrong_coefficient_is_noticed_in_every_class) {
    ASSERT_TRUE(all_agree([](TransformerCost&) {}));
    for (std::size_t i = 0; i < operation_count; ++i) {
        EXPECT_FALSE(all_agree([&](TransformerCost& cost) { cost[i].flop *= 1.05; })) << operation_names[i];
        EXPECT_FALSE(all_agree([&](TransformerCost& cost) { cost[i].activations_B *= 1.05; }))
            << operation_names[i];
    }
    const auto spoil_fitted = [](double flop, double bytes) {
        return [=](TransformerCost& cost) {
            cost.back().flop *= flop;
            cost.back().activations_B *= bytes;
        };
    };
    EXPECT_FALSE(all_agree(spoil_fitted(59.0 / 58, 1)));
    EXPECT_FALSE(all_agree(spoil_fitted(1, 18.0 / 17)));
    EXPECT_FALSE(all_agree(spoil_fitted(1, 23.0 / 22)));
    EXPECT_FALSE(all_agree([](TransformerCost& cost) {
        for (OperationCost& operation : cost) operation.weights_B *= 1.05;
    }));
    EXPECT_FALSE(all_agree([](TransformerCost& cost) {
        for (OperationCost& operation : cost) operation.cache_B *= 1.05;
    }));
}

TEST(MemoryWall, encoder_products_are_those_of_a_loop_over_their_elements) {
    const TransformerShape shape{"tiny", Kind::encoder, 1, 6, 2, 10, 5, {}};
    const std::size_t l = 5, d = 6, h = 2, f = 10, e = d / h;
    const auto product = [](std::size_t rows, std::size_t columns, std::size_t inner) {
        return static_cast<double>(rows * columns * (2 * inner - 1));
    };
    const auto bias = [](std::size_t rows, std::size_t columns) {
        return static_cast<double>(rows * columns);
    };
    const TransformerCost cost = count_operations(shape, l);
    EXPECT_DOUBLE_EQ(cost[0].flop, 4 * (product(l, d, d) + bias(l, d)));
    EXPECT_DOUBLE_EQ(cost[1].flop, h * product(l, l, e));
    EXPECT_DOUBLE_EQ(cost[3].flop, h * product(l, e, l));
    EXPECT_DOUBLE_EQ(cost[4].flop, product(l, f, d) + bias(l, f) + product(l, d, f) + bias(l, d));
}

TEST(MemoryWall, an_encoder_moves_its_weights_once_and_a_decoder_at_every_token) {
    TransformerShape shape = shape_named("gpt2");
    const double weights = 12.0 * (4 * 768 * 768 + 2 * 768 * 3072);
    EXPECT_DOUBLE_EQ(total(count_operations(shape, 100)).weights_B, 100 * weights);
    shape.kind = Kind::encoder;
    EXPECT_DOUBLE_EQ(total(count_operations(shape, 100)).weights_B, weights);
    EXPECT_DOUBLE_EQ(total(count_operations(shape, 100)).cache_B, 0);
}

TEST(MemoryWall, a_token_passes_six_matrices_of_a_block_one_after_the_other) {
    EXPECT_DOUBLE_EQ(total(count_operations(shape_named("bert-base"), 100)).vector_products, 12 * 6 * 100);
    EXPECT_DOUBLE_EQ(total(count_operations(shape_named("gpt2"), 100)).vector_products, 12 * 6 * 100);
}

TEST(MemoryWall, dropped_tokens_cost_nothing) {
    TransformerShape shape{"drops", Kind::encoder, 2, 6, 2, 10, 8, {1, 0.5}};
    TransformerShape block{"block", Kind::encoder, 1, 6, 2, 10, 8, {}};
    const double parts = total(count_operations(block, 8)).flop + total(count_operations(block, 4)).flop;
    EXPECT_DOUBLE_EQ(total(count_operations(shape, 8)).flop, parts);
}

TEST(PublishedShapes, are_found_however_the_name_is_written) {
    EXPECT_EQ(find_published_shape("GPT-2"), find_published_shape("gpt2"));
    EXPECT_EQ(find_published_shape("BERT-Large")->depth, 24U);
    EXPECT_EQ(find_published_shape("bert"), nullptr);
    for (const TransformerShape& shape : published_shapes())
        EXPECT_EQ(find_published_shape(shape.name), &shape);
}

}  // namespace
}  // namespace crossweep::cost
