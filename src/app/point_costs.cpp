#include "point_costs.hpp"

#include <algorithm>
#include <map>

#include "crossweep/cost/crossbar_cost.hpp"
#include "crossweep/trial/demand.hpp"

namespace crossweep::app {
namespace {

/// Tokens of an input -> how many inputs of the study have as many. Images have the tokens of the model.
using Lengths = std::map<std::size_t, std::size_t>;

Lengths lengths_of(const trial::Experiment& experiment, const model::Architecture& network) {
    const io::TextSet* texts = experiment.inputs().texts();
    if (texts == nullptr) return {{network.tokens, experiment.images().size()}};
    Lengths lengths;
    for (const std::uint32_t text : experiment.images()) {
        const auto mask = texts->mask.begin() + static_cast<std::ptrdiff_t>(text * texts->length);
        ++lengths[static_cast<std::size_t>(
            std::count(mask, mask + static_cast<std::ptrdiff_t>(texts->length), std::uint8_t{1}))];
    }
    return lengths;
}

/// What a model computes for inputs of one length, and the fraction of inputs that have it.
struct ShapesOfLength {
    double weight;
    trial::ModelShapes shapes;
};

std::vector<ShapesOfLength> shapes_of_inputs(const trial::Experiment& experiment,
                                             const model::Transformer& network) {
    std::vector<ShapesOfLength> all;
    for (const auto& [tokens, inputs] : lengths_of(experiment, network.architecture())) {
        const double weight = static_cast<double>(inputs) / static_cast<double>(experiment.images().size());
        all.push_back({weight, trial::shapes_of(network, tokens)});
    }
    return all;
}

/// The mean of energy and latency; hardware is there for the longest input.
void add(std::vector<sweep::PartCost>& sums, std::span<const cost::Cost> parts, double weight) {
    sums.resize(parts.size());
    for (std::size_t i = 0; i < parts.size(); ++i) {
        sums[i].energy_J += weight * parts[i].energy_J;
        sums[i].latency_s += weight * parts[i].latency_s;
        sums[i].area_m2 = std::max(sums[i].area_m2, parts[i].area_m2);
    }
}

void add(sweep::CostOfPoint& sum, const cost::PointCost& cost, double weight) {
    add(sum.components, cost.components, weight);
    add(sum.layers, cost.layers, weight);
    sum.chips = std::max(sum.chips, cost.chips);
    sum.arrays = std::max(sum.arrays, cost.arrays);
    sum.array_reads += weight * cost.array_reads;
    sum.conversions += weight * cost.conversions;
    sum.cell_writes += weight * cost.cell_writes;
    sum.write_pulses += weight * cost.write_pulses;
    sum.writes_per_cell += weight * cost.writes_per_cell;
    sum.wear_out_years += weight * cost.wear_out_years;
}

}  // namespace

void describe_costs(const Session& session, sweep::StudyDescription& description) {
    const trial::Experiment& experiment = *session.experiment;
    description.cost_components.assign(cost::component_names.begin(), cost::component_names.end());
    std::vector<std::vector<ShapesOfLength>> shapes;  // [reference]
    for (std::size_t reference = 0; reference < experiment.references(); ++reference)
        shapes.push_back(shapes_of_inputs(experiment, experiment.model(reference).network));
    for (std::uint32_t p = 0; p < experiment.points(); ++p) {
        const std::size_t reference = experiment.reference_of(PointId(p));
        const trial::PointParams& params = experiment.params(PointId(p));
        const cost::Technology& technology = session.study.points[p].settings.technology;
        const std::size_t depth = experiment.model(reference).network.architecture().depth;
        sweep::CostOfPoint& sum = description.costs.emplace_back();
        for (const auto& [weight, of_length] : shapes[reference]) {
            const auto demands = trial::demands_of(of_length, params);
            add(sum, cost::evaluate(demands, depth, params.crossbar, technology), weight);
        }
    }
}

}  // namespace crossweep::app
