// How matrices are laid onto crossbars, and how faithfully a product is computed. Defaults: ClipFormer
// (arXiv 2402.02586), section on ViT-X and Table I; what it leaves open is marked.
#pragma once

#include <array>
#include <cstdint>

#include "crossweep/device/device_params.hpp"
#include "crossweep/linalg/matmul_engine.hpp"

namespace crossweep::crossbar {

/// How a product is computed; each level contains the one before it.
enum class Fidelity {
    digital,      ///< exact fp32, no crossbar
    behavioural,  ///< one composite cell per weight, ideal converters
    sliced,   ///< weights in slices of a few bits, every cell with its noise, inputs bit by bit, ideal ADC
    circuit,  ///< besides: one analog sum and one conversion per array, column, slice and cycle
    large_small,  ///< integers throughout: a few rows of an array at once, so that sums convert exactly
};

/// Over which part of a matrix one largest magnitude W_max maps to G_max.
enum class ScaleBlock {
    tensor,  ///< the whole matrix; for K and V all heads of one (image, layer)
    head,    ///< one attention head
    column,  ///< one crossbar column, that is one output
    tile,    ///< one array of array_rows x array_columns
    token,   ///< K and V: one token, which can so be written before the next one is known
};

/// Over which part of the inputs one scale maps to the largest input code.
enum class InputScale {
    token,   ///< one input vector
    tensor,  ///< all input vectors of one product
};

/// How the slices of sliced and circuit level hold signed weights.
enum class Mapping {
    differential,  ///< a positive and a negative column per slice, converted apart, subtracted digitally
    offset,        ///< one column per slice holds W + W_max; W_max times the sum of inputs is subtracted
};

/// How signed input codes are applied bit by bit. Inputs that cannot be negative need no sign.
enum class InputEncoding {
    twos_complement,  ///< the sign bit in a cycle of its own, with negative weight
    sign_magnitude,   ///< positive inputs first, then the negative ones
};

/// What the largest code of an ADC stands for. Sums count in levels of a cell times units of an input digit:
/// 64 rows of 2-bit cells and 1-bit DACs reach 192. The first two never make a step finer than one, which
/// perfect cells could not fill.
enum class AdcRange {
    full,        ///< the largest possible sum of a column
    calibrated,  ///< a percentile of the sums that calibration images give, per layer, operand and slice
    given,       ///< adc_range_top; key "explicit"
};

struct CrossbarParams {
    std::uint32_t weight_levels = 256;  ///< conductance levels per magnitude, sign aside; 0 = continuous
    std::uint32_t input_bits = 8;       ///< signed, symmetric; 0 = continuous
    ScaleBlock weight_scale = ScaleBlock::tensor;
    ScaleBlock written_scale = ScaleBlock::tensor;
    InputScale input_scale = InputScale::token;
    std::uint32_t array_rows = 64;
    std::uint32_t array_columns = 64;
    double wire_resistance_ohm = 0;  ///< of one line between neighbouring cells; 0 = no IR drop
    /// How large rounding weights to integers may be beside an output's frozen read noise; 0 = no rounding.
    double weight_rounding = 0.01;  ///< assumption: 10^-4 of the noise's power

    // Sliced and circuit level.
    Mapping mapping = Mapping::differential;  ///< assumption
    InputEncoding input_encoding = InputEncoding::twos_complement;
    std::uint32_t dac_bits = 1;  ///< input bits applied per cycle

    // Circuit level.
    std::uint32_t adc_bits = 6;  ///< 0 = exact conversion
    AdcRange adc_range = AdcRange::calibrated;
    double adc_range_top = 64;                 ///< with AdcRange::given; assumption
    double adc_percentile = 99.9;              ///< assumption
    std::uint32_t adc_calibration_images = 8;  ///< assumption
    double adc_gain_sigma = 0;                 ///< of each column's gain, relative, once per trial
    double adc_offset_sigma = 0;               ///< of each column's offset, in steps, once per trial

    /// Level large_small: rows of an array that one read drives; 0 = as many as the converters resolve
    /// exactly.
    std::uint32_t rows_at_once = 0;

    bool operator==(const CrossbarParams&) const = default;
};

/// Who multiplies with one operand.
struct OperandParams {
    Fidelity fidelity = Fidelity::behavioural;
    device::DeviceParams device;
    bool operator==(const OperandParams&) const = default;
};

/// [linalg::Role]
using OperandTable = std::array<OperandParams, linalg::role_count>;

}  // namespace crossweep::crossbar
