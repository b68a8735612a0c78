#include "stored_study.hpp"

#include <fmt/format.h>

#include <algorithm>
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
            {"characters_per_token", study.characters_per_token}};
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
