// What a read, a conversion, a written cell or a moved byte costs: the figures that turn counts into joules,
// square metres and seconds. The defaults are those of configs/technology/rram_32nm.toml, which gives the
// source of each.
#pragma once

#include <cstdint>
#include <string>

namespace crossweep::cost {

struct Technology {
    std::string name = "rram_32nm";

    // Arrays.
    std::uint32_t most_bits_per_cell = 8;
    double cell_area_m2 = 1.64e-14;        ///< with its share of the wires
    double cell_read_energy_J = 3.37e-16;  ///< of every cell of an array at every read, on average
    double array_read_latency_s = 10e-9;   ///< until the sums of an array stand
    double row_driver_area_m2 = 8.97e-12;  ///< of one row of one array, DAC and decoder
    double row_drive_energy_J = 5e-15;     ///< of one digit put onto one row

    // Converters. Figures hold for `adc_bits`; each bit more multiplies energy and area by
    // adc_growth_per_bit.
    std::uint32_t adc_bits = 6;
    std::uint32_t columns_per_adc = 8;  ///< which one converter takes one after the other
    double adc_energy_J = 2.83e-13;     ///< of one conversion
    double adc_area_m2 = 1.2196e-9;     ///< of one converter with its multiplexer
    double adc_latency_s = 0.9125e-9;   ///< of one conversion
    double adc_growth_per_bit = 2;
    double shift_add_energy_J = 7.5e-14;  ///< after every conversion
    double shift_add_area_m2 = 8.16e-11;  ///< beside every converter

    // Writing.
    double write_energy_J = 2.88e-14;  ///< of one pulse on one cell
    double write_latency_s = 50e-9;    ///< of one pulse on one row
    double endurance_writes = 1e9;     ///< that a cell bears; 0: it does not wear out
    double inferences_per_s = 0;       ///< for the years to wear-out; 0: one input after the other

    // Around the arrays.
    double buffer_energy_J_per_B = 1.25e-12;
    double buffer_area_m2_per_B = 2.7e-12;
    double buffer_capacity_B = 262144;
    double interconnect_energy_J_per_B = 8e-13;
    double digital_energy_J = 7.5e-13;  ///< of one operation
    double digital_latency_s = 1e-9;    ///< of one operation of one lane
    double digital_area_m2 = 1.52e-9;   ///< of one lane
    std::uint32_t digital_lanes = 64;
    double die_area_m2 = 8.58e-4;  ///< of one chip

    // The large-and-small architecture alone.
    std::uint32_t computation_arrays = 1024;  ///< that all its operands share
    std::uint32_t storage_bits_per_cell = 2;
    double storage_cell_area_m2 = 4.1e-15;
    double storage_energy_J_per_B = 4.64e-12;

    bool operator==(const Technology&) const = default;
};

}  // namespace crossweep::cost
