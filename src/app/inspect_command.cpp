// crossweep inspect, schema and version: what a file, a study file and this program are.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "crossweep/config/study.hpp"
#include "crossweep/model/transformer.hpp"
#include "provenance.hpp"

namespace crossweep::app {

ExitCode inspect(const std::string& weights, std::uint32_t heads, bool json) {
    const io::Safetensors file(weights);
    const model::Transformer network(file, {heads, 0});
    const model::Architecture& a = network.architecture();
    const nlohmann::json facts{{"family", a.family},
                               {"tokens", a.tokens},
                               {"width", a.width},
                               {"depth", a.depth},
                               {"heads", a.heads},
                               {"mlp_width", a.mlp_width},
                               {"classes", a.classes},
                               {"parameters", network.parameters()},
                               {"multiply_accumulates_per_image", network.multiply_accumulates()},
                               {"tensors", file.tensors().size()},
                               {"content_hash", file.content_hash().hex()}};
    if (json) {
        nlohmann::json all = facts;
        all["metadata"] = file.metadata();
        fmt::print("{}\n", all.dump(2));
        return ExitCode::done;
    }
    for (const auto& [key, value] : facts.items()) {
        fmt::print("{:<32}{}\n", key, value.is_string() ? value.get<std::string>() : value.dump());
    }
    for (const auto& [key, value] : file.metadata()) fmt::print("metadata {:<23}{}\n", key, value);
    return ExitCode::done;
}

ExitCode schema() {
    fmt::print("{}", config::reference_markdown());
    return ExitCode::done;
}

ExitCode version(bool json) {
    if (json) {
        nlohmann::ordered_json facts;
        for (const auto& [name, value] : provenance()) facts[name] = value;
        fmt::print("{}\n", facts.dump(2));
        return ExitCode::done;
    }
    for (const auto& [name, value] : provenance()) fmt::print("{:<18}{}\n", name, value);
    return ExitCode::done;
}

}  // namespace crossweep::app
