// Keys without their mean: another matrix, the same attention.
#include <gtest/gtest.h>

#include <cmath>

#include "crossweep/transform/operand_transform.hpp"
#include "linalg/normal_matrix.hpp"

namespace crossweep::transform {
namespace {

using Eigen::Index;
using linalg::Matrix;

/// Keys with an offset per channel, as trained attention has them.
Matrix keys_with_offsets(Index tokens, Index width) {
    Matrix keys = linalg::normal_matrix(tokens, width, 10);
    const Matrix offsets = 5 * linalg::normal_matrix(1, width, 11);
    keys.rowwise() += Eigen::RowVectorXf(offsets.row(0));
    return keys;
}

Matrix centred(Matrix keys) {
    centre_keys(linalg::view(keys));
    return keys;
}

Eigen::MatrixXd softmax_of_scores(const Matrix& queries, const Matrix& keys) {
    Eigen::MatrixXd scores = queries.cast<double>() * keys.cast<double>().transpose();
    scores /= std::sqrt(static_cast<double>(keys.cols()));
    for (Index row = 0; row < scores.rows(); ++row) {
        scores.row(row) = (scores.row(row).array() - scores.row(row).maxCoeff()).exp().matrix();
        scores.row(row) /= scores.row(row).sum();
    }
    return scores;
}

TEST(CentreKeys, takes_the_mean_from_every_channel) {
    Matrix keys(3, 2);
    keys << 1, 10, 2, 20, 6, 0;
    Matrix expected(3, 2);
    expected << -2, 0, -1, 10, 3, -10;
    EXPECT_TRUE(centred(keys) == expected);
    const Matrix many = centred(keys_with_offsets(197, 40));
    EXPECT_LT(static_cast<double>(many.colwise().mean().cwiseAbs().maxCoeff()), 1e-6);
}

// Rounding: K to 2^-24 of the offsets (at most 20), hence scores to |q|_1 20 2^-24 / sqrt(E) with |q|_1 below
// 80, that is 1.5e-5; a probability changes by no more than its score does.
TEST(CentreKeys, leaves_the_softmax_of_the_scores_unchanged_to_rounding) {
    const Matrix keys = keys_with_offsets(50, 64), queries = linalg::normal_matrix(20, 64, 12);
    const Eigen::MatrixXd before = softmax_of_scores(queries, keys);
    const Eigen::MatrixXd after = softmax_of_scores(queries, centred(keys));
    EXPECT_LT((after - before).cwiseAbs().maxCoeff(), 1.5e-5);
    // A twin: a mean taken with an error of 5 % in one token is noticed.
    Matrix wrong = centred(keys);
    wrong.row(7) += 0.05F * keys.colwise().mean();
    EXPECT_GT((softmax_of_scores(queries, wrong) - before).cwiseAbs().maxCoeff(), 1e-3);
}

TEST(CentreKeys, shrinks_the_largest_magnitude_of_keys_with_channel_offsets) {
    const Matrix keys = keys_with_offsets(50, 64);
    EXPECT_LT(centred(keys).cwiseAbs().maxCoeff(), 0.5F * keys.cwiseAbs().maxCoeff());
}

TEST(CentreKeys, of_no_tokens_are_no_keys) {
    Matrix none(0, 8);
    centre_keys(linalg::view(none));
    EXPECT_EQ(none.size(), 0);
}

}  // namespace
}  // namespace crossweep::transform
