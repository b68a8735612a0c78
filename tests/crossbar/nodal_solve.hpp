// The resistive network of one crossbar array, solved as it stands: what approximations of IR drop are held
// against.
#pragma once

#include <Eigen/SparseCholesky>
#include <cmath>
#include <vector>

#include "crossweep/core/error.hpp"

namespace crossweep::crossbar {

/// Effective conductances [rows, columns] of an array of `conductance_S` [rows, columns], word lines driven
/// in front of column 0, bit lines sensed at 0 V below the last row, every segment with `resistance_ohm`.
inline Eigen::MatrixXd solved_array(const Eigen::MatrixXd& conductance_S, double resistance_ohm) {
    using Eigen::Index;
    const Index rows = conductance_S.rows(), columns = conductance_S.cols(), cells = rows * columns;
    const double segment_S = 1 / resistance_ohm;
    std::vector<Eigen::Triplet<double>> entries;
    const auto to_fixed = [&](Index node, double g) { entries.emplace_back(node, node, g); };
    const auto between = [&](Index a, Index b, double g) {
        to_fixed(a, g);
        to_fixed(b, g);
        entries.emplace_back(a, b, -g);
        entries.emplace_back(b, a, -g);
    };
    const auto word = [&](Index row, Index column) { return row * columns + column; };
    const auto bit = [&](Index row, Index column) { return cells + row * columns + column; };
    for (Index row = 0; row < rows; ++row) {
        for (Index column = 0; column < columns; ++column) {
            between(word(row, column), bit(row, column), conductance_S(row, column));
            if (column > 0) between(word(row, column - 1), word(row, column), segment_S);
            if (row > 0) between(bit(row - 1, column), bit(row, column), segment_S);
        }
        to_fixed(word(row, 0), segment_S);
    }
    for (Index column = 0; column < columns; ++column) to_fixed(bit(rows - 1, column), segment_S);
    Eigen::SparseMatrix<double> nodes(2 * cells, 2 * cells);
    nodes.setFromTriplets(entries.begin(), entries.end());
    const Eigen::SimplicialLDLT<Eigen::SparseMatrix<double>> solver(nodes);
    if (solver.info() != Eigen::Success) throw InternalError("The nodal equations have no solution.");
    Eigen::MatrixXd effective_S(rows, columns);
    for (Index row = 0; row < rows; ++row) {
        Eigen::VectorXd source_A = Eigen::VectorXd::Zero(2 * cells);
        source_A[word(row, 0)] = segment_S;  // 1 V behind the first segment
        const Eigen::VectorXd volt = solver.solve(source_A);
        effective_S.row(row) = segment_S * volt.tail(columns).transpose();
    }
    return effective_S;
}

}  // namespace crossweep::crossbar
