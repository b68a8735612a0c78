// The subcommands. Each takes its options as plain data, prints, and returns an exit code; errors are thrown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "crossweep/comm/communicator.hpp"
#include "crossweep/core/error.hpp"

namespace crossweep::app {

struct StudyOptions {
    std::string file;
    std::vector<std::string> overrides;  ///< "key=value"
};

struct RunOptions {
    StudyOptions study;
    std::string directory;
    std::string part = "1/1";  ///< "i/n"
    bool json = false;
    std::string command_line;
};

struct ReplayOptions {
    std::string directory;
    std::uint32_t point = 0, trial = 0, shard = 0;
};

struct BenchOptions {
    double seconds = 2;  ///< per measurement
    std::string only;    ///< one case, over and over
    bool json = false;
};

struct StatusOptions {
    std::string directory;
    double watch_s = 0;  ///< look again so often until the run is complete; 0: once
    bool brief = false;  ///< without the surface, for which all records are read
    bool json = false;
};

struct SimulateOptions {
    std::vector<int> ranks{64, 256, 1024, 4096, 16384};
    std::size_t units = 1'000'000;
    std::size_t points_per_unit = 1;
    double unit_s = 10;
    std::string times;          ///< run directory whose records give the spread of times
    double slow_ranks = 0;      ///< fraction
    int most_direct_ranks = 0;  ///< 0: as `run` does
    bool json = false;
};

struct CostOptions {
    std::string model;                  ///< name of a published one, or weights
    StudyOptions study;                 ///< whose points to cost on crossbars; without a file: none
    std::size_t first = 0;              ///< so many of its points; 0: all
    std::vector<std::string> lengths;   ///< "128" or "128:1024"; none: the longest that the model takes
    std::vector<std::string> hardware;  ///< files, or folders of them
    bool beyond = false;                ///< allow lengths that the model has no positions for
    bool json = false;
};

ExitCode check(const StudyOptions& options);
/// `bench`: file with what `bench --json` printed on the machine that will run the study; empty: measure
/// here.
ExitCode plan(const StudyOptions& options, const std::string& bench, bool json);
/// Every rank calls it; only rank 0 prints.
ExitCode run(const RunOptions& options, comm::Communicator& comm);
ExitCode status(const StatusOptions& options);
ExitCode merge(const std::string& directory, bool partial, const std::string& command_line);
ExitCode report(const std::string& directory, bool json);
ExitCode replay(const ReplayOptions& options);
ExitCode inspect(const std::string& weights, std::uint32_t heads, bool json);
/// Operations, bytes moved and roofline latency, from the shape alone; or with a study, energy, area and
/// latency of its points on crossbars.
ExitCode cost(const CostOptions& options);
ExitCode bench(const BenchOptions& options);
/// How a study would run on many ranks, by the real scheduler in simulated time.
ExitCode simulate(const SimulateOptions& options);
ExitCode schema();
ExitCode version(bool json);

}  // namespace crossweep::app
