// An operand on arrays of cells: one analog sum and one conversion per array, column, slice and cycle, shift
// and add, digital accumulation over the arrays along the inputs (PHYSICS section 4).
#pragma once

#include <optional>
#include <vector>

#include "crossweep/crossbar/activity.hpp"
#include "crossweep/crossbar/adc.hpp"
#include "crossweep/crossbar/cells.hpp"
#include "crossweep/crossbar/digit_masks.hpp"
#include "crossweep/crossbar/input_converter.hpp"
#include "crossweep/crossbar/read_draws.hpp"

namespace crossweep::crossbar {

struct CircuitMatrix {
    ArrayGrid grid;
    std::vector<linalg::Matrix> planes;  ///< what the cells hold, in digits, in the operand's stored shape
    std::vector<DigitMasks> masks;       ///< instead of `planes`, where cells hold exact digits of few bits
    linalg::Matrix weight_of_code;       ///< [row tile, output]; a column of one array has one scale
    std::vector<Eigen::Index> input_edges;  ///< of the row tiles: 0, ..., inputs
    Eigen::Index outputs = 0;
    Eigen::Index array_columns = 0;  ///< of a whole array
};

/// Put `mapped` onto `cells`, plane by plane; here it is decided whether masks can hold what is on them.
void store(const MappedOperand& mapped, const ArrayGrid& grid, const CellIdentity& identity, Cells& cells,
           CircuitMatrix& matrix);

/// The part of an operand that a product uses: all of it, or one head. Edges of arrays on all sides.
struct Region {
    Eigen::Index first_input, inputs, first_output, outputs;
};

/// What reads the columns of an operand.
struct ColumnReaders {
    const AdcBank* adc = nullptr;
    std::optional<ReadDraws> draws;      ///< of read noise that is drawn at every read
    std::optional<ReadDraws> telegraph;  ///< of the states of telegraph noise
    SumHistogram* histogram = nullptr;   ///< counts the sums of a calibration
    Activity* activity = nullptr;        ///< counts what is read
};

/// Computes products of T tokens; keeps the memory that they need.
class CircuitMultiplier {
  public:
    /// y [T, region.outputs] = inputs [T, region.inputs] times the region of `matrix`, whose cells are
    /// `cells`.
    void multiply(const CircuitMatrix& matrix, const Cells& cells, InputConverter& inputs,
                  const Region& region, const ColumnReaders& readers, linalg::MatrixView y);

  private:
    /// [token, column]; sums of codes times input codes stay exact integers, as long as the analog sums do:
    /// in fp32, array_rows (2^bits_per_cell - 1) (2^dac_bits - 1) < 2^24.
    using Sums = Eigen::Map<Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
    struct Array;
    struct HeldCells;

    /// Zeros of that shape in `memory`, which only ever grows.
    static Sums zeros(std::vector<double>& memory, Eigen::Index rows, Eigen::Index columns);

    /// Read one plane of an array with all tokens; `number` counts them within the product, for the draws.
    void read_plane(const Array& array, const Plane& plane, std::size_t number, Sums sum);
    /// The same by counting bits.
    void count_plane(const Array& array, const Plane& plane, std::size_t number, Sums sum);
    HeldCells held_cells(const Array& array, const Plane& plane);
    /// The sums of `tokens` tokens from `first` on, [tokens * cycles, columns], with their read noise.
    linalg::MatrixView read_columns(const Array& array, const HeldCells& held, std::size_t number,
                                    Eigen::Index first, Eigen::Index tokens);
    /// Place of the draws of an array and plane within the row of draws of a token.
    static std::size_t first_draw(const Array& array, std::size_t number);
    /// Normals of one token's sums [cycle, column].
    std::span<const float> draw(const Array& array, std::size_t number, Eigen::Index token);
    /// Add telegraph noise to one token's sums [cycle, column]; `held` are the cells.
    void add_telegraph_noise(const Array& array, const HeldCells& held, std::size_t number,
                             Eigen::Index token, std::span<float> sums);

    InstructionSet instruction_set_ = best_instruction_set();
    linalg::Scratch held_, currents_, variances_, squares_;
    std::vector<std::uint32_t> bits_;  ///< of the inputs of one row tile [token, cycle, word]
    AlignedVector<float> normal_, counted_;
    std::vector<float> swing_;           ///< of telegraph noise, of the cells of a plane [input, column]
    std::vector<std::uint32_t> states_;  ///< of the cells that each sum adds up
    std::vector<double> array_sum_, total_;
};

}  // namespace crossweep::crossbar
