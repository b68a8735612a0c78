// IR drop against the full network of an array, cell by cell.
#include "crossweep/crossbar/ir_drop.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "crossbar/nodal_solve.hpp"
#include "linalg/normal_matrix.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using linalg::Matrix;

constexpr float g_max_S = 1e-5F;

/// An array of [word lines, bit lines] and what its conductances look like.
struct Array {
    std::string name;
    Matrix conductance_S;
};

Array all_on(Index rows, Index columns) {
    return {"all on", Matrix::Constant(rows, columns, g_max_S)};
}

/// Magnitudes of normals, as mapped weights have them, at an on/off ratio of 100.
Array random(Index rows, Index columns) {
    const Matrix weight = linalg::normal_matrix(rows, columns, 1).cwiseAbs();
    return {"random", (g_max_S * (0.01F + 0.99F * (weight.array() / 2.5F).min(1.0F))).matrix()};
}

/// Half of the cells on, half off: where currents find most ways around.
Array binary(Index rows, Index columns) {
    const Matrix draw = linalg::normal_matrix(rows, columns, 2);
    return {"binary", draw.unaryExpr([](float x) { return x > 0 ? g_max_S : 0.01F * g_max_S; })};
}

std::vector<Array> arrays_of_all_kinds() {
    std::vector<Array> arrays;
    for (const auto& [rows, columns] :
         std::vector<std::pair<Index, Index>>{{4, 4}, {8, 8}, {16, 16}, {5, 9}, {9, 5}, {1, 7}, {7, 1}}) {
        arrays.push_back(all_on(rows, columns));
        arrays.push_back(random(rows, columns));
        arrays.push_back(binary(rows, columns));
    }
    return arrays;
}

Matrix with_drop(Matrix conductance_S, double resistance_ohm) {
    apply_ir_drop(linalg::view(conductance_S), Orientation::inputs_by_outputs, resistance_ohm);
    return conductance_S;
}

/// The resistance at which R G_max N^2 is `x`, N the longer side.
double resistance_for(double x, const Matrix& array) {
    const auto longest = static_cast<double>(std::max(array.rows(), array.cols()));
    return x / (static_cast<double>(g_max_S) * longest * longest);
}

/// Largest deviations from the full network.
struct Deviation {
    double element = 0;  ///< relative to G_max
    double column = 0;   ///< of the current of a column with all inputs on, relative to it
};

Deviation deviation(const Matrix& modelled, const MatrixXd& solved) {
    const MatrixXd model = modelled.cast<double>();
    return {(model - solved).cwiseAbs().maxCoeff() / static_cast<double>(g_max_S),
            (model.colwise().sum().array() / solved.colwise().sum().array() - 1).abs().maxCoeff()};
}

TEST(NodalSolve, of_one_cell_is_three_resistors_in_series) {
    const MatrixXd cell = MatrixXd::Constant(1, 1, 1e-5);
    EXPECT_NEAR(solved_array(cell, 1000)(0, 0), 1 / (1e5 + 2 * 1000), 1e-15);
}

// Word line: 1 kOhm, then a cell of 100 kOhm and its 1 kOhm bit line beside 1 kOhm and the same again.
TEST(NodalSolve, of_two_cells_on_one_word_line_is_a_ladder) {
    const MatrixXd cells = MatrixXd::Constant(1, 2, 1e-5);
    const double cell = 101e3, behind = 1e3 + cell;
    const double both = cell * behind / (cell + behind), first_V = both / (1e3 + both);
    const MatrixXd effective = solved_array(cells, 1000);
    EXPECT_NEAR(effective(0, 0), first_V / cell, 1e-15);
    EXPECT_NEAR(effective(0, 1), first_V / behind, 1e-15);
}

TEST(IrDrop, without_resistance_leaves_every_bit) {
    const Matrix array = random(13, 21).conductance_S;
    EXPECT_TRUE(with_drop(array, 0) == array);
}

TEST(IrDrop, of_one_cell_is_exact) {
    EXPECT_NEAR(with_drop(all_on(1, 1).conductance_S, 5000)(0, 0), 1e-5 / 1.1, 1e-12);
}

// Rows of 1 and 2, columns of 1 and 2 segments; conductances 1, 2, 3, 4 times 10 uS; R G = 0.01.
TEST(IrDrop, of_two_by_two_cells_is_as_computed_by_hand) {
    Matrix array(2, 2);
    array << 1e-5F, 2e-5F, 3e-5F, 4e-5F;
    const Matrix after = with_drop(array, 1000);
    EXPECT_NEAR(after(0, 0), 1e-5 / (1 + 0.01 * (1 + 2 + 2 * 1 + 3)), 1e-11);
    EXPECT_NEAR(after(0, 1), 2e-5 / (1 + 0.01 * (1 + 2 * 2 + 2 * 2 + 4)), 1e-11);
    EXPECT_NEAR(after(1, 0), 3e-5 / (1 + 0.01 * (3 + 4 + 1 + 3)), 1e-11);
    EXPECT_NEAR(after(1, 1), 4e-5 / (1 + 0.01 * (3 + 2 * 4 + 2 + 4)), 1e-11);
}

TEST(IrDrop, follows_the_formula_of_its_header_for_any_shape) {
    for (const auto& [rows, columns] : std::vector<std::pair<Index, Index>>{
             {1, 1}, {1, 40}, {40, 1}, {5, 9}, {16, 16}, {33, 20}, {64, 64}}) {
        const Matrix array = random(rows, columns).conductance_S;
        const double resistance = resistance_for(0.5, array);
        const Matrix after = with_drop(array, resistance);
        for (Index i = 0; i < rows; ++i) {
            for (Index j = 0; j < columns; ++j) {
                double sum = 0;
                for (Index l = 0; l < columns; ++l)
                    sum += static_cast<double>(std::min(j, l) + 1) * static_cast<double>(array(i, l));
                for (Index k = 0; k < rows; ++k)
                    sum += static_cast<double>(rows - std::max(i, k)) * static_cast<double>(array(k, j));
                const double expected = static_cast<double>(array(i, j)) / (1 + resistance * sum);
                ASSERT_NEAR(static_cast<double>(after(i, j)), expected, 2e-6 * expected);
            }
        }
    }
}

