#include "crossweep/sweep/census.hpp"

#include <algorithm>

namespace crossweep::sweep {
namespace {

/// Of a record as it waits for its point: packed, with what finds it again.
std::size_t bytes_of(const io::RecordStatus& record) {
    constexpr std::size_t numbers_and_lengths = 112, to_find_it = 56;
    const std::size_t texts = record.failure.size() + record.path.size();
    const std::size_t hits = record.predictions > 1 ? sizeof(std::uint32_t) : 0;
    const std::size_t predictions = record.images * (sizeof(std::int32_t) + 2 * sizeof(float) + hits);
    const std::size_t attention = record.layers * 2 * sizeof(double);
    return numbers_and_lengths + to_find_it + texts + predictions + attention;
}

}  // namespace

Census::Census(const Workload& workload)
    : workload_(&workload), points_(workload), done_(workload), bytes_(workload.point_keys.size()) {}

void Census::add(const io::RecordStatus& record) {
    const auto points = points_.find(record.key.point);
    if (points.empty()) ++foreign_;
    if (points.empty() || record.key.trial >= workload_->trials || record.key.shard >= workload_->shards)
        return;
    const TrialId trial(record.key.trial);
    const ShardId shard(record.key.shard);
    const bool is_first = !record.failed() && !done_.contains(points.front(), trial, shard);
    if (is_first) {
        seconds_ += record.seconds;
        paths_[record.path] += points.size();
    }
    for (const PointId point : points) {
        bytes_[point.value()] += bytes_of(record);
        if (!workload_->is_reference[point.value()]) layers_ = std::max<std::size_t>(layers_, record.layers);
        const std::array cell{point.value(), trial.value(), shard.value()};
        if (is_first) {
            done_.insert(point, trial, shard);
            failures_.erase(cell);
        } else if (record.failed() && !done_.contains(point, trial, shard)) {
            failures_[cell] = record.failure;
        }
    }
}

}  // namespace crossweep::sweep
