#include "stored_records.hpp"

#include <fmt/format.h>

#include "crossweep/sweep/results.hpp"

namespace crossweep::app {

StoredRecords count_records(const sweep::RunDirectory& directory, const sweep::Workload& workload) {
    StoredRecords stored{sweep::Census(workload), {}};
    stored.segments =
        directory.scan([&](const io::RecordStatus& record, const auto&) { stored.census.add(record); });
    return stored;
}

void warn_of_damage(const StoredRecords& stored) {
    for (const std::string& sentence : stored.segments.damaged)
        fmt::print(stderr, "crossweep: warning: {}\n", sentence);
}

ContentHash merge_records(const sweep::RunDirectory& directory, const Session& session,
                          const StoredRecords& stored, const std::string& command_line) {
    const auto records = [&](const auto& visit) { sweep::read_records(stored.segments.whole, visit); };
    return sweep::write_results(directory.results(), describe(session, command_line), stored.census, records);
}

sweep::DirectoryLock merge_lock(const sweep::RunDirectory& directory) {
    return directory.lock("merge.lock");
}

}  // namespace crossweep::app
