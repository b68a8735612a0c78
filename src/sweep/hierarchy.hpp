// Who coordinates whom: rank 0 every rank, or, with very many ranks, the leaders of groups of them.
#pragma once

#include <algorithm>
#include <vector>

#include "crossweep/sweep/scheduler.hpp"
#include "team.hpp"

namespace crossweep::sweep {

class Hierarchy {
  public:
    Hierarchy(int ranks, const SchedulerOptions& options)
        : ranks_(ranks), group_(ranks > options.most_direct_ranks ? options.ranks_per_group : 0) {}

    /// Ranks 1, 1 + group, … lead the ranks that follow them.
    bool leads(int rank) const { return group_ > 0 && rank > 0 && (rank - 1) % group_ == 0; }

    /// Whom `rank` takes its tasks from.
    int coordinator_of(int rank) const { return group_ == 0 || leads(rank) ? 0 : rank - (rank - 1) % group_; }

    /// Whom `rank` hands tasks to, beside the worker in its own process.
    std::vector<Member> members_of(int rank) const {
        std::vector<Member> members;
        if (rank == 0) {
            for (int other = 1; other < ranks_; other += std::max(group_, 1))
                members.push_back(
                    {other, static_cast<std::size_t>(std::clamp(ranks_ - other, 1, std::max(group_, 1)))});
        } else if (leads(rank)) {
            for (int other = rank + 1; other < std::min(rank + group_, ranks_); ++other)
                members.push_back({other, 1});
        }
        return members;
    }

  private:
    int ranks_, group_;
};

}  // namespace crossweep::sweep
