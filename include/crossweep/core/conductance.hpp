// The conductance window of a device, and its map to and from weight magnitudes.
#pragma once

namespace crossweep {

/// Conductances that a cell can hold, in siemens.
struct ConductanceWindow {
    float min_S = 1e-7F;
    float max_S = 1e-5F;

    float span_S() const { return max_S - min_S; }
};

}  // namespace crossweep
