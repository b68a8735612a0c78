// crossweep cost: which model, lengths and machines are asked for. What is printed of them: cost_report.hpp.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "commands.hpp"
#include "cost_report.hpp"
#include "crossweep/config/hardware.hpp"
#include "crossweep/cost/published_shapes.hpp"
#include "crossweep/model/transformer.hpp"

namespace crossweep::app {
namespace {

using cost::Hardware;
using cost::TransformerShape;

constexpr std::size_t longest = std::size_t{1} << 30;

TransformerShape shape_of(const model::Architecture& a, const std::string& name) {
    TransformerShape shape{name,     a.causal ? cost::Kind::decoder : cost::Kind::encoder,
                           a.depth,  a.width,
                           a.heads,  a.mlp_width,
                           a.tokens, {}};
    for (std::size_t block = 0; !a.cuts.empty() && block < a.depth; ++block)
        shape.kept_tokens.push_back(static_cast<double>(a.tokens_in_block(block)) /
                                    static_cast<double>(a.tokens));
    return shape;
}

TransformerShape find_shape(const std::string& name_or_weights) {
    if (const auto* published = cost::find_published_shape(name_or_weights)) return *published;
    if (!std::filesystem::exists(name_or_weights)) {
        std::vector<std::string_view> names;
        for (const TransformerShape& shape : cost::published_shapes()) names.push_back(shape.name);
        throw UsageError(
            fmt::format("--model {} is neither a published model nor a file. Give the path of "
                        "weights, or one of {}.",
                        name_or_weights, fmt::join(names, ", ")));
    }
    const io::Safetensors file(name_or_weights);
    return shape_of(model::Transformer(file).architecture(), name_or_weights);
}

/// A whole number from 1 to `longest`, or 0.
std::size_t read_length(std::string_view text) {
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    const bool is_whole = error == std::errc{} && end == text.data() + text.size();
    return is_whole && length <= longest ? length : 0;
}

/// "128" alone, or "128:1024": 128 and its doubles up to 1024.
void append_lengths(std::string_view text, std::vector<std::size_t>& lengths) {
    const auto colon = text.find(':');
    const std::size_t first = read_length(text.substr(0, colon));
    const std::size_t last = colon == text.npos ? first : read_length(text.substr(colon + 1));
    if (first == 0 || last < first) {
        throw UsageError(
            fmt::format("--lengths {} is not a number of tokens from 1 to {}, nor a range from:to. "
                        "Write, for example, --lengths 128,256 or --lengths 128:4096.",
                        text, longest));
    }
    for (std::size_t length = first; length <= last; length *= 2) lengths.push_back(length);
}

std::vector<std::size_t> lengths_of(const CostOptions& options, const TransformerShape& shape) {
    std::vector<std::size_t> lengths;
    for (const std::string& text : options.lengths) append_lengths(text, lengths);
    if (lengths.empty()) lengths.push_back(shape.most_tokens);
    for (const std::size_t length : lengths) {
        if (length > shape.most_tokens && !options.beyond)
            throw UsageError(
                fmt::format("{} tokens are beyond the {} that {} has positions for. Give smaller "
                            "--lengths, or --beyond to count as if it had more.",
                            length, shape.most_tokens, shape.name));
    }
    return lengths;
}

/// Every file, those of folders in the order of their names.
std::vector<Hardware> read_hardware(const std::vector<std::string>& paths) {
    std::vector<std::filesystem::path> files;
    for (const std::filesystem::path path : paths) {
        if (!std::filesystem::is_directory(path)) {
            files.push_back(path);
            continue;
        }
        const auto folder_begins = static_cast<std::ptrdiff_t>(files.size());
        for (const auto& entry : std::filesystem::directory_iterator(path))
            if (entry.path().extension() == ".toml") files.push_back(entry.path());
        if (files.size() == static_cast<std::size_t>(folder_begins))
            throw DataError(
                fmt::format("--hardware {}: there is no TOML file in that folder. Give hardware files "
                            "as those in configs/hardware.",
                            path.string()));
        std::sort(files.begin() + folder_begins, files.end());
    }
    std::vector<Hardware> all;
    for (const auto& file : files) {
        all.push_back(config::load_hardware(file));
        const auto same = std::ranges::count(all, all.back().name, &Hardware::name);
        if (same > 1)
            throw UsageError(
                fmt::format("--hardware {}: another file is called {} too. Give it once, or rename "
                            "one.",
                            file.string(), all.back().name));
    }
    return all;
}

}  // namespace

ExitCode cost(const CostOptions& options) {
    const TransformerShape shape = find_shape(options.model);
    const std::vector<std::size_t> lengths = lengths_of(options, shape);
    const std::vector<Hardware> machines = read_hardware(options.hardware);
    fmt::print("{}",
               options.json ? cost_json(shape, lengths, machines) : cost_text(shape, lengths, machines));
    return ExitCode::done;
}

}  // namespace crossweep::app
