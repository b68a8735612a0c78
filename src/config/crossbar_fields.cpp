// The keys of [crossbar] and [fidelity_of].
#include "field_rows.hpp"
#include "operands.hpp"

namespace crossweep::config {
namespace {

using enum FieldKind;
using enum Role;
using S = Settings;
using P = crossbar::CrossbarParams;

constexpr std::string_view in = "crossbar";

std::vector<std::string> scale_blocks() {
    return {"tensor", "head", "column", "tile"};
}

std::vector<std::string> written_scale_blocks() {
    auto blocks = scale_blocks();
    blocks.push_back("token");
    return blocks;
}

// The words of crossbar.fidelity leave out digital: a study whose rest is digital has no crossbar.
constexpr double first_fidelity = static_cast<double>(crossbar::Fidelity::behavioural);

constexpr Access at_fidelity{[](const Settings& settings, const std::string&) -> Value {
                                 return static_cast<double>(settings.fidelity) - first_fidelity;
                             },
                             [](Settings& settings, const std::string&, const Value& value) {
                                 from_value(settings.fidelity, std::get<double>(value) + first_fidelity);
                             }};

// One entry reads as a row: formatting would give each argument a line.
// clang-format off
std::vector<Field> mapping_fields() {
    return {
        {in, "fidelity", choice, at_fidelity, {}, {"behavioural", "sliced", "circuit", "large_small"},
         "how a product is computed",
         "`behavioural`: one composite cell per weight, ideal converters. `sliced`: slices of a few bits, every "
         "cell with its noise, inputs bit by bit, ideal ADC. `circuit`: besides, one analog sum and one "
         "conversion per array, column, slice and cycle. `large_small`: integers throughout, a few rows of an array "
         "at once, functions of rows too (docs/fidelity.md). Of operands that [fidelity_of] does not name.",
         selection},
        {in, "weight_levels", integer, at<&S::crossbar, &P::weight_levels>(), or_zero(from_to(2, 65536)), {},
         "conductance levels per magnitude",
         "Sign aside; 0: continuous. 256 follows from ClipFormer's step from 8 to 6 bits at beta = 0.25.",
         result},
        {in, "input_bits", integer, at<&S::crossbar, &P::input_bits>(), or_zero(from_to(2, 16)), {},
         "bits of an input code",
         "Signed and symmetric; 0: continuous. ClipFormer: 8.", result},
        {in, "weight_scale", choice, at<&S::crossbar, &P::weight_scale>(), {}, scale_blocks(),
         "what shares one largest weight",
         "Part of a stationary matrix whose largest magnitude maps to G_max. Assumption: the whole tensor.",
         result},
        {in, "written_scale", choice, at<&S::crossbar, &P::written_scale>(), {}, written_scale_blocks(),
         "what shares one largest written value",
         "The same for K and V; `tensor` is all heads of one image and layer, `token` one row of K or V, which "
         "a decoder needs: it writes a token before it knows the next. Assumption: tensor.", result},
        {in, "input_scale", choice, at<&S::crossbar, &P::input_scale>(), {}, {"token", "tensor"},
         "what shares one input scale",
         "Part of the inputs whose largest magnitude maps to the largest code. Assumption: token, one input "
         "vector.", result},
        {in, "array_rows", integer, at<&S::crossbar, &P::array_rows>(), from_to(1, 65536), {},
         "rows of one array",
         "ClipFormer: 64.", result},
        {in, "array_columns", integer, at<&S::crossbar, &P::array_columns>(), from_to(1, 65536), {},
         "columns of one array",
         "ClipFormer: 64.", result},
        {in, "wire_resistance_ohm", real, at<&S::crossbar, &P::wire_resistance_ohm>(), at_least(0), {},
         "resistance in ohms",
         "Of one line from one cell to the next; 0: no IR drop. Assumption: off, as in ClipFormer.", result},
        {in, "weight_rounding", real, at<&S::crossbar, &P::weight_rounding>(), from_to(0, 1), {},
         "root mean square relative to that of frozen read noise",
         "At `behavioural` and `sliced`, with frozen read noise: a matrix is rounded to integers of up to 16 bits, "
         "which makes its products faster, if rounding is at most this large beside the noise of every output's "
         "weights; else it stays in fp32. 0: all do. Assumption: 0.01.", addition},
    };
}

std::vector<Field> circuit_fields() {
    return {
        {in, "mapping", choice, at<&S::crossbar, &P::mapping>(), {}, {"differential", "offset"},
         "how slices hold signed weights",
         "At `sliced` and `circuit`. `differential`: a positive and a negative column, converted apart and "
         "subtracted. `offset`: one column holds W + W_max, and W_max times the sum of the inputs is subtracted. "
         "Assumption: differential.", result},
        {in, "input_encoding", choice, at<&S::crossbar, &P::input_encoding>(), {},
         {"twos_complement", "sign_magnitude"}, "how signed inputs are applied bit by bit",
         "At `sliced` and `circuit`. `twos_complement`: the sign bit in a cycle of its own, with negative weight. "
         "`sign_magnitude`: positive inputs first, then the negative ones. Inputs that cannot be negative need no "
         "sign. Assumption: two's complement.", result},
        {in, "dac_bits", integer, at<&S::crossbar, &P::dac_bits>(), from_to(1, 8), {},
         "input bits applied per cycle",
         "At `sliced` and `circuit`; at most input_bits - 1. ClipFormer: 1.", result},
        {in, "adc_bits", integer, at<&S::crossbar, &P::adc_bits>(), from_to(0, 16), {}, "bits of a conversion",
         "At `circuit`, like all that follows; 0: exact. ClipFormer: 6.", result},
        {in, "adc_range", choice, at<&S::crossbar, &P::adc_range>(), {}, {"full", "calibrated", "explicit"},
         "what the largest code stands for",
         "The largest possible sum of a column, a percentile of the sums that calibration images give (per layer, "
         "operand and slice), or `adc_range_top`. The first two never make a step finer than one level: where there "
         "are codes enough, perfect cells convert exactly. Assumption: calibrated.", result},
        {in, "adc_range_top", real, at<&S::crossbar, &P::adc_range_top>(), above(0), {},
         "largest sum that is converted, in levels of a cell times units of an input digit",
         "With adc_range = \"explicit\"; 64 rows of 2-bit cells and 1-bit DACs reach 192. Assumption: 64.", result},
        {in, "adc_percentile", real, at<&S::crossbar, &P::adc_percentile>(), above_to(0, 100), {},
         "percentile of the sums of a column",
         "With adc_range = \"calibrated\". Assumption: 99.9.", result},
        {in, "adc_calibration_images", integer, at<&S::crossbar, &P::adc_calibration_images>(), positive_count,
         {}, "number of images",
         "With adc_range = \"calibrated\". Assumption: 8.", result},
        {in, "adc_gain_sigma", real, at<&S::crossbar, &P::adc_gain_sigma>(), sigma, {},
         "standard deviation relative to the gain",
         "Of each column's converter, once per trial. Assumption: off.", result},
        {in, "adc_offset_sigma", real, at<&S::crossbar, &P::adc_offset_sigma>(), at_least(0), {},
         "standard deviation in steps of the converter",
         "Of each column's converter, once per trial. Assumption: off.", result},
        {in, "rows_at_once", integer, at<&S::crossbar, &P::rows_at_once>(), from_to(0, 65536), {},
         "rows of an array",
         "At `large_small`: rows that one read drives; 0: as many as the converters resolve exactly, 3 with cells of "
         "one bit and 2-bit converters. Assumption: 0.", addition},
    };
}
// clang-format on

template <linalg::Role role>
Field fidelity_of_field(const OperandKey& operand) {
    const bool in_block = default_fidelity_of[static_cast<std::size_t>(role)] == OperandFidelity::rest;
    return {
        "fidelity_of",
        operand.key,
        choice,
        at_operand<&Settings::fidelity_of, role>(),
        {},
        {std::string(rest_word), "digital", "behavioural", "sliced", "circuit", "large_small"},
        operand.quantity,
        linalg::is_function(role)
            ? "On computation crossbars at `large_small`, digital at all other levels."
            : (in_block
                   ? "How their product is computed; `rest`: as crossbar.fidelity says, `digital`: exactly."
                   : "The same. Assumption: digital."),
        selection};
}

template <std::size_t... index>
void append_operands(std::vector<Field>& rows, std::index_sequence<index...>) {
    (rows.push_back(fidelity_of_field<operand_keys[index].role>(operand_keys[index])), ...);
}

}  // namespace

std::vector<Field> crossbar_fields() {
    auto rows = mapping_fields();
    const auto circuit = circuit_fields();
    rows.insert(rows.end(), circuit.begin(), circuit.end());
    return rows;
}

std::vector<Field> fidelity_of_fields() {
    std::vector<Field> rows;
    append_operands(rows, std::make_index_sequence<operand_keys.size()>());
    return rows;
}

}  // namespace crossweep::config
