// Counting bits instead of adding digits up: the same whole numbers with every instruction set, and the
// variance of read noise that the digits give.
#include "crossweep/crossbar/digit_masks.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "crossbar/chip.hpp"
#include "crossweep/core/error.hpp"

namespace crossweep::crossbar {
namespace {

using Eigen::Index;
using linalg::Matrix;

constexpr Orientation orientations[] = {Orientation::outputs_by_inputs, Orientation::inputs_by_outputs};

/// Those that this processor has.
std::vector<InstructionSet> instruction_sets() {
    std::vector<InstructionSet> sets;
    for (const auto set : {InstructionSet::portable, InstructionSet::avx2, InstructionSet::avx512}) {
        if (set <= best_instruction_set()) sets.push_back(set);
    }
    return sets;
}

/// Digits 0 … largest, [inputs, outputs] or transposed.
Matrix digits(Index inputs, Index outputs, std::uint32_t largest, Orientation orientation) {
    std::mt19937 generator(7);
    Matrix held(inputs, outputs);
    for (float& digit : held.reshaped()) digit = static_cast<float>(generator() % (largest + 1));
    return orientation == Orientation::outputs_by_inputs ? Matrix(held.transpose()) : held;
}

/// One array with everything that reads it: `rows` rows, 3 cycles of one token.
struct Array {
    Array(Index array_rows, Index array_columns, std::uint32_t largest_digit)
        : rows(array_rows),
          columns(array_columns),
          largest(largest_digit),
          held(digits(rows, columns, largest, Orientation::inputs_by_outputs)),
          masks(linalg::const_view(held), Orientation::inputs_by_outputs, std::vector<Index>{0, rows},
                largest),
          normal(linalg::normal_matrix(cycles, columns, 3)) {
        std::mt19937 generator(8);
        // No row, every row, and half of them.
        for (Index i = 0; i < rows; ++i) {
            applied(1, i) = 1;
            applied(2, i) = static_cast<float>(generator() & 1U);
        }
        bits.resize(static_cast<std::size_t>(cycles * masks.words()));
        for (Index c = 0; c < cycles; ++c) {
            for (Index i = 0; i < rows; ++i) {
                if (applied(c, i) != 0)
                    bits[static_cast<std::size_t>(c * masks.words() + i / 32)] |= 1U << (i % 32);
            }
        }
    }

    Matrix read(InstructionSet set, float sigma) const {
        Matrix sums(cycles, columns);
        masked_reader(set, masks.digits(), masks.words())(
            {bits.data(), masks.of(0, 0), static_cast<std::size_t>(cycles), static_cast<std::size_t>(columns),
             static_cast<std::size_t>(masks.outputs()), squares, sigma > 0 ? normal.data() : nullptr, sigma,
             sums.data()});
        return sums;
    }
    /// One cell after the other, in double.
    Matrix reference(double sigma) const {
        Matrix sums(cycles, columns);
        for (Index c = 0; c < cycles; ++c) {
            for (Index j = 0; j < columns; ++j) {
                double sum = 0, variance = 0;
                for (Index i = 0; i < rows; ++i) {
                    if (applied(c, i) == 0) continue;
                    sum += static_cast<double>(held(i, j));
                    variance += static_cast<double>(squares[static_cast<std::size_t>(held(i, j))]);
                }
                sums(c, j) =
                    static_cast<float>(sum + sigma * std::sqrt(variance) * static_cast<double>(normal(c, j)));
            }
        }
        return sums;
    }

