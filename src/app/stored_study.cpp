#include "stored_study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "crossweep/core/content_hash.hpp"
#include "crossweep/core/error.hpp"
#include "crossweep/io/atomic_file.hpp"

namespace crossweep::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr int stored_version = 1;

/// Most parameters are the same for all points: such a column is one value and a count.
template <class T>
Json to_json(const std::vector<T>& values) {
    const bool all_equal = !values.empty() && std::all_of(values.begin(), values.end(), [&](const T& value) {
        return value == values.front();
    });
    if (all_equal) return {{"times", values.size()}, {"value", values.front()}};
    return values;
}

template <class T>
std::vector<T> values_of(const Json& json) {
    if (json.is_array()) return json.get<std::vector<T>>();
    return std::vector<T>(json.at("times").get<std::size_t>(), json.at("value").get<T>());
}

Json to_json(const sweep::Column& column) {
    return {{"name", column.name}, {"text", to_json(column.text)}, {"number", to_json(column.number)}};
}

sweep::Column column_of(const Json& json) {
    return {json.at("name").get<std::string>(), values_of<std::string>(json.at("text")),
            values_of<double>(json.at("number"))};
}

Json columns_to_json(const std::vector<sweep::Column>& columns) {
    Json json = Json::array();
    for (const sweep::Column& column : columns) json.push_back(to_json(column));
    return json;
}

std::vector<sweep::Column> columns_of(const Json& json) {
    std::vector<sweep::Column> columns;
    for (const Json& column : json) columns.push_back(column_of(column));
    return columns;
}

Json workload_to_json(const sweep::Workload& workload) {
    std::vector<std::array<std::uint64_t, 2>> keys;
    for (const ContentHash& key : workload.point_keys) keys.push_back({key.high, key.low});
    return {{"point_keys", keys},
            {"group", to_json(workload.group)},
            {"is_reference", workload.is_reference},
            {"trials", workload.trials},
            {"shards", workload.shards},
            {"points_per_unit", workload.points_per_unit}};
}

sweep::Workload workload_of(const Json& json) {
    sweep::Workload workload;
    for (const auto& [high, low] : json.at("point_keys").get<std::vector<std::array<std::uint64_t, 2>>>())
        workload.point_keys.push_back({high, low});
    workload.group = values_of<std::size_t>(json.at("group"));
    json.at("is_reference").get_to(workload.is_reference);
    json.at("trials").get_to(workload.trials);
    json.at("shards").get_to(workload.shards);
    json.at("points_per_unit").get_to(workload.points_per_unit);
    return workload;
}

// JSON knows no infinity: a time that never ends is null.
Json number_to_json(double number) {
    return std::isfinite(number) ? Json(number) : Json(nullptr);
}

double number_of(const Json& json) {
    return json.is_null() ? std::numeric_limits<double>::infinity() : json.get<double>();
}

/// The counts of a cost, in the order in which they are stored.
constexpr std::array cost_counts{&sweep::CostOfPoint::chips,           &sweep::CostOfPoint::arrays,
                                 &sweep::CostOfPoint::array_reads,     &sweep::CostOfPoint::conversions,
                                 &sweep::CostOfPoint::cell_writes,     &sweep::CostOfPoint::write_pulses,
                                 &sweep::CostOfPoint::writes_per_cell, &sweep::CostOfPoint::wear_out_years};

Json to_json(const std::vector<sweep::PartCost>& parts) {
    Json json = Json::array();
    for (const sweep::PartCost& part : parts) {
        for (const double number : {part.energy_J, part.area_m2, part.latency_s})
            json.push_back(number_to_json(number));
    }
    return json;
}

std::vector<sweep::PartCost> parts_of(const Json& json) {
    std::vector<sweep::PartCost> parts;
    for (std::size_t i = 0; i + 2 < json.size(); i += 3)
        parts.push_back({number_of(json[i]), number_of(json[i + 1]), number_of(json[i + 2])});
    return parts;
}

Json to_json(const sweep::CostOfPoint& cost) {
    Json counts = Json::array();
    for (const auto count : cost_counts) counts.push_back(number_to_json(cost.*count));
    return {{"components", to_json(cost.components)}, {"layers", to_json(cost.layers)}, {"counts", counts}};
}

/// Noise costs nothing, so that few points differ in cost: each cost is stored once, with its points.
Json costs_to_json(const sweep::StudyDescription& study) {
    Json distinct = Json::array();
    std::map<std::string, std::size_t> place_of;
    std::vector<std::size_t> cost_of_point;
    for (const sweep::CostOfPoint& cost : study.costs) {
        Json json = to_json(cost);
        const auto [found, is_new] = place_of.try_emplace(json.dump(), distinct.size());
        cost_of_point.push_back(found->second);
        if (is_new) distinct.push_back(std::move(json));
    }
    return {{"components", study.cost_components},
            {"distinct", distinct},
            {"cost_of_point", to_json(cost_of_point)}};
}

