#include "crossweep/linalg/gemm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <vector>

#include "crossweep/core/build_info.hpp"
#include "crossweep/core/error.hpp"
#include "linalg/normal_matrix.hpp"

namespace crossweep::linalg {
namespace {

using Eigen::Index;

/// A view of the middle of a larger matrix: its rows are further apart than they are long.
ConstMatrixView middle(const Matrix& matrix, Index rows, Index columns) {
    return {matrix.data() + 2 * matrix.outerStride() + 3, rows, columns,
            Eigen::OuterStride<>(matrix.outerStride())};
}

/// Largest difference to a double loop, in units of sum |x_i| |w_i|.
template <class Weight>
double error_of(const ConstMatrixView& x, const Matrix& y, Weight&& weight) {
    double largest = 0;
    for (Index row = 0; row < y.rows(); ++row) {
        for (Index column = 0; column < y.cols(); ++column) {
            double sum = 0, magnitude = 0;
            for (Index i = 0; i < x.cols(); ++i) {
                const double term = static_cast<double>(x(row, i)) * static_cast<double>(weight(i, column));
                sum += term;
                magnitude += std::abs(term);
            }
            largest = std::max(largest, std::abs(sum - static_cast<double>(y(row, column))) / magnitude);
        }
    }
    return largest;
}

struct Shape {
    Index rows, inner, columns;
};
const std::vector<Shape> shapes{{1, 1, 1},    {1, 64, 5},    {7, 3, 1},
                                {17, 31, 13}, {50, 64, 192}, {197, 64, 197}};

TEST(Gemm, agrees_with_a_double_loop) {
    for (const auto& [rows, inner, columns] : shapes) {
        const Matrix x = normal_matrix(rows, inner, 1), w = normal_matrix(inner, columns, 2);
        const Matrix transposed = w.transpose();
        // What stood there before, even a NaN, must not matter.
        Matrix y = Matrix::Constant(rows, columns, std::numeric_limits<float>::quiet_NaN());
        multiply(const_view(x), const_view(w), view(y));
        EXPECT_LT(error_of(const_view(x), y, [&](Index i, Index c) { return w(i, c); }), 1e-6);
        y.setConstant(std::numeric_limits<float>::quiet_NaN());
        multiply_transposed(const_view(x), const_view(transposed), view(y));
        EXPECT_LT(error_of(const_view(x), y, [&](Index i, Index c) { return w(i, c); }), 1e-6);
    }
}

TEST(Gemm, reads_and_writes_strided_views_and_nothing_beside_them) {
    for (const auto& [rows, inner, columns] : shapes) {
        const Matrix x = normal_matrix(rows + 5, inner + 7, 1), w = normal_matrix(inner + 4, columns + 9, 2);
        const Matrix transposed = w.transpose();
        const auto weight = [&](Index i, Index c) { return w(i + 2, c + 3); };
        const ConstMatrixView transposed_part(transposed.data() + 3 * transposed.outerStride() + 2, columns,
                                              inner, Eigen::OuterStride<>(transposed.outerStride()));
        for (const bool use_transposed : {false, true}) {
            Matrix whole = Matrix::Constant(rows, columns + 6, 77.0F);
            if (use_transposed) {
                multiply_transposed(middle(x, rows, inner), transposed_part, columns_of(whole, 4, columns));
            } else {
                multiply(middle(x, rows, inner), middle(w, inner, columns), columns_of(whole, 4, columns));
            }
            EXPECT_LT(error_of(middle(x, rows, inner), whole.middleCols(4, columns), weight), 1e-6);
            EXPECT_TRUE((whole.leftCols(4).array() == 77.0F).all());
            EXPECT_TRUE((whole.rightCols(2).array() == 77.0F).all());
        }
    }
}

TEST(Gemm, refuses_shapes_that_do_not_fit) {
    const Matrix x = normal_matrix(4, 6, 1), w = normal_matrix(6, 5, 2);
    const Matrix transposed = w.transpose();
    Matrix fits(4, 5), too_wide(4, 6), too_high(5, 5);
    EXPECT_NO_THROW(multiply(const_view(x), const_view(w), view(fits)));
    EXPECT_NO_THROW(multiply_transposed(const_view(x), const_view(transposed), view(fits)));
    EXPECT_THROW(multiply(const_view(x), const_view(transposed), view(fits)), InternalError);
    EXPECT_THROW(multiply_transposed(const_view(x), const_view(w), view(fits)), InternalError);
    for (Matrix* wrong : {&too_wide, &too_high}) {
        EXPECT_THROW(multiply(const_view(x), const_view(w), view(*wrong)), InternalError);
        EXPECT_THROW(multiply_transposed(const_view(x), const_view(transposed), view(*wrong)), InternalError);
    }
    try {
        multiply(const_view(x), const_view(transposed), view(fits));
    } catch (const InternalError& error) {
        EXPECT_STREQ(error.what(), "product of [4, 6] and [5, 6] does not give [4, 5]");
    }
}

TEST(Gemm, repeats_to_the_bit) {
    const Matrix x = normal_matrix(50, 64, 1), w = normal_matrix(192, 64, 2);
    Matrix first(50, 192), again(50, 192);
    multiply_transposed(const_view(x), const_view(w), view(first));
    multiply_transposed(const_view(x), const_view(w), view(again));
    EXPECT_EQ(first, again);
}

TEST(ArithmeticPath, names_our_instruction_set_and_that_of_the_library) {
    const std::string ours = instruction_set() + " + oneDNN ";
    const std::string path = arithmetic_path();
    ASSERT_THAT(path, testing::StartsWith(ours));
    EXPECT_THAT(path.substr(ours.size()), testing::MatchesRegex("all|sse41|avx[0-9a-z_]*"));
}

TEST(PackedMatrix, gives_the_same_products_to_the_bit) {
    int packed_shapes = 0;
    for (const auto& [rows, outputs, inputs] : std::vector<std::array<Eigen::Index, 3>>{
             {197, 384, 384}, {197, 384, 1536}, {50, 64, 256}, {3, 5, 7}}) {
        const Matrix x = normal_matrix(rows, inputs, 1), w = normal_matrix(outputs, inputs, 2);
        Matrix plain(rows, outputs), packed(rows, outputs + 3);
        multiply_transposed(const_view(x), const_view(w), view(plain));
        const PackedMatrix weights(const_view(w), rows);
        if (weights.empty()) continue;
        ++packed_shapes;
        weights.multiply(const_view(x), columns_of(packed, 3, outputs));  // rows apart
        EXPECT_EQ(Matrix(packed.rightCols(outputs)), plain) << rows << " x " << outputs << " x " << inputs;
        Matrix wide(rows, inputs + 5);
        wide.middleCols(2, inputs) = x;
        weights.multiply(const_view(columns_of(wide, 2, inputs)), view(plain));
        EXPECT_EQ(Matrix(packed.rightCols(outputs)), plain);
    }
    if (packed_shapes == 0) GTEST_SKIP() << "oneDNN packs nothing on this processor";
}

TEST(PackedMatrix, refuses_other_shapes) {
    const Matrix x = normal_matrix(4, 8, 1), w = normal_matrix(5, 8, 2);
    Matrix y(4, 5);
    const PackedMatrix weights(const_view(w), 3);
    EXPECT_THROW(weights.multiply(const_view(x), view(y)), InternalError);
}

}  // namespace
}  // namespace crossweep::linalg
