// An operand whose products need no converters: however many cells hold a weight, their sum is one weight,
// and one normal per output stands for the read noise of all of them. Behavioural and sliced level.
#pragma once

#include <optional>
#include <vector>

#include "crossweep/crossbar/cells.hpp"
#include "crossweep/crossbar/input_converter.hpp"
#include "crossweep/crossbar/mapped_operand.hpp"
#include "crossweep/crossbar/read_draws.hpp"
#include "crossweep/crossbar/read_variance.hpp"
#include "crossweep/crossbar/weight_codes.hpp"
#include "crossweep/linalg/gemm.hpp"
#include "crossweep/linalg/matrix.hpp"

namespace crossweep::crossbar {

/// What the cells of every weight stand for together.
struct LinearMatrix {
    linalg::Matrix mean;               ///< weights in the operand's stored shape; empty if codes or packed
    linalg::PackedMatrix packed;       ///< the same, where products always have the same number of rows
    std::optional<WeightCodes> codes;  ///< where products are sums of integers
    /// Sum over a weight's cells of (significance A(G))^2 in weight units: of every head of K or V, else of
    /// the whole; empty without read noise that is drawn at every read.
    std::vector<SquaredAmplitudes> amplitudes;
    Orientation orientation = Orientation::outputs_by_inputs;
    Eigen::Index head_width = 0;  ///< columns of `mean` that one product reads
};

/// Put `mapped` onto `cells` plane by plane and add the planes up. Weights become codes if they are codes or
/// can be rounded to some within `limits`; products that are read head by head are no sums of integers.
void store(MappedOperand& mapped, const ArrayGrid& grid, Eigen::Index head_width, const CodeLimits& limits,
           const CellIdentity& identity, Cells& cells, LinearMatrix& matrix);

/// Pack the weights, if they are no codes, for products of `rows` rows.
void pack(Eigen::Index rows, LinearMatrix& matrix);

/// Read noise that is drawn at every read.
struct ReadNoiseOfProduct {
    float sigma;
    ReadDraws draws;
    InputEnergy energy;
};

/// Computes products of T tokens; keeps the memory that they need.
class LinearMultiplier {
  public:
    /// y [T, outputs] = inputs [T, K] times head `head` of `matrix`, with noise if there is any.
    void multiply(const LinearMatrix& matrix, std::size_t head, InputConverter& inputs,
                  const std::optional<ReadNoiseOfProduct>& noise, linalg::MatrixView y);

  private:
    /// Weigh the sums of the blocks from output `first` on, add their noise and put them into `y`.
    void finish_blocks(const LinearMatrix& matrix, std::size_t head, InputConverter& inputs,
                       const std::optional<ReadNoiseOfProduct>& noise, Eigen::Index first,
                       linalg::MatrixView y);

    /// Sums of several blocks of 64 outputs [block, token, 64].
    std::vector<std::int32_t> codes_, variances_;
    std::vector<float> normal_;
    std::vector<DrawIdentity> draws_;  ///< [token]
};

}  // namespace crossweep::crossbar
