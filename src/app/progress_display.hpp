// What a user sees while a study runs: a bar that moves on a terminal, a plain line now and then in a log.
#pragma once

#include <string>

#include "crossweep/sweep/scheduler.hpp"

namespace crossweep::app {

/// "1:23", "4h 05m", "6d 07h"; "?" if it is not known.
std::string duration(double seconds);

class ProgressDisplay {
  public:
    explicit ProgressDisplay(bool silent);
    void operator()(const sweep::Progress& progress);
    /// End the bar's line.
    void finish();

  private:
    bool silent_, terminal_;
    double last_s_ = -1e9;
    std::size_t last_units_ = 0;
    bool drawn_ = false;
};

}  // namespace crossweep::app
