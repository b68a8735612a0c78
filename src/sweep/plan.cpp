#include "crossweep/sweep/plan.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "crossweep/core/error.hpp"

namespace crossweep::sweep {

io::RecordKey Workload::key(const WorkUnit& unit, std::size_t position) const {
    return {point_keys[unit.points[position].value()], unit.trial.value(), unit.shard.value()};
}

std::size_t Workload::records() const {
    const auto references =
        static_cast<std::size_t>(std::count(is_reference.begin(), is_reference.end(), true));
    return (references + (point_keys.size() - references) * trials) * shards;
}

PointsByKey::PointsByKey(const Workload& workload) {
    for (std::uint32_t point = 0; point < workload.point_keys.size(); ++point) points_.emplace_back(point);
    std::ranges::stable_sort(points_, {}, [&](PointId point) { return workload.point_keys[point.value()]; });
    for (const PointId point : points_) keys_.push_back(workload.point_keys[point.value()]);
}

std::span<const PointId> PointsByKey::find(const ContentHash& key) const {
    const auto found = std::ranges::equal_range(keys_, key);
    return std::span(points_).subspan(static_cast<std::size_t>(found.begin() - keys_.begin()), found.size());
}

DoneRecords::DoneRecords(const Workload& workload)
    : row_bytes_((workload.point_keys.size() + 7) / 8),
      shards_(workload.shards),
      rows_(row_bytes_ * workload.trials * workload.shards) {}

std::span<const std::byte> DoneRecords::row(TrialId trial, ShardId shard) const {
    if (rows_.empty()) return {};
    return std::span(rows_).subspan((trial.value() * shards_ + shard.value()) * row_bytes_, row_bytes_);
}

bool DoneRecords::contains(PointId point, TrialId trial, ShardId shard) const {
    if (rows_.empty()) return false;
    const std::byte bit{static_cast<unsigned char>(1U << point.value() % 8)};
    return (row(trial, shard)[point.value() / 8] & bit) != std::byte{0};
}

bool DoneRecords::insert(PointId point, TrialId trial, ShardId shard) {
    if (contains(point, trial, shard)) return false;
    const std::size_t row = trial.value() * shards_ + shard.value();
    rows_[row * row_bytes_ + point.value() / 8] |=
        std::byte{static_cast<unsigned char>(1U << point.value() % 8)};
    ++count_;
    return true;
}

std::size_t Plan::points() const {
    return std::accumulate(units_.begin(), units_.end(), std::size_t{0},
                           [](std::size_t sum, const Unit& unit) { return sum + unit.count; });
}

WorkUnit Plan::unit(std::size_t index) const {
    const Unit& unit = units_[index];
    const auto begin = points_.begin() + unit.first;
    return {unit.trial, unit.shard, {begin, begin + unit.count}};
}

/// Plans row by row, a row being one (trial, shard). Rows that miss the same points have the same units, and
/// most rows of a study do: what is to be done for a row is worked out once for all rows like it.
class Planner {
  public:
    Planner(const Workload& workload, const DoneRecords& done, Part part)
        : workload_(workload), done_(done), part_(part), points_(workload) {}

    Plan plan() {
        std::vector<std::uint32_t> pattern_of_row;
        for_each_row(
            [&](TrialId trial, ShardId shard) { pattern_of_row.push_back(pattern_of(trial, shard)); });

        // A stable counting sort, for a comparing one would need the units twice: by_size[size] becomes the
        // place of the next unit of that size.
        std::vector<std::size_t> by_size(workload_.point_keys.size() + 1);
        std::size_t units = 0;
        for (const std::uint32_t pattern : pattern_of_row) {
            for (const Chunk& chunk : patterns_[pattern]) ++by_size[chunk.count];
        }
        for (std::size_t size = by_size.size(); size-- > 0;) units += std::exchange(by_size[size], units);
        plan_.units_.resize(units);
        auto pattern = pattern_of_row.begin();
        for_each_row([&](TrialId trial, ShardId shard) {
            for (const Chunk& chunk : patterns_[*pattern++])
                plan_.units_[by_size[chunk.count]++] = {trial, shard, chunk.first, chunk.count};
        });
        return std::move(plan_);
    }

  private:
    /// A range of plan_.points_: the points of a unit.
    struct Chunk {
        std::uint32_t first, count;
    };
    /// Points still missing of one group.
    struct Missing {
        std::vector<PointId> noisy, references;
    };

    void for_each_row(auto&& visit) const {
        std::size_t row = 0;
        for (std::uint32_t trial = 0; trial < workload_.trials; ++trial) {
            for (std::uint32_t shard = 0; shard < workload_.shards; ++shard) {
                if (row++ % part_.count == part_.index - 1) visit(TrialId(trial), ShardId(shard));
            }
        }
    }

    std::uint32_t pattern_of(TrialId trial, ShardId shard) {
        const ContentHash bits = hash_bytes(done_.row(trial, shard));
        auto& known = known_patterns_[trial == TrialId(0) ? 0 : 1];  // references are for trial 0 alone
        const auto [found, is_new] = known.try_emplace(bits, static_cast<std::uint32_t>(patterns_.size()));
        if (is_new) add_pattern(trial, shard);
        return found->second;
    }

    void add_pattern(TrialId trial, ShardId shard) {
        std::map<std::size_t, Missing> by_group;
        for (std::uint32_t p = 0; p < workload_.point_keys.size(); ++p) {
            const PointId point(p);
            const bool repeats = points_.find(workload_.point_keys[p]).front() != point;
            if (repeats || (workload_.is_reference[p] && trial != TrialId(0))) continue;
            if (done_.contains(point, trial, shard)) continue;
            Missing& missing = by_group[workload_.group[p]];
            (workload_.is_reference[p] ? missing.references : missing.noisy).push_back(point);
        }
        std::vector<Chunk>& chunks = patterns_.emplace_back();
        for (const auto& [group, missing] : by_group) append_chunks(missing, chunks);
    }

    void append_chunks(const Missing& missing, std::vector<Chunk>& chunks) {
        std::vector<PointId>& points = plan_.points_;
        const std::size_t count = missing.noisy.size(), most = workload_.points_per_unit;
        const std::size_t parts = std::max<std::size_t>(1, (count + most - 1) / most);
        for (std::size_t part = 0; part < parts; ++part) {
            const std::size_t first = points.size();
            const auto noisy = missing.noisy.begin();
            points.insert(points.end(), noisy + static_cast<std::ptrdiff_t>(part * count / parts),
                          noisy + static_cast<std::ptrdiff_t>((part + 1) * count / parts));
            if (part == 0) points.insert(points.end(), missing.references.begin(), missing.references.end());
            if (points.size() > std::numeric_limits<std::uint32_t>::max())
                throw InternalError("the plan has more lists of points than it can number");
            chunks.push_back(
                {static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(points.size() - first)});
        }
    }

    const Workload& workload_;
    const DoneRecords& done_;
    Part part_;
    PointsByKey points_;
    std::array<std::unordered_map<ContentHash, std::uint32_t>, 2> known_patterns_;
    std::vector<std::vector<Chunk>> patterns_;
    Plan plan_;
};

Plan plan_units(const Workload& workload, const DoneRecords& done, Part part) {
    return Planner(workload, done, part).plan();
}

}  // namespace crossweep::sweep
