// Energy, area and latency of every point of a study, from the shapes of its models and the lengths of its
// texts.
#pragma once

#include <vector>

#include "session.hpp"

namespace crossweep::app {

/// Fill in what the points cost. Of texts each length counts as often as the study has it.
void describe_costs(const Session& session, sweep::StudyDescription& description);

}  // namespace crossweep::app
