// What arrays, converters and the logic around them do for one input, in whole numbers: energy and latency
// follow from it (cost). Engines count it while they multiply; ActivityCounter gives the same from shapes.
#pragma once

#include <compare>
#include <cstdint>
#include <map>

#include "crossweep/core/strong_id.hpp"
#include "crossweep/linalg/matmul_engine.hpp"

namespace crossweep::crossbar {

/// Bytes that a sum takes from an array to where it is added to others.
inline constexpr std::uint64_t sum_B = 2;

/// Of one operand. Operands that are digital have digital operations and bytes of the buffer alone.
struct Activity {
    std::uint64_t array_reads = 0;  ///< one array with one digit of one input vector on its rows
    std::uint64_t row_drives = 0;   ///< digits that DACs put onto rows of arrays
    /// Column sums converted; every code is then shifted and added to the sum of its output.
    std::uint64_t conversions = 0;
    /// Array reads that follow one another: arrays of an operand, those of all heads too, read at once. 0
    /// where arrays are shared.
    std::uint64_t read_steps = 0;

    std::uint64_t cell_writes = 0;   ///< cells written for this input
    std::uint64_t write_pulses = 0;  ///< the same with every repetition that verifying asked for
    std::uint64_t write_steps = 0;   ///< rows written one after the other; all arrays write at once

    std::uint64_t buffer_B = 0;        ///< inputs read from, outputs written to the buffer of activations
    std::uint64_t interconnect_B = 0;  ///< inputs to every array, sums of every array to where they are added
    std::uint64_t storage_B = 0;       ///< read from and written to storage crossbars (large_small)
    std::uint64_t digital_operations = 0;  ///< additions, multiplications, comparisons, table look-ups

    Activity& operator+=(const Activity& other);
    bool operator==(const Activity&) const = default;
};

/// An operand of a layer. Embedding and what stands after the blocks have the layer of their draws.
struct OperandOfLayer {
    LayerId layer;
    linalg::Role role;
    auto operator<=>(const OperandOfLayer&) const = default;
};

using ActivityTable = std::map<OperandOfLayer, Activity>;

}  // namespace crossweep::crossbar
