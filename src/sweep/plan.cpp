#include "crossweep/sweep/plan.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace crossweep::sweep {
namespace {

/// Points still missing of one (group, trial, shard).
struct Missing {
    std::vector<PointId> noisy, references;
};

void append_units(const Missing& missing, TrialId trial, ShardId shard, std::size_t points_per_unit,
                  std::vector<WorkUnit>& units) {
    const std::size_t count = missing.noisy.size();
    const std::size_t chunks = std::max<std::size_t>(1, (count + points_per_unit - 1) / points_per_unit);
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
        const auto begin = missing.noisy.begin() + static_cast<std::ptrdiff_t>(chunk * count / chunks);
        const auto end = missing.noisy.begin() + static_cast<std::ptrdiff_t>((chunk + 1) * count / chunks);
        WorkUnit unit{trial, shard, {begin, end}};
        if (chunk == 0)
            unit.points.insert(unit.points.end(), missing.references.begin(), missing.references.end());
        if (!unit.points.empty()) units.push_back(std::move(unit));
    }
}

}  // namespace

io::RecordKey Workload::key(const WorkUnit& unit, std::size_t position) const {
    return {point_keys[unit.points[position].value()], unit.trial.value(), unit.shard.value()};
}

std::size_t Workload::records() const {
    const auto references =
        static_cast<std::size_t>(std::count(is_reference.begin(), is_reference.end(), true));
    return (references + (point_keys.size() - references) * trials) * shards;
}

std::vector<WorkUnit> plan_units(const Workload& workload, const DoneRecords& done) {
    // Points that do not differ in anything that decides results share their records: one of them is
    // computed.
    std::set<ContentHash> seen;
    std::vector<bool> repeats;
    for (const ContentHash& key : workload.point_keys) repeats.push_back(!seen.insert(key).second);

    std::vector<WorkUnit> units;
    for (std::uint32_t trial = 0; trial < workload.trials; ++trial) {
        for (std::uint32_t shard = 0; shard < workload.shards; ++shard) {
            std::map<std::size_t, Missing> by_group;
            for (std::size_t point = 0; point < workload.point_keys.size(); ++point) {
                if (repeats[point] || (workload.is_reference[point] && trial > 0)) continue;
                if (done.contains({workload.point_keys[point], trial, shard})) continue;
                Missing& missing = by_group[workload.group[point]];
                const PointId id(static_cast<std::uint32_t>(point));
                (workload.is_reference[point] ? missing.references : missing.noisy).push_back(id);
            }
            for (const auto& [group, missing] : by_group) {
                append_units(missing, TrialId(trial), ShardId(shard), workload.points_per_unit, units);
            }
        }
    }
    std::stable_sort(units.begin(), units.end(),
                     [](const WorkUnit& a, const WorkUnit& b) { return a.points.size() > b.points.size(); });
    return units;
}

}  // namespace crossweep::sweep
