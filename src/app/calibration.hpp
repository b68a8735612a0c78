// Calibrated ADC ranges of a study: found once, kept in the run directory, the same on every rank.
#pragma once

#include "crossweep/comm/communicator.hpp"
#include "crossweep/sweep/run_directory.hpp"
#include "crossweep/sweep/stop_condition.hpp"
#include "session.hpp"

namespace crossweep::app {

/// Give every point of `session` that asks for calibrated ranges those of RUNDIR/calibration.json. What is
/// not there yet is computed, image by image on all ranks, and stored setting by setting; other parts of the
/// study wait meanwhile. False if `stop` came first. Every rank calls it; `directory` is rank 0's and null
/// elsewhere. Throws DataError if the file is broken or cannot be written.
bool calibrate_together(Session& session, const sweep::RunDirectory* directory,
                        const sweep::StopCondition& stop, comm::Communicator& comm);

/// The same for one point, alone, and without storing anything.
void calibrate_point(Session& session, const sweep::RunDirectory& directory, PointId point);

}  // namespace crossweep::app
