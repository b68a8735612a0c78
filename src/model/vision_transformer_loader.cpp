// Reading a vision transformer: the architecture from shapes and metadata, every tensor checked, all problems
// at once.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "crossweep/core/error.hpp"
#include "crossweep/model/vision_transformer.hpp"

namespace crossweep::model {

using Shape = std::vector<std::int64_t>;

/// Collects what is wrong with a file while it hands out tensors.
class VisionTransformer::Loader {
  public:
    explicit Loader(const io::Safetensors& file) : file_(file) {}

    void problem(const std::string& sentence) {
        problems_.push_back(fmt::format("{}: {}", file_.path().string(), sentence));
    }

    /// Extent of one dimension of a tensor that decides the architecture; 0, "not known", if it is not there.
    std::size_t extent(const std::string& name, std::size_t dimension, std::size_t rank) {
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

    /// The elements of `name`; extents of 0 in `shape` are not known and fit anything.
    std::span<const float> floats(const std::string& name, const Shape& shape) {
        asked_for_.insert(name);
        if (refused_.contains(name)) return {};
        const auto found = file_.tensors().find(name);
        if (found == file_.tensors().end()) {
            problem(fmt::format("tensor \"{}\" is missing", name));
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
        const auto bad =
            std::count_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
        if (bad > 0) problem(fmt::format("tensor \"{}\" has {} values that are not finite", name, bad));
        return values;
    }

    /// Tensors that nobody asked for belong to another architecture, which would run wrongly without them.
    void expect_no_others() {
        for (const auto& [name, info] : file_.tensors()) {
            if (!asked_for_.contains(name))
                problem(fmt::format("tensor \"{}\" has no place in a ViT or DeiT", name));
        }
    }

    /// The file's "architecture" metadata, or an empty object.
    nlohmann::json metadata(const std::string& key) {
        const auto found = file_.metadata().find(key);
        if (found == file_.metadata().end()) return nlohmann::json::object();
        auto value = nlohmann::json::parse(found->second, nullptr, false);
        if (value.is_object()) return value;
        problem(fmt::format("metadata \"{}\" is not a JSON object", key));
        return nlohmann::json::object();
    }

    void throw_problems(const std::string& remedy) const {
        if (problems_.empty()) return;
        throw DataError(fmt::format("{}\n{}", fmt::join(problems_, "\n"), remedy));
    }

  private:
    const io::Safetensors& file_;
    std::set<std::string> asked_for_;
    std::vector<std::string> problems_;
    std::set<std::string> refused_;  ///< tensors without the extents they were asked for
};

namespace {

/// Number of blocks: one more than the largest N in names "blocks.N.…".
std::size_t count_blocks(const io::Safetensors& file) {
    constexpr std::string_view prefix = "blocks.";
    std::size_t blocks = 0;
    for (const auto& [name, info] : file.tensors()) {
        std::size_t index = 0;
        if (!name.starts_with(prefix)) continue;
        const char* first = name.data() + prefix.size();
        const auto [end, error] = std::from_chars(first, name.data() + name.size(), index);
        if (error == std::errc{} && end != first && *end == '.' && index < 65536)
            blocks = std::max(blocks, index + 1);
    }
    return blocks;
}

std::size_t integer_or(const nlohmann::json& object, const char* key, std::size_t otherwise) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::size_t>() : otherwise;
}

std::optional<Normalisation> normalisation_from(const nlohmann::json& object) {
    try {
        if (!object.contains("mean") || !object.contains("std")) return std::nullopt;
        return Normalisation{object.at("mean").get<std::vector<double>>(),
                             object.at("std").get<std::vector<double>>()};
    } catch (const nlohmann::json::exception&) {
        return std::nullopt;
    }
}

}  // namespace

VisionTransformer::VisionTransformer(const io::Safetensors& file, std::size_t heads) {
    Loader loader(file);
    const nlohmann::json described = loader.metadata("architecture");
    Architecture& a = architecture_;
    a.width = loader.extent("patch_embed.proj.weight", 0, 4);
    a.channels = loader.extent("patch_embed.proj.weight", 1, 4);
    a.patch_size = loader.extent("patch_embed.proj.weight", 2, 4);
    a.tokens = loader.extent("pos_embed", 1, 3);
    a.classes = loader.extent("head.weight", 0, 2);
    a.depth = count_blocks(file);
    a.mlp_width = loader.extent("blocks.0.mlp.fc1.weight", 0, 2);
    a.heads = heads > 0 ? heads : integer_or(described, "num_heads", a.width / 64);
    if (const auto epsilon = described.find("layer_norm_eps"); epsilon != described.end()) {
        if (!epsilon->is_number()) {
            loader.problem("metadata \"architecture\" has a layer_norm_eps that is not a number");
        } else {
            a.layer_norm_epsilon = epsilon->get<float>();
        }
    }
    const auto per_side = static_cast<std::size_t>(
        std::lround(std::sqrt(static_cast<double>(std::max<std::size_t>(a.tokens, 1) - 1))));
    a.image_size = per_side * a.patch_size;
    if (a.depth == 0) loader.problem("there is no tensor \"blocks.0.…\"");
    if (a.tokens > 0 && per_side * per_side + 1 != a.tokens) {
        loader.problem(fmt::format(
            "pos_embed has {} tokens, which is not a square number of patches and a class token", a.tokens));
    }
    const bool guessed = heads == 0 && !described.contains("num_heads");
    if (a.width > 0 && (a.heads == 0 || a.width % a.heads != 0 || (guessed && a.width % 64 != 0))) {
        loader.problem(
            guessed ? fmt::format("a width of {} is no multiple of 64, so the heads cannot be guessed (set "
                                  "model.num_heads)",
                                  a.width)
                    : fmt::format("a width of {} does not divide into {} heads (set model.num_heads)",
                                  a.width, a.heads));
    }

    const auto D = static_cast<std::int64_t>(a.width), M = static_cast<std::int64_t>(a.mlp_width);
    const auto P = static_cast<std::int64_t>(a.patch_size);
    class_token_ = loader.floats("cls_token", {1, 1, D});
    position_ = loader.floats("pos_embed", {1, static_cast<std::int64_t>(a.tokens), D});
    patch_bias_ = loader.floats("patch_embed.proj.bias", {D});
    norm_ = {loader.floats("norm.weight", {D}), loader.floats("norm.bias", {D})};
    head_bias_ = loader.floats("head.bias", {static_cast<std::int64_t>(a.classes)});

    // values:[outputs, inputs]
    const auto stationary = [&](std::size_t layer, linalg::Role role, std::size_t parts,
                                std::span<const float> values, std::int64_t inputs, std::size_t rows) {
        const auto outputs = inputs > 0 ? static_cast<std::int64_t>(values.size()) / inputs : 0;
        stationary_.push_back(
            {LayerId(static_cast<std::uint32_t>(layer)), role, parts, a.heads > 0 ? a.head_width() : 0,
             linalg::ConstMatrixView(values.data(), outputs, inputs, Eigen::OuterStride<>(inputs)),
             static_cast<Eigen::Index>(rows)});
    };
    for (std::size_t index = 0; index < a.depth; ++index) {
        const auto name = [&](const char* rest) { return fmt::format("blocks.{}.{}", index, rest); };
        const auto vector = [&](const char* rest, std::int64_t size) {
            return loader.floats(name(rest), {size});
        };
        const auto weight = [&](const char* rest, linalg::Role role, std::size_t parts, std::int64_t out,
                                std::int64_t in) {
            stationary(index, role, parts, loader.floats(name(rest), {out, in}), in, a.tokens);
        };
        weight("attn.qkv.weight", linalg::Role::query, 3, 3 * D, D);
        weight("attn.proj.weight", linalg::Role::projection, 1, D, D);
        weight("mlp.fc1.weight", linalg::Role::mlp_in, 1, M, D);
        weight("mlp.fc2.weight", linalg::Role::mlp_out, 1, D, M);
        blocks_.push_back({{vector("norm1.weight", D), vector("norm1.bias", D)},
                           {vector("norm2.weight", D), vector("norm2.bias", D)},
                           vector("attn.qkv.bias", 3 * D),
                           vector("attn.proj.bias", D),
                           vector("mlp.fc1.bias", M),
                           vector("mlp.fc2.bias", D)});
    }
    const auto channels = static_cast<std::int64_t>(a.channels);
    stationary(0, linalg::Role::embedding, 1, loader.floats("patch_embed.proj.weight", {D, channels, P, P}),
               channels * P * P, a.tokens - 1);
    stationary(0, linalg::Role::head, 1,
               loader.floats("head.weight", {static_cast<std::int64_t>(a.classes), D}), D, 1);
    normalisation_ = normalisation_from(loader.metadata("normalisation"));
    loader.expect_no_others();
    loader.throw_problems("Give an intact safetensors file of a timm ViT or DeiT with its published names.");
}

}  // namespace crossweep::model
