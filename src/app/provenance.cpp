#include "provenance.hpp"

#include "crossweep/comm/communicator.hpp"
#include "crossweep/core/build_info.hpp"
#include "crossweep/io/hdf5_file.hpp"
#include "crossweep/linalg/gemm.hpp"

namespace crossweep::app {

std::vector<std::pair<std::string, std::string>> provenance() {
    auto facts = build_info();
    facts.emplace_back("hdf5_version", io::hdf5_version());
    facts.emplace_back("mpi_version", comm::mpi_version());
    facts.emplace_back("gemm_version", linalg::gemm_version());
    facts.emplace_back("arithmetic_path", linalg::arithmetic_path());
    return facts;
}

}  // namespace crossweep::app
