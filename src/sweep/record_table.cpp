#include <algorithm>
#include <unordered_map>

#include "crossweep/sweep/results.hpp"

namespace crossweep::sweep {

RecordTable::RecordTable(const Workload& workload, std::span<const io::Record> records)
    : workload_(&workload), table_(workload.point_keys.size() * workload.trials * workload.shards) {
    // Points may be equal (an axis that changes nothing): then they share their records.
    std::unordered_map<ContentHash, std::vector<std::size_t>> points;
    for (std::size_t point = 0; point < workload.point_keys.size(); ++point) {
        points[workload.point_keys[point]].push_back(point);
    }
    for (const io::Record& record : records) {
        const auto found = points.find(record.key.point);
        if (found == points.end() || record.key.trial >= workload.trials ||
            record.key.shard >= workload.shards)
            continue;
        for (const std::size_t point : found->second) {
            table_[(point * workload.trials + record.key.trial) * workload.shards + record.key.shard] =
                &record;
        }
    }
}

const io::Record* RecordTable::find(std::size_t point, std::size_t trial, std::size_t shard) const {
    return table_[(point * workload_->trials + trial) * workload_->shards + shard];
}

ContentHash RecordTable::content_hash() const {
    std::vector<const io::Record*> unique;
    std::copy_if(table_.begin(), table_.end(), std::back_inserter(unique),
                 [](const auto* r) { return r != nullptr; });
    std::sort(unique.begin(), unique.end());
    unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
    std::vector<io::Record> records;
    records.reserve(unique.size());
    for (const io::Record* record : unique) records.push_back(*record);
    return io::content_hash(records);
}

std::size_t RecordTable::succeeded() const {
    return static_cast<std::size_t>(std::count_if(
        table_.begin(), table_.end(), [](const auto* r) { return r != nullptr && !r->failed(); }));
}

std::size_t RecordTable::failed() const {
    return static_cast<std::size_t>(std::count_if(table_.begin(), table_.end(),
                                                  [](const auto* r) { return r != nullptr && r->failed(); }));
}

PathCounts RecordTable::paths() const {
    PathCounts counts;
    for (const io::Record* record : table_) {
        if (record != nullptr && !record->failed()) ++counts[record->path];
    }
    return counts;
}

}  // namespace crossweep::sweep