    static constexpr Index cycles = 3;
    Index rows, columns;
    std::uint32_t largest;
    Matrix held, applied = Matrix::Zero(cycles, rows);
    DigitMasks masks;
    Matrix normal;
    std::vector<float> squares{0.01F, 1.21F, 4.41F, 9.61F};
    std::vector<std::uint32_t> bits;
};

/// Call `check` with arrays of 1, 2, 4 and 8 words, full and not, and columns that vectors do not divide.
template <class Check>
void for_every_array(Check&& check) {
    for (const std::uint32_t largest : {1U, 3U}) {
        for (const Index rows : {1, 32, 33, 64, 100, 128, 150, 256}) {
            for (const Index columns : {1, 37, 64}) {
                SCOPED_TRACE(testing::Message() << rows << " x " << columns << ", digits up to " << largest);
                check(Array(rows, columns, largest));
            }
        }
    }
}

TEST(DigitMasks, sums_are_those_of_the_digits_exactly_with_every_instruction_set) {
    for_every_array([](const Array& array) {
        const Matrix reference = array.reference(0);
        for (const auto set : instruction_sets()) EXPECT_EQ(array.read(set, 0), reference) << name_of(set);
    });
}

// fp32: a handful of roundings of numbers up to 3 x 256 rows.
TEST(DigitMasks, read_noise_has_the_variance_of_the_digits_that_are_read) {
    for_every_array([](const Array& array) {
        const float sigma = 0.3F;
        const Matrix reference = array.reference(static_cast<double>(sigma));
        const float largest = reference.cwiseAbs().maxCoeff();
        for (const auto set : instruction_sets()) {
            const Matrix read = array.read(set, sigma);
            EXPECT_LT((read - reference).cwiseAbs().maxCoeff(), 1e-6F * largest) << name_of(set);
            EXPECT_NE(read, array.read(set, 1.05F * sigma));
        }
    });
}

TEST(DigitMasks, noisy_sums_are_the_same_bits_with_every_instruction_set) {
    for_every_array([](const Array& array) {
        const Matrix portable = array.read(InstructionSet::portable, 0.05F);
        for (const auto set : instruction_sets()) EXPECT_EQ(array.read(set, 0.05F), portable) << name_of(set);
    });
}

// With a measured law of read noise larger conductances may be quieter: no difference of large numbers then
// makes a variance negative.
TEST(DigitMasks, variance_is_never_negative_where_amplitudes_fall_with_the_digit) {
    const Matrix held = Matrix::Constant(61, 16, 3);  // no cell of digit 0
    const DigitMasks masks(linalg::const_view(held), Orientation::inputs_by_outputs,
                           std::vector<Index>{0, 61}, 3);
    const std::vector<std::uint32_t> bits(static_cast<std::size_t>(masks.words()), 0x1fffffffU);
    const std::vector<float> normal(16, 1), squares{1.1F, 0.7F, 0.3F, 0};
    for (const auto set : instruction_sets()) {
        std::vector<float> sums(16);
        masked_reader(set, 3, masks.words())(
            {bits.data(), masks.of(0, 0), 1, 16, 16, squares, normal.data(), 0.05F, sums.data()});
        for (const float sum : sums) EXPECT_EQ(sum, 3 * 58) << name_of(set);
    }
}

TEST(DigitMasks, hold_every_digit_of_every_array) {
    const std::vector<Index> edges{0, 40, 80, 85};  // arrays of 40, 40 and 5 rows
    for (const Orientation orientation : orientations) {
        const Matrix held = digits(85, 30, 3, orientation);
        const DigitMasks masks(linalg::const_view(held), orientation, edges, 3);
        EXPECT_EQ(masks.words(), 2);
        const bool by_outputs = orientation == Orientation::outputs_by_inputs;
        for (std::size_t tile = 0; tile + 1 < edges.size(); ++tile) {
            const Index rows = edges[tile + 1] - edges[tile], first = 7, columns = 20;
            Matrix out = by_outputs ? Matrix(columns, rows) : Matrix(rows, columns);
            masks.unpack(static_cast<Index>(tile), first, orientation, linalg::view(out));
            EXPECT_EQ(out, by_outputs ? Matrix(held.block(first, edges[tile], columns, rows))
                                      : Matrix(held.block(edges[tile], first, rows, columns)));
        }
    }
}

TEST(DigitMasks, other_digits_or_words_have_no_reader) {
    EXPECT_THROW(masked_reader(InstructionSet::portable, 7, 2), InternalError);
    EXPECT_THROW(masked_reader(InstructionSet::portable, 3, 3), InternalError);
}

const CircuitMatrix& programmed_mlp(const Chip& chip) {
    return std::get<CircuitMatrix>(chip.programmed()[1][0]);
}

TEST(CircuitMatrix, holds_masks_of_perfect_cells_of_one_or_two_bits_and_numbers_of_all_others) {
    const auto expect = [](const ChipParams& params, bool as_masks) {
        Chip chip(params);
        EXPECT_EQ(programmed_mlp(chip).masks.empty(), !as_masks);
        EXPECT_EQ(programmed_mlp(chip).planes.empty(), as_masks);
    };
    ChipParams params = noiseless_chip(Fidelity::circuit);
    params.device.read_noise_sigma = 0.05;  // fresh at every read: what the cells hold stays exact
    for (const std::uint32_t bits : {1U, 2U, 3U, 4U}) {
        params.device.bits_per_cell = bits;
        expect(params, bits <= 2);
    }
    params.device.bits_per_cell = 2;
    for (const auto& [parameter, value] : {std::pair(&device::DeviceParams::programming_noise_sigma, 0.1),
                                           std::pair(&device::DeviceParams::stuck_at_g_max, 0.1)}) {
        ChipParams perturbed = params;
        perturbed.device.*parameter = value;
        expect(perturbed, false);
    }
    ChipParams dropping = params;
    dropping.crossbar.wire_resistance_ohm = 1;
    expect(dropping, false);
    ChipParams frozen = params;
    frozen.device.read_noise = device::ReadNoiseMode::frozen;
    expect(frozen, false);
}

// The same draws on cells that are perfect, and on cells that are so but for a resistance of the lines too
// small to change a digit by more than rounding: counted the one time, added up as numbers the other.
TEST(CircuitMatrix, gives_the_same_noisy_products_from_masks_and_from_numbers) {
    ChipParams params = noiseless_chip(Fidelity::circuit);
    params.device.read_noise_sigma = 0.05;
    for (const Orientation orientation : orientations) {
        const auto product =
            orientation == Orientation::outputs_by_inputs ? &Products::mlp : &Products::context;
        for (const std::uint32_t dac_bits : {1U, 2U}) {
            params.crossbar.dac_bits = dac_bits;
            params.crossbar.wire_resistance_ohm = 0;
            const Matrix counted = noisy_products(params).*product;
            params.crossbar.wire_resistance_ohm = 1e-9;
            const Matrix added_up = noisy_products(params).*product;
            EXPECT_LT((counted - added_up).norm(), 1e-5F * added_up.norm()) << dac_bits;
            params.crossbar.wire_resistance_ohm = 0;
            params.key.trial += 1;
            EXPECT_GT((noisy_products(params).*product - added_up).norm(), 1e-3F * added_up.norm());
        }
    }
}

}  // namespace
}  // namespace crossweep::crossbar
