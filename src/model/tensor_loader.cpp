#include "tensor_loader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "crossweep/core/error.hpp"

namespace crossweep::model {

namespace {

constexpr std::size_t most_problems_listed = 100;

}  // namespace

bool TensorLoader::has_any(std::string_view prefix) const {
    return std::ranges::any_of(file_.tensors(),
                               [&](const auto& tensor) { return tensor.first.starts_with(prefix); });
}

std::size_t TensorLoader::count_layers(const std::string& prefix) const {
    const std::string start = prefix + ".";
    std::size_t layers = 0;
    for (const auto& [name, info] : file_.tensors()) {
        std::size_t index = 0;
        if (!name.starts_with(start)) continue;
        const char* first = name.data() + start.size();
        const auto [end, error] = std::from_chars(first, name.data() + name.size(), index);
        if (error == std::errc{} && end != first && *end == '.' && index < 65536)
            layers = std::max(layers, index + 1);
    }
    return layers;
}

std::size_t TensorLoader::extent(const std::string& name, std::size_t dimension, std::size_t rank) {
    const auto found = file_.tensors().find(name);
    if (found == file_.tensors().end()) return 0;  // reported by floats()
    const Shape& shape = found->second.shape;
    const bool right_rank = shape.size() == rank;
    if (right_rank && shape[dimension] > 0) return static_cast<std::size_t>(shape[dimension]);
    if (refused_.insert(name).second) {
        problem(fmt::format("tensor \"{}\" has shape [{}], which {}", name, fmt::join(shape, ", "),
                            right_rank ? "is empty" : fmt::format("does not have {} dimensions", rank)));
    }
    return 0;
}

std::span<const float> TensorLoader::floats(const std::string& name, const Shape& shape) {
    const bool is_first = asked_for_.insert(name).second;
    if (refused_.contains(name)) return {};
    const auto found = file_.tensors().find(name);
    if (found == file_.tensors().end()) {
        if (is_first) problem(fmt::format("tensor \"{}\" is missing", name));
        return {};
    }
    const auto fits = [](std::int64_t extent, std::int64_t expected) {
        return expected == 0 || extent == expected;
    };
    if (!std::ranges::equal(found->second.shape, shape, fits)) {
        problem(fmt::format("tensor \"{}\" has shape [{}] where [{}] is expected", name,
                            fmt::join(found->second.shape, ", "), fmt::join(shape, ", ")));
        return {};
    }
    std::span<const float> values;
    try {
        values = file_.floats(name);
    } catch (const DataError& error) {
        problems_.emplace_back(error.what());
        return {};
    }
    const auto bad = std::count_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
    if (bad > 0) problem(fmt::format("tensor \"{}\" has {} values that are not finite", name, bad));
    handed_out_.insert(name);
    return values;
}

LayerNorm TensorLoader::layer_norm(const std::string& prefix, std::size_t width) {
    const bool early = has(prefix + ".gamma");
    return {floats(prefix + (early ? ".gamma" : ".weight"), {extent_of(width)}),
            floats(prefix + (early ? ".beta" : ".bias"), {extent_of(width)})};
}

void TensorLoader::ignore_if(const std::function<bool(const std::string& name)>& unused) {
    for (const auto& [name, info] : file_.tensors()) {
        if (unused(name)) ignore(name);
    }
}

void TensorLoader::expect_no_others(const std::string& family) {
    for (const auto& [name, info] : file_.tensors()) {
        if (!asked_for_.contains(name))
            problem(fmt::format("tensor \"{}\" has no place in a {}", name, family));
    }
}

nlohmann::json TensorLoader::metadata(const std::string& key) {
    const auto found = file_.metadata().find(key);
    if (found == file_.metadata().end()) return nlohmann::json::object();
    auto value = nlohmann::json::parse(found->second, nullptr, false);
    if (value.is_object()) return value;
    problem(fmt::format("metadata \"{}\" is not a JSON object", key));
    return nlohmann::json::object();
}

double TensorLoader::described(const std::string& key, double otherwise) {
    const nlohmann::json architecture = metadata("architecture");
    const auto found = architecture.find(key);
    if (found == architecture.end()) return otherwise;
    if (found->is_number() && found->get<double>() > 0) return found->get<double>();
    problem(fmt::format("metadata \"architecture\" has a {} that is not a positive number", key));
    return otherwise;
}

std::size_t TensorLoader::heads(std::size_t asked_for, std::size_t width) {
    const double described_heads = described("num_heads", 0);
    const bool guessed = asked_for == 0 && described_heads < 1;
    std::size_t heads = asked_for;
    if (heads == 0) {
        // A number beyond any width is told below.
        heads = guessed ? width / 64 : static_cast<std::size_t>(std::min(described_heads, 1e9));
    }
    if (width > 0 && (heads == 0 || width % heads != 0 || (guessed && width % 64 != 0))) {
        problem(guessed
                    ? fmt::format("a width of {} is no multiple of 64, so the heads cannot be guessed (set "
                                  "model.num_heads)",
                                  width)
                    : fmt::format("a width of {} does not divide into {} heads (set model.num_heads)", width,
                                  heads));
        return 1;  // whatever is asked of the heads, the problem is told
    }
    return std::max<std::size_t>(heads, 1);
}

void TensorLoader::problem(const std::string& sentence) {
    const std::string problem = fmt::format("{}: {}", file_.path().string(), sentence);
    if (std::ranges::find(problems_, problem) == problems_.end()) problems_.push_back(problem);
}

std::string TensorLoader::problems(const std::string& remedy) const {
    if (problems_.empty()) return {};
    const std::size_t listed = std::min(problems_.size(), most_problems_listed);
    std::string text = fmt::format("{}", fmt::join(std::span(problems_).first(listed), "\n"));
    if (listed < problems_.size()) {
        text += fmt::format("\n{}: {} further problems (not listed).", file_.path().string(),
                            problems_.size() - listed);
    }
    return text + "\n" + remedy;
}

std::uint64_t TensorLoader::parameters() const {
    std::uint64_t sum = 0;
    for (const std::string& name : handed_out_) {
        if (!name.ends_with("running_mean") && !name.ends_with("running_var"))  // measured, not trained
            sum += static_cast<std::uint64_t>(file_.tensors().at(name).elements());
    }
    return sum;
}

std::size_t WeightList::add(const Place& place, const std::string& name, const Shape& shape,
                            std::size_t parts) {
    std::size_t inputs = 1;
    for (std::size_t i = 1; i < shape.size(); ++i) inputs *= static_cast<std::size_t>(shape[i]);
    return add_values(place, loader_.floats(name, shape), inputs, parts);
}

std::size_t WeightList::add_made(const Place& place, std::vector<float> values, std::size_t inputs,
                                 std::size_t parts) {
    parts_.made.push_back(std::move(values));
    return add_values(place, parts_.made.back(), inputs, parts);
}

std::size_t WeightList::add_transposed(const Place& place, const std::string& name, std::size_t inputs,
                                       std::size_t outputs, std::size_t parts) {
    const auto stored = loader_.floats(name, {extent_of(inputs), extent_of(outputs)});
    std::vector<float> values(stored.size());
    if (!stored.empty()) {
        const auto rows = static_cast<Eigen::Index>(inputs), columns = static_cast<Eigen::Index>(outputs);
        Eigen::Map<linalg::Matrix>(values.data(), columns, rows) =
            Eigen::Map<const linalg::Matrix>(stored.data(), rows, columns).transpose();
    }
    return add_made(place, std::move(values), inputs, parts);
}

std::size_t WeightList::add_values(const Place& place, std::span<const float> values, std::size_t inputs,
                                   std::size_t parts) {
    const auto columns = static_cast<Eigen::Index>(inputs);
    const auto rows = inputs > 0 ? static_cast<Eigen::Index>(values.size()) / columns : 0;
    parts_.stationary.push_back(
        {LayerId(static_cast<std::uint32_t>(place.layer)), place.role, parts,
         parts_.architecture.heads > 0 ? parts_.architecture.head_width() : 0,
         linalg::ConstMatrixView(values.data(), rows, columns, Eigen::OuterStride<>(columns)),
         static_cast<Eigen::Index>(place.rows)});
    return parts_.stationary.size() - 1;
}

std::vector<float> joined(std::span<const std::span<const float>> tensors) {
    std::vector<float> all;
    for (const auto tensor : tensors) all.insert(all.end(), tensor.begin(), tensor.end());
    return all;
}

}  // namespace crossweep::model