void read_costs(const Json& json, sweep::StudyDescription& study) {
    json.at("components").get_to(study.cost_components);
    std::vector<sweep::CostOfPoint> distinct;
    for (const Json& stored : json.at("distinct")) {
        sweep::CostOfPoint& cost = distinct.emplace_back();
        cost.components = parts_of(stored.at("components"));
        cost.layers = parts_of(stored.at("layers"));
        for (std::size_t i = 0; i < cost_counts.size(); ++i)
            cost.*cost_counts[i] = number_of(stored.at("counts").at(i));
    }
    for (const std::size_t cost : values_of<std::size_t>(json.at("cost_of_point")))
        study.costs.push_back(distinct.at(cost));
}

Json description_to_json(const sweep::StudyDescription& study) {
    Json axes = Json::array();
    for (const sweep::ResultAxis& axis : study.axes)
        axes.push_back({{"coordinate", to_json(axis.coordinate)}, {"keys", columns_to_json(axis.keys)}});
    std::vector<bool> has_chip_noise;
    for (const ChipNoise noise : study.chip_noise) has_chip_noise.push_back(noise == ChipNoise::present);
    return {{"confidence", study.confidence},
            {"axes", axes},
            {"parameters", columns_to_json(study.parameters)},
            {"images", study.images},
            {"labels", study.labels},
            {"shard_images", study.shard_images},
            {"points", study.points},
            {"references", study.references},
            {"reference_of_point", to_json(study.reference_of_point)},
            {"has_chip_noise", has_chip_noise},
            {"characters_per_token", study.characters_per_token},
            {"costs", costs_to_json(study)}};
}

sweep::StudyDescription description_of(const Json& json) {
    sweep::StudyDescription study;
    json.at("confidence").get_to(study.confidence);
    for (const Json& axis : json.at("axes"))
        study.axes.push_back({column_of(axis.at("coordinate")), columns_of(axis.at("keys"))});
    study.parameters = columns_of(json.at("parameters"));
    json.at("images").get_to(study.images);
    json.at("labels").get_to(study.labels);
    json.at("shard_images").get_to(study.shard_images);
    json.at("points").get_to(study.points);
    json.at("references").get_to(study.references);
    study.reference_of_point = values_of<std::size_t>(json.at("reference_of_point"));
    for (const bool noise : json.at("has_chip_noise").get<std::vector<bool>>())
        study.chip_noise.push_back(noise ? ChipNoise::present : ChipNoise::none);
    // Not in what was stored before there were language models.
    study.characters_per_token = json.value("characters_per_token", 0.0);
    // Nor before points had a cost.
    if (json.contains("costs")) read_costs(json.at("costs"), study);
    return study;
}

std::filesystem::path file_of(const sweep::RunDirectory& directory) {
    return directory.path() / "study.json";
}

}  // namespace

StoredStudy stored_form(const Session& session) {
    return {session.study.base.study.name, session.workload, describe(session)};
}

void store(const StoredStudy& study, const sweep::RunDirectory& directory) {
    const Json content{{"name", study.name},
                       {"workload", workload_to_json(study.workload)},
                       {"description", description_to_json(study.description)}};
    // A digit that a disk has changed would change what records mean, and no one would know.
    const Json json{
        {"version", stored_version}, {"hash", hash_text(content.dump()).hex()}, {"study", content}};
    const std::string text = json.dump() + "\n";
    const auto file = file_of(directory);
    directory.exclusively([&] {
        if (!std::filesystem::exists(file) || io::read_text(file) != text)
            io::write_text_atomically(file, text);
    });
}

StoredStudy read_stored_study(const sweep::RunDirectory& directory) {
    const auto file = file_of(directory);
    if (!std::filesystem::exists(file)) {
        return stored_form(
            open_session(config::parse_study(directory.study_toml(), directory.path() / "study.toml")));
    }
    const auto refuse = [&](const std::string& why) -> DataError {
        return DataError(
            fmt::format("{}: it cannot be used ({}). Give crossweep run for this directory again: it writes "
                        "the file anew.",
                        file.string(), why));
    };
    try {
        const Json json = Json::parse(io::read_text(file));
        if (const int version = json.at("version").get<int>(); version != stored_version)
            throw refuse(fmt::format("it has version {}, this crossweep reads {}", version, stored_version));
        const Json& content = json.at("study");
        if (json.at("hash").get<std::string>() != hash_text(content.dump()).hex())
            throw refuse("its contents are not those that were written");
        return {content.at("name").get<std::string>(), workload_of(content.at("workload")),
                description_of(content.at("description"))};
    } catch (const Json::exception& error) {
        throw refuse(error.what());
    }
}

}  // namespace crossweep::app
