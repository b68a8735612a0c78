// Cells that hold exact digits, as bits: which rows of an array hold which digit. With inputs that are bits,
// too, a column's sum and the variance of its read noise follow from counts of bits (PHYSICS section 5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "crossweep/core/instruction_set.hpp"
#include "crossweep/crossbar/aligned_vector.hpp"
#include "crossweep/crossbar/mapping.hpp"

namespace crossweep::crossbar {

/// One plane of an operand. Row r of an array is bit r % 32 of word r / 32.
class DigitMasks {
  public:
    /// Digits above 0 and rows of an array that there are kernels for: a digit more is a count more.
    static constexpr float largest_digit = 3;
    static constexpr Eigen::Index largest_rows = 256;

    /// `held`, digits from 0 to `digits` in the operand's stored shape, on arrays whose rows begin at
    /// `input_edges` (0, ..., inputs).
    DigitMasks(const linalg::ConstMatrixView& held, Orientation orientation,
               std::span<const Eigen::Index> input_edges, std::uint32_t digits);

    std::uint32_t digits() const { return digits_; }  ///< above 0
    Eigen::Index words() const { return words_; }     ///< of a column of one array: 1, 2, 4 or 8
    Eigen::Index outputs() const { return outputs_; }

    /// [digit - 1, word, output] of the array in row tile `tile`, from output `first` on; outputs() apart.
    const std::uint32_t* of(Eigen::Index tile, Eigen::Index first) const {
        return masks_.data() + tile * static_cast<Eigen::Index>(digits_) * words_ * outputs_ + first;
    }

    /// The digits themselves, of an array with `held.rows()` or `held.cols()` rows, in the stored shape.
    void unpack(Eigen::Index tile, Eigen::Index first, Orientation orientation,
                linalg::MatrixView held) const;

    bool operator==(const DigitMasks&) const = default;

  private:
    std::uint32_t digits_;
    Eigen::Index words_, outputs_;
    AlignedVector<std::uint32_t> masks_;  ///< [row tile, digit - 1, word, output]
};

/// One token on one array: input bits [cycle, word] and the cells' masks as `DigitMasks::of` gives them.
struct MaskedRead {
    const std::uint32_t* bits;
    const std::uint32_t* masks;
    std::size_t cycles, columns;
    std::size_t mask_stride;                 ///< from one word of masks to the next
    std::span<const float> square_of_digit;  ///< (A(G) / S)^2 of a cell with digit 0, 1, ..., see Cells
    const float* normal;                     ///< [cycle, column] of read noise; null without
    float sigma;                             ///< of read noise, relative to A(G)
    float* sums;                             ///< result [cycle, column]
};

/// A function that computes `sums` with `set`, for masks of that many digits and words.
using MaskedReader = void (*)(const MaskedRead& read);
MaskedReader masked_reader(InstructionSet set, std::uint32_t digits, Eigen::Index words);

}  // namespace crossweep::crossbar
