#include "stored_records.hpp"

#include <fmt/format.h>

#include "crossweep/sweep/results.hpp"
#include "provenance.hpp"

namespace crossweep::app {

StoredRecords count_records(const sweep::RunDirectory& directory, const sweep::Workload& workload,
                            const sweep::RunDirectory::VisitStatus& visit) {
    StoredRecords stored{sweep::Census(workload), {}, {}};
    stored.segments = directory.scan([&](const io::RecordStatus& record, const auto& segment) {
        const std::size_t foreign_before = stored.census.foreign();
        stored.census.add(record);
        if (stored.census.foreign() > foreign_before)
            stored.foreign.insert(segment);
        else if (visit)
            visit(record, segment);
    });
    return stored;
}

void warn_of_damage(const StoredRecords& stored) {
    for (const std::string& sentence : stored.segments.damaged)
        fmt::print(stderr, "crossweep: warning: {}\n", sentence);
    for (const auto& segment : stored.foreign) {
        fmt::print(stderr,
                   "crossweep: warning: {}: the segment holds records of another study, which are left out. "
                   "Remove it from the run directory.\n",
                   segment.string());
    }
}

ContentHash merge_records(const std::filesystem::path& results, const sweep::RunDirectory& directory,
                          const StoredStudy& study, const StoredRecords& stored,
                          const std::string& command_line) {
    sweep::StudyDescription description = study.description;
    for (const auto& [name, value] : provenance())
        description.attributes.emplace_back(name == "version" ? "crossweep_version" : name, value);
    description.attributes.emplace_back("command_line", command_line);
    description.attributes.emplace_back("study_name", study.name);
    description.attributes.emplace_back("study_toml", directory.study_toml());
    const auto records = [&](const auto& visit) { sweep::read_records(stored.segments.whole, visit); };
    return sweep::write_results(results, description, stored.census, records);
}

sweep::DirectoryLock merge_lock(const sweep::RunDirectory& directory) {
    return directory.lock("merge.lock");
}

}  // namespace crossweep::app
