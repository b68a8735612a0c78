#include "cost_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace crossweep::app {
namespace {

using cost::Hardware;
using cost::OperationCost;
using cost::TransformerCost;
using cost::TransformerShape;
using Json = nlohmann::ordered_json;
using Machines = std::span<const Hardware>;

std::string_view kind_word(const TransformerShape& shape) {
    return shape.kind == cost::Kind::encoder ? "encoder" : "decoder";
}

std::vector<std::string_view> kept_by(const Hardware& hardware) {
    std::vector<std::string_view> kept;
    if (hardware.keeps_weights) kept.emplace_back("weights");
    if (hardware.keeps_cache) kept.emplace_back("cache");
    return kept;
}

Json counts_json(const OperationCost& counts) {
    return {{"flop", counts.flop},
            {"moved_B", counts.moved_B()},
            {"weights_B", counts.weights_B},
            {"cache_B", counts.cache_B},
            {"activations_B", counts.activations_B},
            {"intensity_flop_per_B", counts.intensity_flop_per_B()},
            {"vector_products", counts.vector_products},
            {"on", Json::object()}};
}

Json on_machine_json(const OperationCost& counts, double latency_s, const Hardware& hardware) {
    const double moved = moved_B(counts, hardware);
    return {{"moved_B", moved}, {"intensity_flop_per_B", counts.flop / moved}, {"latency_s", latency_s}};
}

Json operation_json(const OperationCost& operation, Machines machines) {
    Json json = counts_json(operation);
    for (const Hardware& hardware : machines) {
        Json& on = json["on"][hardware.name];
        on = on_machine_json(operation, latency_s(operation, hardware), hardware);
        on["bound"] = cost::bound_names[static_cast<std::size_t>(bound(operation, hardware))];
    }
    return json;
}

Json length_json(const TransformerShape& shape, std::size_t tokens, Machines machines) {
    const TransformerCost cost = count_operations(shape, tokens);
    Json json{{"tokens", tokens}};
    json.update(counts_json(total(cost)));
    for (const Hardware& hardware : machines)
        json["on"][hardware.name] = on_machine_json(total(cost), latency_s(cost, hardware), hardware);
    for (std::size_t i = 0; i < cost::operation_count; ++i)
        json["operations"][std::string(cost::operation_names[i])] = operation_json(cost[i], machines);
    return json;
}

Json hardware_json(const Hardware& hardware) {
    return {{"name", hardware.name},
            {"description", hardware.description},
            {"source", hardware.source},
            {"peak_flop_per_s", hardware.peak_flop_per_s},
            {"bandwidth_B_per_s", hardware.bandwidth_B_per_s},
            {"ridge_flop_per_B", hardware.ridge_flop_per_B()},
            {"vector_product_s", hardware.vector_product_s},
            {"keeps", kept_by(hardware)}};
}

/// Columns of a machine's times.
std::size_t columns_of(const Hardware& hardware) {
    return std::max<std::size_t>(hardware.name.size() + 6, 12);
}

std::string heading(std::string_view label, Machines machines) {
    std::string line = fmt::format("{:>18}{:>12}{:>12}{:>10}", label, "GFLOP", "GB", "FLOP/B");
    for (const Hardware& hardware : machines)
        line += fmt::format("{:>{}}", hardware.name + " ms", columns_of(hardware) - 2) + "  ";
    return line + "\n";
}

std::string counts_text(std::string_view label, const OperationCost& counts) {
    return fmt::format("{:>18}{:12.6g}{:12.6g}{:10.2f}", label, counts.flop / 1e9, counts.moved_B() / 1e9,
                       counts.intensity_flop_per_B());
}

/// `mark`: one letter after the time.
std::string time_text(double latency_s, char mark, const Hardware& hardware) {
    return fmt::format("{:{}.4g} {}", 1e3 * latency_s, columns_of(hardware) - 2, mark);
}

std::string lengths_text(const TransformerShape& shape, std::span<const std::size_t> lengths,
                         Machines machines) {
    std::string text = heading("tokens", machines);
    for (const std::size_t tokens : lengths) {
        const TransformerCost cost = count_operations(shape, tokens);
        text += counts_text(fmt::format("{}", tokens), total(cost));
        for (const Hardware& hardware : machines) text += time_text(latency_s(cost, hardware), ' ', hardware);
        text += "\n";
    }
    return text;
}

std::string operations_text(const TransformerCost& cost, std::size_t tokens, Machines machines) {
    std::string text = heading(fmt::format("at {} tokens", tokens), machines);
    for (std::size_t i = 0; i < cost::operation_count; ++i) {
        text += counts_text(cost::operation_names[i], cost[i]);
        for (const Hardware& hardware : machines) {
            const std::string_view why =
                cost::bound_names[static_cast<std::size_t>(bound(cost[i], hardware))];
            text += time_text(latency_s(cost[i], hardware), why.front(), hardware);
        }
        text += "\n";
    }
    return text;
}

std::string machine_text(const Hardware& hardware, const OperationCost& counts, std::size_t tokens) {
    std::string text = fmt::format("{}: {}; {:.4g} TFLOP/s, {:.4g} GB/s, level at {:.0f} FLOP/B\n",
                                   hardware.name, hardware.description, hardware.peak_flop_per_s / 1e12,
                                   hardware.bandwidth_B_per_s / 1e9, hardware.ridge_flop_per_B());
    const auto kept = kept_by(hardware);
    if (kept.empty()) return text;
    const double moved = moved_B(counts, hardware);
    return text + fmt::format("  {} stay: at {} tokens {:.4f} GB move, {:.2f} FLOP/B\n",
                              fmt::join(kept, " and "), tokens, moved / 1e9, counts.flop / moved);
}

}  // namespace

std::string cost_json(const TransformerShape& shape, std::span<const std::size_t> lengths,
                      std::span<const Hardware> machines) {
    Json json{{"model", shape.name},
              {"kind", kind_word(shape)},
              {"depth", shape.depth},
              {"width", shape.width},
              {"heads", shape.heads},
              {"mlp_width", shape.mlp_width},
              {"most_tokens", shape.most_tokens},
              {"element_B", cost::element_B}};
    json["hardware"] = Json::array();
    for (const Hardware& hardware : machines) json["hardware"].push_back(hardware_json(hardware));
    for (const std::size_t tokens : lengths) json["lengths"].push_back(length_json(shape, tokens, machines));
    return json.dump(2) + "\n";
}

std::string cost_text(const TransformerShape& shape, std::span<const std::size_t> lengths,
                      std::span<const Hardware> machines) {
    const std::size_t tokens = std::ranges::max(lengths);
    const TransformerCost cost = count_operations(shape, tokens);
    std::string text =
        fmt::format("{}: {} of {} blocks, width {}, {} heads, feed-forward {}; 1 byte an element\n{}\n{}\n",
                    shape.name, kind_word(shape), shape.depth, shape.width, shape.heads, shape.mlp_width,
                    lengths_text(shape, lengths, machines), operations_text(cost, tokens, machines));
    for (const Hardware& hardware : machines) text += machine_text(hardware, total(cost), tokens);
    if (machines.empty()) return text + "For latencies give machines, such as --hardware configs/hardware\n";
    return text + "Time goes into c computing, m moving, v vectors through a matrix one after the other\n";
}

}  // namespace crossweep::app
