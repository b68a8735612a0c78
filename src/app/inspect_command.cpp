// crossweep inspect: what a file of weights is, what it asks of crossbars, and what is wrong with it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "commands.hpp"
#include "crossweep/config/study.hpp"
#include "model_size.hpp"

namespace crossweep::app {
namespace {

using nlohmann::ordered_json;

/// Tensors whose names differ in the number of their layer alone.
struct LikeTensors {
    std::string name;  ///< "blocks.*.attn.qkv.weight"
    std::vector<std::int64_t> shape;
    std::string dtype;
    std::size_t count = 0;
};

/// `name` with a star for its first part that is a number.
std::string without_layer(const std::string& name) {
    for (std::size_t begin = 0; begin < name.size();) {
        const std::size_t end = std::min(name.find('.', begin), name.size());
        const bool is_number =
            end > begin && std::all_of(name.begin() + static_cast<std::ptrdiff_t>(begin),
                                       name.begin() + static_cast<std::ptrdiff_t>(end),
                                       [](unsigned char c) { return std::isdigit(c) != 0; });
        if (is_number) return name.substr(0, begin) + "*" + name.substr(end);
        begin = end + 1;
    }
    return name;
}

std::vector<LikeTensors> like_tensors(const io::Safetensors& file) {
    std::vector<LikeTensors> groups;
    for (const auto& [name, info] : file.tensors()) {
        const std::string pattern = without_layer(name);
        const auto is_like = [&](const LikeTensors& group) {
            return group.name == pattern && group.shape == info.shape && group.dtype == info.dtype;
        };
        auto group = std::ranges::find_if(groups, is_like);
        if (group == groups.end())
            group = groups.insert(groups.end(), LikeTensors{pattern, info.shape, info.dtype, 0});
        ++group->count;
    }
    return groups;
}

std::string_view task_word(model::Task task) {
    return task == model::Task::language_model ? "language_model" : "classification";
}

/// What there is to tell of one file.
struct Findings {
    explicit Findings(const io::Safetensors& inspected) : file(inspected), tensors(like_tensors(file)) {}

