// Activity from shapes alone: what an engine counts for products of that shape, without computing them.
//
// What a level of fidelity leaves out it stands for: a behavioural weight is one composite cell in the
// simulation, and slices of `bits_per_cell` on arrays with converters in the hardware that is counted.
//
// assumption: activations move as whole bytes of `input_bits`, sums of an array as two bytes; functions of
// rows look exponentials, roots and GELU up in tables; biases and residual sums cost nothing beside them.
#pragma once

#include "crossweep/crossbar/activity.hpp"
#include "crossweep/crossbar/crossbar_params.hpp"
#include "crossweep/crossbar/mapping.hpp"
#include "crossweep/transform/transform_params.hpp"

namespace crossweep::crossbar {

/// T input vectors times a stationary matrix [outputs, inputs].
struct ProductShape {
    linalg::Role role;
    Eigen::Index vectors = 0, outputs = 0, inputs = 0;
    Eigen::Index head_width = 0;
};

/// K or V [tokens, width], read by `vectors` rows of every head.
struct WrittenShape {
    linalg::Role role;
    Eigen::Index vectors = 0, tokens = 0, width = 0;
    Eigen::Index head_width = 0;
};

class ActivityCounter {
  public:
    ActivityCounter(const CrossbarParams& crossbar, const transform::TransformParams& transform,
                    const OperandTable& operands);

    Activity of_product(const ProductShape& shape) const;
    /// `new_tokens` of K or V [tokens, width]. With verification this assumes that digits occur equally
    /// often: how often a cell is written again depends on its digit.
    Activity of_writing(const WrittenShape& shape, Eigen::Index new_tokens) const;
    /// By all heads.
    Activity of_reading(const WrittenShape& shape) const;
    /// Softmax, layer norm or GELU of `rows` rows.
    Activity of_function(linalg::Role role, Eigen::Index rows, Eigen::Index width) const;

    // The parts of the above, for engines that count what arrays do themselves.
    /// What a product with a matrix [outputs, inputs], of K and V that of one head, moves; all that arrays do
    /// left out.
    Activity around_arrays(const ProductShape& shape) const;
    std::uint64_t read_steps(linalg::Role role, std::uint64_t vectors) const;

    /// Bytes of the matrix that storage crossbars hold, at level large_small; else 0.
    std::uint64_t stored_B(const ProductShape& shape) const;

    /// Arrays that the operand fills, columns for signs included; 0 if it is digital.
    std::uint64_t arrays_of(const ProductShape& shape) const;
    std::uint64_t arrays_of(const WrittenShape& shape) const;

    /// The same of a function of rows that adds up on arrays; else 0. The ones of a softmax's sum serve all
    /// rows. For the squares of a norm every row has a column, in as many arrays as can read at the same
    /// time.
    std::uint64_t arrays_of_function(linalg::Role role, Eigen::Index rows, Eigen::Index width) const;

    /// Cells of one weight, those for signs included.
    std::uint64_t cells_per_weight(linalg::Role role) const;
    /// Bytes of one activation.
    std::uint64_t activation_B() const;

  private:
    const OperandParams& operand(linalg::Role role) const {
        return operands_[static_cast<std::size_t>(role)];
    }
    bool is_digital(linalg::Role role) const { return operand(role).fidelity == Fidelity::digital; }
    /// Whether operands come from storage onto arrays that all of them share.
    bool shares_arrays(linalg::Role role) const { return operand(role).fidelity == Fidelity::large_small; }
    std::uint64_t cycles(linalg::Role role) const;
    /// Writing of `matrices` matrices [outputs, inputs], one pulse for each cell.
    Activity of_cells(linalg::Role role, std::uint64_t matrices, Eigen::Index outputs,
                      Eigen::Index inputs) const;
    /// What the arrays of a stored matrix, cut by `grid`, do for `vectors` input vectors.
    Activity of_arrays(linalg::Role role, std::uint64_t vectors, const ArrayGrid& grid,
                       Eigen::Index rows) const;
    /// Planes of cells by which a function adds up a row at level large_small: ones, and for the squares of a
    /// norm the row itself.
    std::uint64_t sums_of(linalg::Role role) const;
    /// The parameters by which rows of arrays are read.
    CrossbarParams reading(linalg::Role role) const;
    double writes_of_a_cell(linalg::Role role) const;

    CrossbarParams crossbar_;
    transform::TransformParams transform_;
    OperandTable operands_;
};

}  // namespace crossweep::crossbar
