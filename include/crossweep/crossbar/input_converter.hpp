// Inputs as the DACs apply them: signed codes with one scale per token or product, cut into digits that are
// applied cycle by cycle.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crossweep/crossbar/crossbar_params.hpp"
#include "crossweep/crossbar/read_variance.hpp"
#include "crossweep/linalg/integer_product.hpp"
#include "crossweep/linalg/matrix.hpp"
#include "crossweep/linalg/quantise.hpp"

namespace crossweep::crossbar {

/// Inputs that cannot be negative, such as softmax's, need no cycles for signs.
enum class InputSign { both, not_negative };

/// What the variance of read noise grows with: the squares of inputs that are applied at once, or those of
/// the digits of every cycle.
enum class InputEnergy { at_once, by_cycles };

/// One cycle: which digit of the code is applied, and what it counts.
struct Cycle {
    enum class Of {
        code,                ///< the code in two's complement
        positive_magnitude,  ///< the code where it is positive, else 0
        negative_magnitude,  ///< minus the code where it is negative, else 0
    };
    Of of;
    std::uint32_t lowest_bit;
    std::int32_t largest_digit;  ///< 2^bits - 1
    float weight;                ///< the sum over all cycles of weight times digit is the code
};

/// The cycles of one product. Two's complement: the sign bit, then the digits from the lowest. Sign and
/// magnitude: the positive codes' digits from the lowest, then the negative ones'.
/// Needs `params.input_bits` of at least 2.
std::vector<Cycle> input_cycles(const CrossbarParams& params, InputSign sign);

/// The digit of `code` that `cycle` applies, 0 … largest_digit.
std::int32_t digit_of(std::int32_t code, const Cycle& cycle);

/// The largest input code; 0 for continuous inputs.
constexpr std::int32_t largest_input_code(std::uint32_t input_bits) {
    return input_bits == 0 ? 0 : (std::int32_t{1} << (input_bits - 1)) - 1;
}

/// Converts the inputs of one product, T tokens of K inputs, and keeps what the products ask for.
class InputConverter {
  public:
    explicit InputConverter(const CrossbarParams& params);

    /// Convert `x` [T, K], which must outlive the use of the views. Earlier views become invalid.
    void convert(const linalg::ConstMatrixView& x, InputSign sign);

    /// Inputs after conversion, code times step [T, K]; x itself if inputs are continuous.
    linalg::ConstMatrixView values();
    /// Their squares [T, K]: what the variance of one read of a composite cell grows with.
    linalg::ConstMatrixView squares();
    /// step^2 times the sum over the cycles of (weight digit)^2 [T, K]: the same when every cycle is a read.
    /// Continuous inputs are applied at once.
    linalg::ConstMatrixView cycle_energies();
    /// Squares or cycle energies in bytes, for variances.
    const Energies& energies(InputEnergy of);
    /// Codes as words, for products of integers. Not for continuous inputs.
    const linalg::WordRows& words();
    /// Digits [T * cycles, K], the cycles of one token below each other. Not for continuous inputs.
    linalg::ConstMatrixView digits();
    /// The digits' squares; the digits themselves if they are bits.
    linalg::ConstMatrixView squared_digits();
    /// Whether every digit is a bit.
    bool applies_bits() const;
    /// The bits of `count` inputs from `first` on, input i in bit i % 32 of word i / 32: [T, cycle, word],
    /// the unused bits and words 0. Needs `applies_bits()`.
    void pack_bits(Eigen::Index first, Eigen::Index count, Eigen::Index words,
                   std::vector<std::uint32_t>& packed);

    std::span<const Cycle> cycles() const { return (sign_ == InputSign::both ? signed_ : unsigned_).cycles; }
    /// Codes [T, K], integers. Not for continuous inputs.
    linalg::ConstMatrixView codes();
    /// What one code is worth, per token. Not for continuous inputs.
    std::span<const float> steps();

  private:
    struct Encoding {
        std::vector<Cycle> cycles;
        std::vector<float> energies;  ///< [code + largest code] sum over the cycles of (weight digit)^2
    };
    /// Energy of code 0, those of the other codes around it; made when they are first asked for.
    const float* energies_of_codes();
    /// Call `use(row)` for all rows, each with its scale, which is measured while the row is in the cache.
    template <class Use>
    void for_each_row(const Use& use);

    CrossbarParams params_;
    std::int32_t largest_code_ = 0;  ///< 0: continuous inputs
    Encoding signed_, unsigned_;

    InputSign sign_ = InputSign::both;
    linalg::ConstMatrixView inputs_{nullptr, 0, 0, Eigen::OuterStride<>(0)};
    std::vector<linalg::Quantiser> quantisers_;  ///< per token
    linalg::Scratch codes_, quantised_, squares_, energies_, digits_, squared_digits_;
    std::vector<float> steps_;
    linalg::WordRows words_;
    Energies squares_in_bytes_, energies_in_bytes_;
    /// What has been made of the present inputs.
    struct Kept {
        bool scales = false, values = false, codes = false, words = false, squares = false, energies = false;
        bool digits = false, squared_digits = false, squares_in_bytes = false, energies_in_bytes = false;
    };
    Kept kept_;
};

}  // namespace crossweep::crossbar
