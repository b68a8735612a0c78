#include "crossweep/crossbar/activity.hpp"

namespace crossweep::crossbar {

Activity& Activity::operator+=(const Activity& other) {
    array_reads += other.array_reads;
    row_drives += other.row_drives;
    conversions += other.conversions;
    read_steps += other.read_steps;
    cell_writes += other.cell_writes;
    write_pulses += other.write_pulses;
    write_steps += other.write_steps;
    buffer_B += other.buffer_B;
    interconnect_B += other.interconnect_B;
    storage_B += other.storage_B;
    digital_operations += other.digital_operations;
    return *this;
}

}  // namespace crossweep::crossbar