    const io::Safetensors& file;
    model::Architecture architecture;         ///< as far as it was recognised
    std::optional<model::Transformer> model;  ///< if the file is whole
    std::string problems;                     ///< if it is not, a line each
    crossbar::CrossbarParams crossbar;        ///< the default, and so is the device
    std::uint32_t bits_per_cell = device::DeviceParams().bits_per_cell;
    crossbar::ArrayCounter count{crossbar, bits_per_cell};
    ModelSize size;
    std::vector<LikeTensors> tensors;
};

Findings look_into(const io::Safetensors& file, std::uint32_t heads) {
    Findings found(file);
    try {
        found.model.emplace(file, model::LoadOptions{heads, 0});
        found.architecture = found.model->architecture();
        found.size = size_of(*found.model, found.count);
    } catch (const model::NotAModel& error) {
        found.architecture = error.recognised();
        found.problems = error.what();
    }
    return found;
}

// ---- for programs ----

/// An extent that is not known is null.
ordered_json known(std::size_t extent) {
    return extent > 0 ? ordered_json(extent) : ordered_json();
}

ordered_json json_of(const model::Architecture& a) {
    if (a.family.empty()) return {{"family", nullptr}};
    ordered_json facts{{"family", a.family}, {"task", task_word(a.task)}};
    if (a.vocabulary > 0) {
        facts["vocabulary"] = a.vocabulary;
        facts["segments"] = known(a.segments);
    } else {
        facts["image_size_pixels"] = known(a.image_size);
        facts["patch_size_pixels"] = known(a.patch_size);
        facts["channels"] = known(a.channels);
    }
    facts["tokens"] = known(a.tokens);
    facts["width"] = known(a.width);
    facts["depth"] = known(a.depth);
    facts["heads"] = known(a.heads);
    facts["mlp_width"] = known(a.mlp_width);
    facts["classes"] = known(a.classes);
    facts["layer_norm_eps"] = std::stod(fmt::format("{}", a.layer_norm_epsilon));
    return facts;
}

void add_size(const Findings& found, ordered_json& facts) {
    facts["parameters"] = found.model->parameters();
    facts["multiply_accumulates_per_image"] =
        found.model->multiply_accumulates();  // per text of a text model
    for (const OperandSize& operand : found.size.operands) {
        ordered_json matrices = ordered_json::array();
        for (const EqualMatrices& equal : operand.matrices)
            matrices.push_back({{"count", equal.count}, {"shape", {equal.rows, equal.columns}}});
        facts["operands"].push_back({{"operand", config::operand_key(operand.role)},
                                     {"digital_by_default", operand.is_digital},
                                     {"multiply_accumulates_per_image", operand.multiply_accumulates},
                                     {"arrays", operand.arrays},
                                     {"matrices", matrices}});
    }
    for (const BlockSize& block : found.size.blocks) {
        facts["blocks"].push_back({{"tokens", block.tokens},
                                   {"attention_arrays", block.attention_arrays},
                                   {"arrays", block.arrays}});
    }
    facts["arrays"] = found.size.arrays;
    facts["array_rows"] = found.crossbar.array_rows;
    facts["array_columns"] = found.crossbar.array_columns;
    facts["bits_per_cell"] = found.bits_per_cell;
    facts["slices"] = found.count.slices();
    facts["columns_per_slice_counted"] = 1;
    facts["columns_per_slice"] = found.count.columns_per_slice();
}

void print_json(const Findings& found) {
    ordered_json facts = json_of(found.architecture);
    if (found.model) add_size(found, facts);
    facts["tensors"] = found.file.tensors().size();
    for (const LikeTensors& like : found.tensors) {
        facts["tensor_shapes"].push_back(
            {{"name", like.name}, {"count", like.count}, {"shape", like.shape}, {"dtype", like.dtype}});
    }
    facts["content_hash"] = found.file.content_hash().hex();
    facts["metadata"] = found.file.metadata();
    facts["problems"] = ordered_json::array();
    std::istringstream lines(found.problems);
    for (std::string line; std::getline(lines, line);) facts["problems"].push_back(line);
    fmt::print("{}\n", facts.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

// ---- for readers ----

void print_line(std::string_view what, const std::string& fact) {
    fmt::print("{:<17}{}\n", what, fact);
}

std::string known_text(std::size_t extent) {
    return extent > 0 ? fmt::format("{}", extent) : "?";
}

void print_architecture(const model::Architecture& a) {
    if (a.family.empty()) return print_line("family", "not known");
    print_line("family", a.family);
    print_line("task", a.task == model::Task::language_model
                           ? "tells the next token"
                           : fmt::format("classification into {} classes", known_text(a.classes)));
    if (a.vocabulary > 0) {
        print_line("input",
                   fmt::format("text of at most {} tokens out of {}", known_text(a.tokens), a.vocabulary));
    } else {
        print_line("input",
                   fmt::format("image [{}, {}, {}]: {} tokens, the class and patches of {} x {} pixels",
                               known_text(a.channels), known_text(a.image_size), known_text(a.image_size),
                               known_text(a.tokens), known_text(a.patch_size), known_text(a.patch_size)));
    }
    print_line("blocks", fmt::format("{} of width {}, {} heads, MLP {}", known_text(a.depth),
                                     known_text(a.width), known_text(a.heads), known_text(a.mlp_width)));
}

/// "12 x [384, 384], [384, 192]"
std::string shapes_text(const std::vector<EqualMatrices>& matrices) {
    std::vector<std::string> words;
    for (const EqualMatrices& equal : matrices) {
        words.push_back(fmt::format("{}[{}, {}]", equal.count > 1 ? fmt::format("{} x ", equal.count) : "",
                                    equal.rows, equal.columns));
    }
    return fmt::format("{}", fmt::join(words, ", "));
}

void print_blocks(const std::vector<BlockSize>& blocks) {
    fmt::print("\n{:<12}{:>8}{:>18}{:>10}\n", "block", "tokens", "attention arrays", "arrays");
    for (std::size_t first = 0, next = 0; first < blocks.size(); first = next) {
        while (next < blocks.size() && blocks[next] == blocks[first]) ++next;
        const std::string numbers =
            next == first + 1 ? fmt::format("{}", first) : fmt::format("{} to {}", first, next - 1);
        const BlockSize& block = blocks[first];
        fmt::print("{:<12}{:>8}{:>18}{:>10}\n", numbers, block.tokens, block.attention_arrays, block.arrays);
    }
}

void print_size(const Findings& found) {
    const crossbar::CrossbarParams& crossbar = found.crossbar;
    print_line("parameters", fmt::format("{}", found.model->parameters()));
    print_line("GMAC per input",
               fmt::format("{:.4g}", static_cast<double>(found.model->multiply_accumulates()) / 1e9));
    print_line("arrays", fmt::format("{}", found.size.arrays));
    fmt::print("\n{:<12}{:>15}{:>10}  {}\n", "operand", "GMAC per input", "arrays", "matrices");
    for (const OperandSize& operand : found.size.operands) {
        fmt::print("{:<12}{:>15.4g}{:>10}  {}{}\n", config::operand_key(operand.role),
                   static_cast<double>(operand.multiply_accumulates) / 1e9, operand.arrays,
                   shapes_text(operand.matrices),
                   operand.is_digital ? " (digital by default: not in the sum)" : "");
    }
    print_blocks(found.size.blocks);
    fmt::print(
        "\nArrays of {} x {} cells with {} bits, {} slices per weight, one column per slice{}.\n"
        "K and V are those of an input with the most tokens. Attention: q, k, v, keys and values.\n",
        crossbar.array_rows, crossbar.array_columns, found.bits_per_cell, found.count.slices(),
        found.count.columns_per_slice() > 1 ? " (pairs for signs double them)" : "");
}

void print_text(const Findings& found) {
    print_architecture(found.architecture);
    if (found.model) print_size(found);
    std::size_t longest = 0;
    for (const LikeTensors& like : found.tensors) longest = std::max(longest, like.name.size());
    fmt::print("\n{} tensors\n", found.file.tensors().size());
    for (const LikeTensors& like : found.tensors) {
        fmt::print("{:<{}}  {:>3} x [{}] {}\n", like.name, longest, like.count, fmt::join(like.shape, ", "),
                   like.dtype);
    }
    fmt::print("\n{:<17}{}\n", "content hash", found.file.content_hash().hex());
    for (const auto& [key, value] : found.file.metadata()) print_line(key, value);
}

}  // namespace

ExitCode inspect(const std::string& weights, std::uint32_t heads, bool json) {
    const io::Safetensors file(weights);
    const Findings found = look_into(file, heads);
    if (json) {
        print_json(found);
    } else {
        print_text(found);
    }
    if (!found.problems.empty()) {
        std::fflush(stdout);
        throw DataError(found.problems);
    }
    return ExitCode::done;
}

}  // namespace crossweep::app
