// What made a result: this build, this machine, and the libraries that are loaded.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace crossweep::app {

/// (name, value) pairs: build_info, then hdf5_version, mpi_version, gemm_version, arithmetic_path.
std::vector<std::pair<std::string, std::string>> provenance();

}  // namespace crossweep::app
