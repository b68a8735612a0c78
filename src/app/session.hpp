// A study made ready to run: settings read, models and images loaded, every point named by the hash of what
// decides it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "crossweep/comm/communicator.hpp"
#include "crossweep/config/study.hpp"
#include "crossweep/sweep/plan.hpp"
#include "crossweep/sweep/results.hpp"
#include "crossweep/trial/experiment.hpp"

namespace crossweep::app {

/// Part of every point's hash: raise it when the same settings come to give other numbers.
inline constexpr int physics_version = 5;

struct Session {
    config::Study study;
    std::unique_ptr<trial::Experiment> experiment;
    sweep::Workload workload;
};

/// Load what every rank computes with; all ranks of `comm` must call it, and only rank 0 reads files.
std::unique_ptr<trial::Experiment> load_experiment(const config::Study& study, comm::Communicator& comm);

/// Load everything that `study` needs, and name its points: reads every byte of weights and images once. Rank
/// 0 of `comm` calls it while the others load_experiment.
Session open_session(config::Study study, comm::Communicator& comm);
/// The same for one process.
Session open_session(config::Study study);

/// What results.h5 needs beyond the records and the attributes of who merges them.
sweep::StudyDescription describe(const Session& session);

}  // namespace crossweep::app
