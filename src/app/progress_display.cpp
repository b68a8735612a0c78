#include "progress_display.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace crossweep::app {

std::string duration(double seconds) {
    if (!std::isfinite(seconds)) return "?";
    const long whole = std::lround(seconds);
    if (whole >= 86400) return fmt::format("{}d {:02}h", whole / 86400, whole / 3600 % 24);
    if (whole >= 3600) return fmt::format("{}h {:02}m", whole / 3600, whole / 60 % 60);
    return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

ProgressDisplay::ProgressDisplay(bool silent) : silent_(silent), terminal_(isatty(STDERR_FILENO) != 0) {}

void ProgressDisplay::operator()(const sweep::Progress& progress) {
    if (silent_ || progress.units == 0) return;
    const bool end = progress.units_done == progress.units;
    const double wait_s = terminal_ ? 0.2 : 10;
    if (!terminal_ && last_s_ < 0) last_s_ = 0;  // a log has no use for a line that says nothing yet
    if (progress.elapsed_s - last_s_ < wait_s && !(end && last_units_ != progress.units_done)) return;
    last_s_ = progress.elapsed_s;
    last_units_ = progress.units_done;
    const double done = static_cast<double>(progress.units_done), all = static_cast<double>(progress.units);
    const double left_s = done > 0 ? progress.elapsed_s * (all - done) / done : HUGE_VAL;
    std::string line = fmt::format("{}/{} units, {:.0f} images/s, {} gone, {} left", progress.units_done,
                                   progress.units, static_cast<double>(progress.images) / progress.elapsed_s,
                                   duration(progress.elapsed_s), duration(left_s));
    if (progress.images > 0) {
        line +=
            fmt::format(", top-1 {:.1f} % over all points", 100 * static_cast<double>(progress.correct) /
                                                                static_cast<double>(progress.predictions));
    }
    if (progress.units_failed > 0) line += fmt::format(", {} FAILED", progress.units_failed);
    if (!terminal_) {
        fmt::print(stderr, "{}\n", line);
        return;
    }
    constexpr int width = 24;
    const int filled = static_cast<int>(width * done / all);
    fmt::print(stderr, "\r\033[K[{:#<{}}{:.<{}}] {}", "", filled, "", width - filled, line);
    std::fflush(stderr);
    drawn_ = true;
}

void ProgressDisplay::finish() {
    if (drawn_) fmt::print(stderr, "\n");
    drawn_ = false;
}

}  // namespace crossweep::app
