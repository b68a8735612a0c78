// Views, scratch memory and the digital engine.
#include "crossweep/linalg/matrix.hpp"

#include <gtest/gtest.h>

#include "crossweep/linalg/matmul_engine.hpp"
#include "linalg/normal_matrix.hpp"

namespace crossweep::linalg {
namespace {

TEST(Views, of_columns_share_the_memory_of_their_matrix) {
    Matrix matrix = normal_matrix(4, 10, 1);
    MatrixView part = columns_of(matrix, 3, 5);
    part(2, 4) = 77.0F;
    EXPECT_EQ(matrix(2, 7), 77.0F);
    MatrixView part_of_part = columns_of(part, 1, 2);
    EXPECT_EQ(part_of_part(3, 1), matrix(3, 5));
    EXPECT_EQ(row_of(const_view(part), 2)[4], 77.0F);
    EXPECT_EQ(row_of(part, 2).size(), 5U);
}

TEST(Scratch, gives_the_shape_asked_for_and_keeps_its_memory) {
    Scratch scratch;
    EXPECT_EQ(scratch.shaped(0, 0).size(), 0);
    MatrixView large = scratch.shaped(30, 20);
    EXPECT_EQ(large.rows(), 30);
    EXPECT_EQ(large.cols(), 20);
    large.setConstant(1.0F);
    const float* memory = large.data();
    MatrixView small = scratch.shaped(2, 5);
    EXPECT_EQ(small.outerStride(), 5);
    EXPECT_EQ(small.data(), memory);
    EXPECT_EQ(scratch.shaped(20, 30).data(), memory);
}

TEST(DigitalEngine, multiplies_by_the_weights_and_by_what_was_written) {
    constexpr Eigen::Index tokens = 7, width = 12, head_width = 4;
    const Matrix weight = normal_matrix(10, width, 1), x = normal_matrix(tokens, width, 2);
    const Matrix keys = normal_matrix(tokens, width, 3), values = normal_matrix(tokens, width, 4);
    const Matrix probabilities = normal_matrix(tokens, tokens, 5);
    const std::vector<StationaryWeight> weights{
        {LayerId(0), Role::mlp_in, 1, head_width, const_view(weight)}};
    DigitalEngine engine(weights);
    engine.begin_image(ImageId(3));
    Matrix y(tokens, 10), scores(tokens, tokens), context(tokens, head_width);
    engine.multiply(0, const_view(x), view(y));
    EXPECT_LT(largest_difference(y, x * weight.transpose()), 1e-5);
    engine.write(LayerId(0), 3, const_view(keys), const_view(values));
    for (std::size_t head = 0; head < 3; ++head) {
        const auto first = static_cast<Eigen::Index>(head) * head_width;
        engine.read_keys(head, const_view(Matrix(x.middleCols(first, head_width))), view(scores));
        EXPECT_LT(largest_difference(scores, x.middleCols(first, head_width) *
                                                 keys.middleCols(first, head_width).transpose()),
                  1e-5);
        engine.read_values(head, const_view(probabilities), view(context));
        EXPECT_LT(largest_difference(context, probabilities * values.middleCols(first, head_width)), 1e-5);
    }
}

}  // namespace
}  // namespace crossweep::linalg
