// Softmax, layer norms and GELU at level large_small: integers, sums on computation crossbars, the rest in a
// function unit (arXiv 2410.15977 decomposes them so; how is not published, all that follows is our
// assumption).
//
// Rows are rounded to codes of `input_bits` with a scale of their own. Softmax looks exp(x - largest) up, as
// a code again, and adds the codes up against a column of ones; the division leaves the codes as they are, so
// that the product with V that follows meets them again. A norm adds x up against ones and against x itself
// on cells. These cells hold what was wanted, fresh and verified: of their device they have what every read
// draws, telegraph noise and read noise per read. GELU is a table of codes. Scale, shift, root and division
// are those of the function unit, in fp32; residual sums stay there, too.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "crossweep/crossbar/cell_layout.hpp"
#include "crossweep/crossbar/cells.hpp"
#include "crossweep/crossbar/input_converter.hpp"
#include "crossweep/crossbar/read_draws.hpp"
#include "crossweep/linalg/matmul_engine.hpp"

namespace crossweep::crossbar {

class FunctionUnit {
  public:
    FunctionUnit(const OperandParams& operand, const CrossbarParams& crossbar);

    /// See MatmulEngine; `draws` names the noise of the sums, row by row.
    void softmax(linalg::MatrixView x, float scale, std::optional<Eigen::Index> first,
                 const ReadDraws& draws);
    void layer_norm(const linalg::ConstMatrixView& x, const linalg::Norm& norm, linalg::MatrixView y,
                    const ReadDraws& draws);
    void add_bias_gelu(linalg::MatrixView x, std::span<const float> bias, linalg::Gelu form) const;

  private:
    /// The codes of a row, whole numbers, and what one of them is worth.
    float to_codes(std::span<const float> x);

    /// Begin the sums of one row, which share their draws.
    void begin_row(const DrawIdentity& draws, StreamKey key, std::size_t sums);
    /// Sum of codes_ times `digits` on cells, as arrays read it: cycle by cycle, a group of rows at a time.
    double sum_on_cells(std::span<const float> digits, InputSign sign);
    /// The same with the codes themselves on cells.
    double sum_of_squares();
    double sum_of_codes(InputSign sign);
    /// The code that a converter gives for a group whose sum and swings are these.
    double convert(double sum, double swing, double variance);

    CrossbarParams crossbar_;
    CellLayout layout_;
    std::size_t rows_at_once_;
    bool exact_;
    Cells cells_;  ///< that the sums are made on
    double largest_code_of_adc_, step_of_adc_;
    std::vector<Cycle> signed_cycles_, unsigned_cycles_;

    std::vector<float> codes_, magnitudes_, ones_, digits_, normal_;
    std::vector<float> swings_, squares_;  ///< of the cells of one sum
    std::vector<std::uint32_t> states_;
    std::size_t next_ = 0;  ///< draw
};

}  // namespace crossweep::crossbar