TEST(IrDrop, stays_within_the_stated_error_of_the_full_network) {
    for (const Array& array : arrays_of_all_kinds()) {
        for (const double x : {0.02, 0.1, 0.25, 0.5, 1.0, 2.0}) {
            const double resistance = resistance_for(x, array.conductance_S);
            const auto [element, column] =
                deviation(with_drop(array.conductance_S, resistance),
                          solved_array(array.conductance_S.cast<double>(), resistance));
            const std::string where = array.name + " " + std::to_string(array.conductance_S.rows()) + " x " +
                                      std::to_string(array.conductance_S.cols()) + " at " + std::to_string(x);
            EXPECT_LT(element, 0.12 * x * x + 1e-6) << where;
            EXPECT_LT(column, 0.07 * x * x + 1e-6) << where;
            if (x <= 1) {
                EXPECT_LT(element, 0.035) << where;
                EXPECT_LT(column, 0.035) << where;
            }
        }
    }
}

// First order means that half the resistance makes a quarter of the error.
TEST(IrDrop, errs_in_the_second_order_of_the_resistance) {
    for (const Array& array : {all_on(16, 16), random(16, 16), binary(16, 16), binary(5, 9)}) {
        const auto error = [&](double x) {
            const double resistance = resistance_for(x, array.conductance_S);
            return deviation(with_drop(array.conductance_S, resistance),
                             solved_array(array.conductance_S.cast<double>(), resistance))
                .element;
        };
        EXPECT_NEAR(error(0.04) / error(0.02), 4, 0.4) << array.name;
    }
}

// The twin of the two tests above: a resistance that is 5 % off is of first order and stands out.
TEST(IrDrop, with_a_resistance_off_by_five_percent_is_noticed) {
    for (const Array& array : {all_on(16, 16), random(16, 16), binary(16, 16)}) {
        const double x = 0.04, resistance = resistance_for(x, array.conductance_S);
        const MatrixXd solved = solved_array(array.conductance_S.cast<double>(), resistance);
        EXPECT_LT(deviation(with_drop(array.conductance_S, resistance), solved).element, 0.12 * x * x);
        for (const double factor : {0.95, 1.05})
            EXPECT_GT(deviation(with_drop(array.conductance_S, factor * resistance), solved).element,
                      0.2 * x * x)
                << array.name;
    }
}

TEST(IrDrop, grows_with_the_resistance_in_every_cell_and_never_turns_a_sign) {
    for (const Array& array : arrays_of_all_kinds()) {
        Matrix before = array.conductance_S;
        for (const double resistance_ohm : {1.0, 10.0, 100.0, 1e4, 1e6, 1e9}) {
            const Matrix after = with_drop(array.conductance_S, resistance_ohm);
            EXPECT_TRUE((after.array() < before.array()).all()) << array.name;
            EXPECT_TRUE((after.array() > 0).all()) << array.name;
            before = after;
        }
    }
}

TEST(IrDrop, takes_most_from_the_cell_farthest_from_source_and_amplifier) {
    const Array array = all_on(8, 12);
    const double resistance = resistance_for(0.5, array.conductance_S);
    const MatrixXd model = with_drop(array.conductance_S, resistance).cast<double>();
    for (const MatrixXd& effective : {model, solved_array(array.conductance_S.cast<double>(), resistance)}) {
        Index row = -1, column = -1;
        effective.minCoeff(&row, &column);
        EXPECT_EQ(std::pair(row, column), std::pair(Index{0}, Index{11}));
        effective.maxCoeff(&row, &column);
        EXPECT_EQ(std::pair(row, column), std::pair(Index{7}, Index{0}));
    }
}

TEST(IrDrop, is_the_same_for_a_matrix_stored_by_outputs) {
    for (const auto& [rows, columns] : std::vector<std::pair<Index, Index>>{{5, 9}, {33, 20}, {64, 64}}) {
        const Matrix array = random(rows, columns).conductance_S;
        Matrix transposed = array.transpose();
        apply_ir_drop(linalg::view(transposed), Orientation::outputs_by_inputs, 50);
        EXPECT_TRUE(Matrix(transposed.transpose()) == with_drop(array, 50));
    }
}

TEST(IrDrop, reads_and_writes_only_its_view) {
    const Matrix whole = random(20, 30).conductance_S;
    for (const Orientation orientation : {Orientation::inputs_by_outputs, Orientation::outputs_by_inputs}) {
        Matrix viewed = whole, part = whole.block(3, 4, 7, 18);
        apply_ir_drop({viewed.data() + 3 * 30 + 4, 7, 18, Eigen::OuterStride<>(30)}, orientation, 50);
        apply_ir_drop(linalg::view(part), orientation, 50);
        EXPECT_TRUE(viewed.block(3, 4, 7, 18) == part);
        viewed.block(3, 4, 7, 18) = whole.block(3, 4, 7, 18);
        EXPECT_TRUE(viewed == whole);
    }
}

TEST(IrDrop, of_no_cells_does_nothing) {
    Matrix none(0, 4);
    apply_ir_drop(linalg::view(none), Orientation::inputs_by_outputs, 1);
    EXPECT_EQ(none.size(), 0);
}

}  // namespace
}  // namespace crossweep::crossbar
