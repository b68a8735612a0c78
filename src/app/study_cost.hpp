// Energy, area and latency of the points of a study on crossbars, from shapes alone: as data, text and JSON
// (docs/cost.md has the fields).
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "crossweep/config/study.hpp"
#include "crossweep/cost/crossbar_cost.hpp"
#include "crossweep/cost/roofline.hpp"

namespace crossweep::app {

struct CostOfLength {
    std::size_t tokens;
    cost::PointCost cost;
};

struct CostedPoint {
    std::size_t number;                                         ///< in the study
    std::vector<std::pair<std::string, std::string>> settings;  ///< (key, value) of what the study sweeps
    std::string technology;
    cost::TransformerShape shape;
    bool blocks_alone = false;  ///< embedding and head are not counted
    std::vector<CostOfLength> lengths;
};

/// With `options.model`, its cost at every point; else that of each point's weights.
std::vector<CostedPoint> cost_of_points(const config::Study& study, const CostOptions& options);

/// Totals of all points, then their components; machines beside them by their roofline.
std::string study_cost_text(const std::string& name, std::span<const CostedPoint> points,
                            std::span<const cost::Hardware> machines);

std::string study_cost_json(const std::string& name, std::span<const CostedPoint> points,
                            std::span<const cost::Hardware> machines);

}  // namespace crossweep::app
