// The keys of a device: rows of [device] and of every [devices.NAME].
#include "field_rows.hpp"
#include "operands.hpp"

namespace crossweep::config {
namespace {

using enum FieldKind;
using enum Role;
using P = device::DeviceParams;

device::DeviceParams& device_of(Settings& settings, const std::string& name) {
    return name.empty() ? settings.device : settings.devices.at(name);
}

const device::DeviceParams& device_of(const Settings& settings, const std::string& name) {
    return name.empty() ? settings.device : settings.devices.at(name);
}

/// Access to a member of a device, or to a member of its member; without a name, of [device].
template <auto... member>
constexpr Access in_device() {
    return {[](const Settings& settings, const std::string& name) {
                return to_value((device_of(settings, name).*....*member));
            },
            [](Settings& settings, const std::string& name, const Value& value) {
                from_value((device_of(settings, name).*....*member), value);
            }};
}

// One entry reads as a row: formatting would give each argument a line.
// clang-format off
std::vector<Field> cell_fields(std::string_view in) {
    return {
        {in, "g_max_S", real, in_device<&P::g_max_S>(), above_to(0, 1), {}, "conductance in siemens",
         "Largest conductance of a cell. ClipFormer (arXiv 2402.02586), Table I: 0.1 to 10 uS.", result},
        {in, "on_off_ratio", real, in_device<&P::on_off_ratio>(), above(1), {}, "G_max / G_min",
         "Ratio of largest to smallest conductance. ClipFormer, Table I.", result},
        {in, "bits_per_cell", integer, in_device<&P::bits_per_cell>(), from_to(1, 8), {}, "bits of one cell",
         "Width of the slices at fidelity `sliced` and `circuit`. ClipFormer: 2.", result},
        {in, "levels", integer, in_device<&P::levels>(), or_zero(from_to(2, 65536)), {},
         "conductances that a cell can be set to",
         "At equal distances from G_min to G_max, the nearest is taken; 0: any. Assumption: any; the levels of "
         "weights and slices are decided in [crossbar].", result},
        {in, "clamp", choice, in_device<&P::clamp>(), {}, {"none", "non_negative", "window"},
         "limits of a noisy conductance",
         "Not limited, kept from below 0, or kept inside [G_min, G_max]. Noise that is fresh at every read is never "
         "limited: it is drawn per output. Assumption: none; the paper does not say.", result},
    };
}

std::vector<Field> noise_fields(std::string_view in) {
    return {
        {in, "read_noise", choice, in_device<&P::read_noise>(), {}, {"per_read", "frozen"},
         "how long a draw of read noise lasts",
         "`per_read`: fresh at every read. `frozen`: once per trial for weights, once per write for K and "
         "V. Assumption: per_read is the physical reading.", result},
        {in, "read_noise_law", choice, in_device<&P::read_noise_law>(), {}, {"proportional", "constant", "table"},
         "what read_noise_sigma multiplies",
         "The conductance G (ClipFormer, eq. 8), G_max whatever the state, or measured deviations.", result},
        {in, "read_noise_sigma", real, in_device<&P::read_noise_sigma>(), sigma, {},
         "standard deviation relative to what read_noise_law says",
         "G' = G + sigma A(G) N(0, 1), A(G) as the law says; 1 takes a table as measured. Assumption: Table I of "
         "ClipFormer gives 0.05 and 0.1 for two noise parameters without saying which is which.", result},
        {in, "read_noise_table_conductance_S", reals,
         in_device<&P::read_noise_table, &device::NoiseTable::conductance_S>(), from_to(0, 1), {},
         "conductances in siemens",
         "Ascending points of the law `table`. Straight lines between them, the end values outside.", result},
        {in, "read_noise_table_deviation_S", reals,
         in_device<&P::read_noise_table, &device::NoiseTable::deviation_S>(), from_to(0, 1), {},
         "standard deviations in siemens",
         "Deviation at each point, as many as conductances.", result},
        {in, "telegraph_amplitude", real, in_device<&P::telegraph_amplitude>(), fraction, {},
         "relative to the conductance G",
         "Random telegraph noise, at fidelity `large_small`: at every read a cell is at G (1 + amplitude) or "
         "G (1 - amplitude), either as likely (assumption). arXiv 2410.15977: below 0.05.", addition},
        {in, "write_noise_law", choice, in_device<&P::write_noise_law>(), {},
         {"clipformer", "proportional", "constant", "table"}, "what write_noise_sigma multiplies",
         "sqrt((G - G_min)(G_max - G_min)) (ClipFormer, eq. 9), the conductance G aimed at, G_max - G_min "
         "whatever the state, or measured deviations. Also of `programming_noise_sigma`.", result},
        {in, "write_noise_sigma", real, in_device<&P::write_noise_sigma>(), sigma, {},
         "standard deviation relative to what write_noise_law says",
         "Noise of writing K and V, times write_noise_factor; with 1 for both a table is taken as measured. "
         "Assumption: 0.1, as for `read_noise_sigma`.", result},
        {in, "write_noise_factor", real, in_device<&P::write_noise_factor>(), at_least(0), {},
         "gamma, a factor on write_noise_sigma",
         "ClipFormer uses 3, 4 and 5; 0: no write noise.", result},
        {in, "programming_noise_sigma", real, in_device<&P::programming_noise_sigma>(), sigma, {},
         "standard deviation relative to what write_noise_law says",
         "Noise of programming the stationary weights, once per trial, with the law of write noise at gamma "
         "= 1. Assumption: off, as in ClipFormer.", result},
        {in, "write_noise_table_conductance_S", reals,
         in_device<&P::write_noise_table, &device::NoiseTable::conductance_S>(), from_to(0, 1), {},
         "conductances in siemens",
         "Ascending points of the law `table`. Straight lines between them, the end values outside.", result},
        {in, "write_noise_table_deviation_S", reals,
         in_device<&P::write_noise_table, &device::NoiseTable::deviation_S>(), from_to(0, 1), {},
         "standard deviations in siemens",
         "Deviation at each point, as many as conductances.", result},
    };
}

std::vector<Field> chip_and_age_fields(std::string_view in) {
    return {
        {in, "g_min_spread_sigma", real, in_device<&P::g_min_spread_sigma>(), fraction, {},
         "standard deviation relative to G_min",
         "Device to device, once per trial. Assumption: off, as in ClipFormer.", result},
        {in, "g_max_spread_sigma", real, in_device<&P::g_max_spread_sigma>(), fraction, {},
         "standard deviation relative to G_max",
         "Device to device, once per trial. Assumption: off, as in ClipFormer.", result},
        {in, "stuck_at_g_min", real, in_device<&P::stuck_at_g_min>(), fraction, {}, "fraction of the cells",
         "Cells that stay at G_min whatever is written, once per trial. Assumption: off, as in ClipFormer.",
         result},
        {in, "stuck_at_g_max", real, in_device<&P::stuck_at_g_max>(), fraction, {}, "fraction of the cells",
         "Cells that stay at G_max whatever is written, once per trial. Assumption: off, as in ClipFormer.",
         result},
        {in, "t_read_s", real, in_device<&P::t_read_s>(), at_least(0), {}, "time in seconds",
         "Age of the stationary weights when they are read. Assumption: 0, just written.", result},
        {in, "written_t_read_s", real, in_device<&P::written_t_read_s>(), at_least(0), {}, "time in seconds",
         "Age of K and V when they are read. Assumption: 0, just written.", result},
        {in, "drift_t0_s", real, in_device<&P::drift_t0_s>(), above(0), {}, "time in seconds",
         "Age at which drift sets in; younger cells hold what was written. Assumption: 1 s.", result},
        {in, "drift_exponent", real, in_device<&P::drift_exponent>(), at_least(0), {},
         "mean exponent nu of G(t) = G (t / t0)^-nu",
         "Power law of phase-change memory (Ielmini et al., IEEE Trans. Electron Devices 54, 308 (2007)). "
         "Assumption: off, as in ClipFormer.", result},
        {in, "drift_exponent_sigma", real, in_device<&P::drift_exponent_sigma>(), at_least(0), {},
         "standard deviation of nu from cell to cell",
         "Once per trial. Assumption: off, as in ClipFormer.", result},
        {in, "retention_s", real, in_device<&P::retention_s>(), at_least(0), {}, "time constant in seconds",
         "G - G_min decays exponentially with the age; 0: no decay. Assumption: off, as in ClipFormer.", result},
        {in, "file", key_file, of_no_value, {}, {}, "device file",
         "TOML file with keys of this table, without tables; keys that stand beside `file` replace those of the "
         "file. The stored study has the values, not the file.", contents},
    };
}
// clang-format on

template <linalg::Role role>
Field device_of_field(const OperandKey& operand) {
    return {"device_of",
            operand.key,
            device_name,
            at_operand<&Settings::device_of, role>(),
            {},
            {std::string(rest_word)},
            operand.quantity,
            "Device that holds them, or `rest`.",
            selection};
}

template <std::size_t... index>
void append_operands(std::vector<Field>& rows, std::index_sequence<index...>) {
    (rows.push_back(device_of_field<operand_keys[index].role>(operand_keys[index])), ...);
}

}  // namespace

std::vector<Field> device_fields(std::string_view table) {
    std::vector<Field> rows;
    for (const auto& part : {cell_fields(table), noise_fields(table), chip_and_age_fields(table)})
        rows.insert(rows.end(), part.begin(), part.end());
    return rows;
}

std::vector<Field> device_of_fields() {
    std::vector<Field> rows{{"device_of",
                             "rest",
                             device_name,
                             at<&Settings::rest_device>(),
                             {},
                             {},
                             "name of a device",
                             "Device of every operand that says `rest`: `default`, which is [device], or a "
                             "NAME of [devices.NAME].",
                             selection}};
    append_operands(rows, std::make_index_sequence<operand_keys.size()>());
    return rows;
}

}  // namespace crossweep::config
