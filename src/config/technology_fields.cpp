// The keys of [technology]: what things cost. They decide energy, area and latency, but no record.
#include "field_rows.hpp"

namespace crossweep::config {
namespace {

using enum FieldKind;
using enum Role;
using S = Settings;
using P = cost::Technology;

constexpr std::string_view in = technology_table;
constexpr std::string_view area = "area in square metres", energy = "energy in joules",
                           latency = "time in seconds";

template <auto member>
Field figure(std::string_view key, std::string_view quantity, std::string_view meaning,
             Range range = above(0)) {
    return {in, key, real, at<&S::technology, member>(), range, {}, quantity, meaning, bookkeeping};
}

template <auto member>
Field whole(std::string_view key, std::string_view quantity, std::string_view meaning,
            Range range = positive_count) {
    return {in, key, integer, at<&S::technology, member>(), range, {}, quantity, meaning, bookkeeping};
}

}  // namespace

// One entry reads as a row: formatting would give each argument a line.
// clang-format off
std::vector<Field> technology_fields() {
    return {
        {in, "name", text, at<&S::technology, &P::name>(), {}, {}, "title",
         "Names the technology in reports. Figures and sources of the default: configs/technology/rram_32nm.toml.",
         bookkeeping},
        whole<&P::most_bits_per_cell>("most_bits_per_cell", "bits of one cell",
            "Cells with more are refused.", from_to(1, 8)),
        figure<&P::cell_area_m2>("cell_area_m2", area, "Of one cell with its share of the wires."),
        figure<&P::cell_read_energy_J>("cell_read_energy_J", energy,
            "Of every cell of an array at every read, on average over what it holds."),
        figure<&P::array_read_latency_s>("array_read_latency_s", latency, "Until the sums of an array stand."),
        figure<&P::row_driver_area_m2>("row_driver_area_m2", area, "Of one row of one array: DAC and decoder."),
        figure<&P::row_drive_energy_J>("row_drive_energy_J", energy, "Of one digit put onto one row."),
        whole<&P::adc_bits>("adc_bits", "bits of a conversion",
            "For which the figures of the converter hold.", from_to(1, 16)),
        whole<&P::columns_per_adc>("columns_per_adc", "number of columns",
            "That one converter takes one after the other."),
        figure<&P::adc_energy_J>("adc_energy_J", energy, "Of one conversion."),
        figure<&P::adc_area_m2>("adc_area_m2", area, "Of one converter with its multiplexer."),
        figure<&P::adc_latency_s>("adc_latency_s", latency, "Of one conversion."),
        figure<&P::adc_growth_per_bit>("adc_growth_per_bit", "factor per bit",
            "On energy and area of a converter for every bit more than `adc_bits`. 2: a flash converter.",
            {.low = 1}),
        figure<&P::shift_add_energy_J>("shift_add_energy_J", energy, "After every conversion."),
        figure<&P::shift_add_area_m2>("shift_add_area_m2", area, "Beside every converter."),
        figure<&P::write_energy_J>("write_energy_J", energy, "Of one pulse on one cell."),
        figure<&P::write_latency_s>("write_latency_s", latency, "Of one pulse on one row of an array."),
        figure<&P::endurance_writes>("endurance_writes", "number of writes",
            "That a cell bears; 0: it does not wear out.", at_least(0)),
        figure<&P::inferences_per_s>("inferences_per_s", "inputs per second",
            "For the years until cells wear out; 0: one input after the other.", at_least(0)),
        figure<&P::buffer_energy_J_per_B>("buffer_energy_J_per_B", "energy in joules per byte",
            "Of reading or writing the buffer of activations."),
        figure<&P::buffer_area_m2_per_B>("buffer_area_m2_per_B", "area in square metres per byte",
            "Of the buffer of activations."),
        figure<&P::buffer_capacity_B>("buffer_capacity_B", "bytes", "Of the buffer of activations."),
        figure<&P::interconnect_energy_J_per_B>("interconnect_energy_J_per_B", "energy in joules per byte",
            "From the buffer to an array, or from an array to where its sums are added."),
        figure<&P::digital_energy_J>("digital_energy_J", energy, "Of one digital operation."),
        figure<&P::digital_latency_s>("digital_latency_s", latency, "Of one digital operation of one lane."),
        figure<&P::digital_area_m2>("digital_area_m2", area, "Of one lane of digital operations."),
        whole<&P::digital_lanes>("digital_lanes", "number of lanes", "Of the digital unit."),
        figure<&P::die_area_m2>("die_area_m2", area, "Of one chip at most, for the number of chips of a model."),
        whole<&P::computation_arrays>("computation_arrays", "number of arrays",
            "That all operands at `large_small` share."),
        whole<&P::storage_bits_per_cell>("storage_bits_per_cell", "bits of one cell",
            "Of the storage crossbars at `large_small`.", from_to(1, 8)),
        figure<&P::storage_cell_area_m2>("storage_cell_area_m2", area, "Of one cell of them."),
        figure<&P::storage_energy_J_per_B>("storage_energy_J_per_B", "energy in joules per byte",
            "Of reading or writing them."),
        {in, "file", key_file, of_no_value, {}, {}, "technology file",
         "TOML file with all keys of this table, without tables; keys that stand beside `file` replace those of the "
         "file. The stored study has the figures, not the file.", bookkeeping},
    };
}
// clang-format on

}  // namespace crossweep::config
