#include "crossweep/linalg/blocks.hpp"

#include <algorithm>

#include "crossweep/core/error.hpp"

namespace crossweep::linalg {

Blocks head_blocks(Eigen::Index tokens, Eigen::Index width, Eigen::Index head_width) {
    return {tokens, column_edges(width, head_width, head_width)};
}

Blocks output_blocks(Role written, Eigen::Index tokens, Eigen::Index width, Eigen::Index head_width) {
    CROSSWEEP_EXPECT(is_written(written));
    return written == Role::written_keys ? Blocks{1, column_edges(width, head_width, head_width)}
                                         : Blocks{tokens, column_edges(width, width, 1)};
}

std::vector<Eigen::Index> column_edges(Eigen::Index columns, Eigen::Index section, Eigen::Index step) {
    CROSSWEEP_EXPECT(section > 0 && step > 0);
    std::vector<Eigen::Index> edges;
    for (Eigen::Index start = 0; start < columns; start += section) {
        for (Eigen::Index edge = start; edge < std::min(start + section, columns); edge += step)
            edges.push_back(edge);
    }
    edges.push_back(columns);
    return edges;
}

}  // namespace crossweep::linalg
