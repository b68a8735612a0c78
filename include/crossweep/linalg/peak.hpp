// The speed limit of one core, measured: what a benchmark is a fraction of.
#pragma once

namespace crossweep::linalg {

/// Fused multiply-adds in fp32 at the widest vectors of this processor, in FLOP/s; best of `seconds` of
/// trying.
double measure_peak_flops(double seconds);

}  // namespace crossweep::linalg
