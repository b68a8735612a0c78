// What a run directory knows of its study beside the text and the records: enough to count, merge and watch
// it on a machine that has neither the weights nor the images.
#pragma once

#include <string>

#include "crossweep/sweep/plan.hpp"
#include "crossweep/sweep/results.hpp"
#include "crossweep/sweep/run_directory.hpp"
#include "session.hpp"

namespace crossweep::app {

struct StoredStudy {
    std::string name;
    sweep::Workload workload;
    sweep::StudyDescription description;  ///< without attributes, which are those of whoever merges
};

/// What is stored of a study.
StoredStudy stored_form(const Session& session);

/// Write RUNDIR/study.json unless it says the same already.
void store(const StoredStudy& study, const sweep::RunDirectory& directory);

/// Read it. A directory from before there was one needs weights and images instead. Throws DataError.
StoredStudy read_stored_study(const sweep::RunDirectory& directory);

}  // namespace crossweep::app
