// What a run directory holds of a study, and its way into results.h5.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "crossweep/sweep/census.hpp"
#include "crossweep/sweep/run_directory.hpp"
#include "stored_study.hpp"

namespace crossweep::app {

/// The records of the segments that were there at one moment, counted.
struct StoredRecords {
    sweep::Census census;
    sweep::RunDirectory::Segments segments;
    std::set<std::filesystem::path> foreign;  ///< segments with records of points that the study has not got
};

/// `workload` has to live as long as what is given. `visit` sees every record of the study besides.
StoredRecords count_records(const sweep::RunDirectory& directory, const sweep::Workload& workload,
                            const sweep::RunDirectory::VisitStatus& visit = {});

/// Say on the standard error which segments are damaged or hold records of another study.
void warn_of_damage(const StoredRecords& stored);

/// Write `results` from what was counted; `command_line` goes into it. Whoever writes the directory's own
/// results.h5 holds `merge_lock`, from before the records were counted: so an older state never replaces a
/// newer one.
ContentHash merge_records(const std::filesystem::path& results, const sweep::RunDirectory& directory,
                          const StoredStudy& study, const StoredRecords& stored,
                          const std::string& command_line);

/// Waits until no other process merges. Those that write segments need not wait.
sweep::DirectoryLock merge_lock(const sweep::RunDirectory& directory);

}  // namespace crossweep::app
