#include "study_cost.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "crossweep/trial/demand.hpp"
#include "model_to_cost.hpp"

namespace crossweep::app {
namespace {

using cost::Cost;
using cost::Hardware;
using cost::PointCost;
using Json = nlohmann::ordered_json;
using Machines = std::span<const Hardware>;

std::vector<std::pair<std::string, std::string>> swept_settings(const config::Study& study,
                                                                const config::Point& point) {
    std::vector<std::pair<std::string, std::string>> settings;
    for (std::size_t axis = 0; axis < study.axes.size(); ++axis) {
        const auto& keys = study.axes[axis].keys;
        const auto& texts = study.axes[axis].text[point.index[axis]];
        for (std::size_t key = 0; key < keys.size(); ++key)
            if (!texts[key].empty()) settings.emplace_back(keys[key], texts[key]);
    }
    return settings;
}

double area_delay_m2_s(const Cost& cost) {
    return cost.area_m2 * cost.latency_s;
}

/// What a processor takes by its roofline; nothing where the file does not say.
Cost cost_on(const Hardware& hardware, const cost::TransformerShape& shape, std::size_t tokens) {
    Cost cost;
    cost.latency_s = latency_s(count_operations(shape, tokens), hardware);
    cost.area_m2 = hardware.die_area_m2;
    cost.energy_J = hardware.power_W * cost.latency_s;
    return cost;
}

Json cost_json(const Cost& cost) {
    return {{"energy_J", cost.energy_J}, {"area_m2", cost.area_m2}, {"latency_s", cost.latency_s}};
}

/// JSON has no infinity: null.
Json finite_json(double number) {
    return std::isfinite(number) ? Json(number) : Json(nullptr);
}

Json length_json(const CostedPoint& point, const CostOfLength& length, Machines machines) {
    const PointCost& cost = length.cost;
    Json json{{"tokens", length.tokens}};
    json.update(cost_json(cost.total()));
    json.update({{"area_delay_m2_s", area_delay_m2_s(cost.total())},
                 {"chips", cost.chips},
                 {"arrays", cost.arrays},
                 {"array_reads", cost.array_reads},
                 {"conversions", cost.conversions},
                 {"cell_writes", cost.cell_writes},
                 {"write_pulses", cost.write_pulses},
                 {"writes_per_cell", cost.writes_per_cell},
                 {"wear_out_years", finite_json(cost.wear_out_years)}});
    for (std::size_t i = 0; i < cost::component_count; ++i)
        json["components"][std::string(cost::component_names[i])] = cost_json(cost.components[i]);
    for (const Cost& layer : cost.layers) json["layers"].push_back(cost_json(layer));
    for (const Hardware& hardware : machines) {
        const Cost there = cost_on(hardware, point.shape, length.tokens);
        Json& on = json["on"][hardware.name];
        on = {{"latency_s", there.latency_s}};
        if (hardware.power_W > 0) on["energy_J"] = there.energy_J;
        if (hardware.die_area_m2 > 0)
            on.update({{"area_m2", there.area_m2}, {"area_delay_m2_s", area_delay_m2_s(there)}});
    }
    return json;
}

std::string time_text(double years) {
    if (!std::isfinite(years)) return "never";
    constexpr double days = 365.25;
    if (years >= 1) return fmt::format("{:.3g} years", years);
    if (years * days >= 1) return fmt::format("{:.3g} days", years * days);
    return fmt::format("{:.3g} hours", years * days * 24);
}

/// A number, or a dash where there is none.
std::string known_text(double number, double unit) {
    return number > 0 ? fmt::format("{:.4g}", number / unit) : "-";
}

std::string row_text(std::string_view label, std::size_t tokens, const Cost& cost) {
    return fmt::format("{:>16}{:>8}{:>12}{:>12}{:>12}{:>14}", label, tokens, known_text(cost.energy_J, 1e-3),
                       known_text(cost.latency_s, 1e-3), known_text(cost.area_m2, 1e-6),
                       known_text(area_delay_m2_s(cost), 1e-6));
}

std::string totals_text(std::span<const CostedPoint> points, Machines machines) {
    std::string text =
        fmt::format("{:>16}{:>8}{:>12}{:>12}{:>12}{:>14}{:>7}{:>13}{:>14}\n", "point", "tokens", "energy mJ",
                    "latency ms", "area mm2", "mm2 s", "chips", "writes/cell", "wear-out");
    for (const CostedPoint& point : points) {
        for (const CostOfLength& length : point.lengths) {
            const PointCost& cost = length.cost;
            text += row_text(fmt::format("{}", point.number), length.tokens, cost.total());
            text += fmt::format("{:7.0f}{:13.4g}{:>14}\n", cost.chips, cost.writes_per_cell,
                                time_text(cost.wear_out_years));
        }
    }
    for (const Hardware& hardware : machines)
        for (const CostOfLength& length : points.front().lengths)
            text += row_text(hardware.name, length.tokens,
                             cost_on(hardware, points.front().shape, length.tokens)) +
                    "\n";
    return text;
}

std::string components_text(const CostedPoint& point, const CostOfLength& length) {
    std::string text = fmt::format("{:>16}{:>20}{:>20}{:>20}\n", fmt::format("point {}", point.number),
                                   "energy mJ", "latency ms", "area mm2");
    const Cost total = length.cost.total();
    for (std::size_t i = 0; i < cost::component_count; ++i) {
        const Cost& part = length.cost.components[i];
        if (part.energy_J == 0 && part.area_m2 == 0 && part.latency_s == 0) continue;
        text += fmt::format(
            "{:>16}{:12.4g} {:5.1f} %{:12.4g} {:5.1f} %{:12.4g} {:5.1f} %\n", cost::component_names[i],
            part.energy_J * 1e3, 100 * part.energy_J / total.energy_J, part.latency_s * 1e3,
            100 * part.latency_s / total.latency_s, part.area_m2 * 1e6, 100 * part.area_m2 / total.area_m2);
    }
    return text;
}

std::string legend_text(const CostedPoint& point) {
    std::string text = fmt::format("  {}: technology {}", point.number, point.technology);
    for (const auto& [key, value] : point.settings) text += fmt::format(", {} = {}", key, value);
    return text + "\n";
}

}  // namespace

std::vector<CostedPoint> cost_of_points(const config::Study& study, const CostOptions& options) {
    const std::size_t count =
        options.first == 0 ? study.points.size() : std::min(options.first, study.points.size());
    std::vector<CostedPoint> costed;
    std::optional<ModelToCost> model;
    trial::ModelParams loaded;
    for (std::size_t number = 0; number < count; ++number) {
        const config::Settings& settings = study.points[number].settings;
        if (!model || settings.model != loaded) {
            const model::LoadOptions load{settings.model.num_heads, settings.model.keep_ratio};
            model = options.model.empty() ? ModelToCost(settings.model.weights, load)
                                          : ModelToCost::find(options.model, load);
            loaded = settings.model;
        }
        CostedPoint point{number,
                          swept_settings(study, study.points[number]),
                          settings.technology.name,
                          model->shape(),
                          !model->has_weights(),
                          {}};
        const trial::PointParams params = settings.point();
        for (const std::size_t tokens : lengths_of(options, model->shape())) {
            const auto demands = trial::demands_of(model->shapes(tokens), params);
            point.lengths.push_back(
                {tokens, evaluate(demands, model->shape().depth, params.crossbar, settings.technology)});
        }
        costed.push_back(std::move(point));
    }
    return costed;
}

std::string study_cost_json(const std::string& name, std::span<const CostedPoint> points, Machines machines) {
    Json json{{"study", name}, {"points", Json::array()}};
    for (const CostedPoint& point : points) {
        Json settings = Json::object();
        for (const auto& [key, value] : point.settings) settings[key] = value;
        Json entry{{"point", point.number},
                   {"model", point.shape.name},
                   {"blocks_alone", point.blocks_alone},
                   {"technology", point.technology},
                   {"settings", settings}};
        for (const CostOfLength& length : point.lengths)
            entry["lengths"].push_back(length_json(point, length, machines));
        json["points"].push_back(std::move(entry));
    }
    return json.dump(2) + "\n";
}

std::string study_cost_text(const std::string& name, std::span<const CostedPoint> points, Machines machines) {
    const CostedPoint& first = points.front();
    std::string text =
        fmt::format("{}: {}{}, one input at a time\n\n{}\n", name, first.shape.name,
                    first.blocks_alone ? " (blocks alone)" : "", totals_text(points, machines));
    for (const CostedPoint& point : points) text += legend_text(point);
    constexpr std::size_t most_breakdowns = 8;
    for (const CostedPoint& point : points.first(std::min(points.size(), most_breakdowns)))
        text += fmt::format("\n{}", components_text(point, point.lengths.back()));
    if (points.size() > most_breakdowns) text += "\nComponents of all points: --json\n";
    return text;
}

}  // namespace crossweep::app
