// A study and its files on all ranks of a run, read from the file system by rank 0 alone.
#pragma once

#include "commands.hpp"
#include "crossweep/comm/communicator.hpp"
#include "crossweep/config/study.hpp"
#include "crossweep/trial/experiment.hpp"

namespace crossweep::app {

// Every rank must call these. An error of rank 0 is thrown on all ranks.

config::Study load_study_together(const StudyOptions& options, comm::Communicator& comm);

/// Weights and pixels are held once per node, decompressed, and without images that the study does not use.
trial::ExperimentFiles read_files_together(const trial::DataParams& data, std::uint32_t seed,
                                           std::span<const trial::PointParams> points,
                                           comm::Communicator& comm);

}  // namespace crossweep::app
