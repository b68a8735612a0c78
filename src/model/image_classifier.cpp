// ViT and DeiT with timm's names, LV-ViT with TokenLabeling's, DynamicViT's predictors on either: what a file
// has decides.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "families.hpp"

namespace crossweep::model {
namespace {

using linalg::Role;

constexpr float batch_norm_epsilon = 1e-5F;  // of PyTorch's BatchNorm2d, which LV-ViT leaves as it is
constexpr double default_keep_ratio = 0.7;   // DynamicViT, section 4.1

/// LV-ViT's skip_lam, by which branches are divided and which no tensor tells: 1 in the tiny model, 3 in the
/// large one (TokenLabeling, tlt/models/lvvit.py, where no other has their widths).
double lv_vit_skip(std::size_t width) {
    return width == 240 ? 1 : width == 768 ? 3 : 2;
}

class ImageClassifier {
  public:
    ImageClassifier(TensorLoader& loader, const LoadOptions& options)
        : loader_(loader), options_(options), weights_(loader, parts_) {}

    TransformerParts load() && {
        read_architecture();
        read_cuts();
        for (std::size_t index = 0; index < a_.depth; ++index) parts_.blocks.push_back(block(index));
        parts_.embedding = embedding();
        read_predictors();
        parts_.readout = readout();
        parts_.normalisation = normalisation();
        loader_.ignore_if([](const std::string& name) { return name.ends_with("num_batches_tracked"); });
        return std::move(parts_);
    }

  private:
    void read_architecture() {
        const bool is_lv_vit = loader_.has("patch_embed.conv1.weight");
        // LV-ViT has none; a ViT that lost its own would be broken.
        has_qkv_bias_ = !is_lv_vit || loader_.has("blocks.0.attn.qkv.bias");
        a_.width = loader_.extent("patch_embed.proj.weight", 0, 4);
        a_.channels =
            loader_.extent(is_lv_vit ? "patch_embed.conv1.weight" : "patch_embed.proj.weight", 1, 4);
        // LV-ViT's stem halves the image before patches are cut.
        a_.patch_size = loader_.extent("patch_embed.proj.weight", 2, 4) * (is_lv_vit ? 2 : 1);
        a_.tokens = loader_.extent("pos_embed", 1, 3);
        a_.classes = loader_.extent("head.weight", 0, 2);
        a_.depth = loader_.count_layers("blocks");
        a_.mlp_width = loader_.extent("blocks.0.mlp.fc1.weight", 0, 2);
        a_.heads = loader_.heads(options_.heads, a_.width);
        // timm's ViT asks for 1e-6, TokenLabeling leaves PyTorch's 1e-5.
        a_.layer_norm_epsilon =
            static_cast<float>(loader_.described("layer_norm_eps", is_lv_vit ? 1e-5 : 1e-6));
        a_.residual_scale =
            static_cast<float>(1 / loader_.described("skip_lam", is_lv_vit ? lv_vit_skip(a_.width) : 1));
        a_.family = is_lv_vit ? "LV-ViT" : "ViT or DeiT";
        if (loader_.count_layers("score_predictor") > 0) a_.family = "DynamicViT on " + a_.family;

        const auto per_side = static_cast<std::size_t>(
            std::lround(std::sqrt(static_cast<double>(std::max<std::size_t>(a_.tokens, 1) - 1))));
        a_.image_size = per_side * a_.patch_size;
        if (a_.depth == 0) loader_.problem("there is no tensor \"blocks.0.…\"");
        if (a_.tokens > 0 && (per_side == 0 || per_side * per_side + 1 != a_.tokens)) {
            loader_.problem(fmt::format(
                "pos_embed has {} tokens, which is not a square number of patches and a class token",
                a_.tokens));
        }
    }

    /// Numbers of the metadata, one per predictor; empty if it has none.
    std::vector<double> described_list(const char* key, std::size_t stages) {
        const nlohmann::json values = loader_.metadata("architecture").value(key, nlohmann::json());
        const auto is_plausible = [](const nlohmann::json& value) {
            return value.is_number() && value.get<double>() >= 0 && value.get<double>() < 65536;
        };
        if (values.is_array() && values.size() == stages && std::ranges::all_of(values, is_plausible))
            return values.get<std::vector<double>>();
        if (!values.is_null()) {
            loader_.problem(fmt::format(
                "metadata \"architecture\" has {} that are not {} numbers from 0 to 65535", key, stages));
        }
        return {};
    }

    /// Predictors stand before blocks s · depth / (stages + 1) and keep ratio^s of the patches, unless the
    /// metadata says otherwise.
    void read_cuts() {
        const std::size_t stages = loader_.count_layers("score_predictor");
        if (stages == 0) return;
        const std::vector<double> before = described_list("prune_before", stages),
                                  ratios = described_list("keep_ratios", stages);
        for (std::size_t stage = 0; stage < stages; ++stage) {
            const bool as_described = options_.keep_ratio == 0 && !ratios.empty();
            const double first = options_.keep_ratio > 0 ? options_.keep_ratio : default_keep_ratio;
            const double ratio =
                as_described ? ratios[stage] : std::pow(first, static_cast<double>(stage + 1));
            const double block = before.empty() ? std::floor(static_cast<double>((stage + 1) * a_.depth) /
                                                             static_cast<double>(stages + 1))
                                                : before[stage];
            a_.cuts.push_back({place_of_cut(stage, block), patches_kept(stage, ratio)});
        }
    }

    /// `block`, or where it cannot be, a place that makes no further problems.
    std::size_t place_of_cut(std::size_t stage, double block) {
        const double behind = stage > 0 ? static_cast<double>(a_.cuts.back().before_block) : -1;
        const bool fits =
            block > behind && block < static_cast<double>(a_.depth) && block == std::floor(block);
        if (fits) return static_cast<std::size_t>(block);
        if (a_.depth > 0) {  // else that is the problem
            loader_.problem(
                fmt::format("predictor {} stands before block {}, which is not behind the one "
                            "before it and among {} blocks",
                            stage, block, a_.depth));
        }
        return stage > 0 ? a_.cuts.back().before_block : 0;
    }

    std::size_t patches_kept(std::size_t stage, double ratio) {
        const std::size_t patches = std::max<std::size_t>(a_.tokens, 1) - 1;
        const std::size_t left = stage > 0 ? a_.cuts.back().patches : patches;
        if (!(ratio > 0 && ratio <= 1)) {
            loader_.problem(fmt::format("a keep ratio of {} is not above 0 and at most 1", ratio));
            return left;
        }
        const auto kept = static_cast<std::size_t>(ratio * static_cast<double>(patches));
        if (patches > 0 && (kept == 0 || kept > left)) {
            loader_.problem(
                fmt::format("predictor {} with a keep ratio of {} keeps {} of {} patches, where 1 "
                            "to {} can be kept",
                            stage, ratio, kept, patches, left));
        }
        return kept;
    }

    std::size_t weight(std::size_t index, const std::string& name, Role role, std::size_t parts,
                       std::size_t outputs, std::size_t inputs) {
        return weights_.add({index, role, a_.tokens_in_block(index)}, name,
                            {extent_of(outputs), extent_of(inputs)}, parts);
    }

    Block block(std::size_t index) {
        const auto name = [&](const char* rest) { return fmt::format("blocks.{}.{}", index, rest); };
        const auto bias = [&](const char* rest, std::size_t size) {
            return loader_.floats(name(rest), {extent_of(size)});
        };
        const std::size_t D = a_.width, M = a_.mlp_width;
        Block block;
        block.layer = LayerId(static_cast<std::uint32_t>(index));
        block.attention_norm = loader_.layer_norm(name("norm1"), D);
        block.mlp_norm = loader_.layer_norm(name("norm2"), D);
        block.qkv = weight(index, name("attn.qkv.weight"), Role::query, 3, 3 * D, D);
        block.projection = weight(index, name("attn.proj.weight"), Role::projection, 1, D, D);
        block.mlp_in = weight(index, name("mlp.fc1.weight"), Role::mlp_in, 1, M, D);
        block.mlp_out = weight(index, name("mlp.fc2.weight"), Role::mlp_out, 1, D, M);
        const auto qkv = has_qkv_bias_ ? bias("attn.qkv.bias", 3 * D) : std::span<const float>();
        for (std::size_t i = 0; i < 3 && !qkv.empty(); ++i) block.qkv_bias[i] = qkv.subspan(i * D, D);
        block.projection_bias = bias("attn.proj.bias", D);
        block.mlp_in_bias = bias("mlp.fc1.bias", M);
        block.mlp_out_bias = bias("mlp.fc2.bias", D);
        return block;
    }

    /// Convolution `number` of the stem, its batch norm folded in: W γ / sqrt(σ² + ε), β - μ γ / sqrt(σ² +
    /// ε).
    Convolution stem(std::size_t number, std::size_t in_side, std::size_t in_channels) {
        const std::string name = fmt::format("patch_embed.conv{}.weight", number);
        const auto norm = [&](const char* rest) {
            return loader_.floats(fmt::format("patch_embed.bn{}.{}", number, rest),
                                  {extent_of(loader_.extent(name, 0, 4))});
        };
        Convolution c;
        c.in_side = in_side;
        c.in_channels = in_channels;
        c.out_channels = loader_.extent(name, 0, 4);
        c.kernel = std::max<std::size_t>(loader_.extent(name, 2, 4), 1);
        c.stride = number == 1 ? 2 : 1;
        c.padding = c.kernel / 2;
        const auto stored = loader_.floats(name, {extent_of(c.out_channels), extent_of(in_channels),
                                                  extent_of(c.kernel), extent_of(c.kernel)});
        const auto gamma = norm("weight"), beta = norm("bias"), mean = norm("running_mean"),
                   variance = norm("running_var");
        std::vector<float> weight(stored.begin(), stored.end()), bias(beta.begin(), beta.end());
        const std::size_t inputs = in_channels * c.kernel * c.kernel;
        for (std::size_t i = 0; i < bias.size() && gamma.size() == bias.size() && !stored.empty() &&
                                mean.size() == bias.size() && variance.size() == bias.size();
             ++i) {
            const float factor = gamma[i] / std::sqrt(variance[i] + batch_norm_epsilon);
            for (std::size_t j = 0; j < inputs; ++j) weight[i * inputs + j] *= factor;
            bias[i] -= mean[i] * factor;
        }
        parts_.made.push_back(std::move(bias));
        c.bias = parts_.made.back();
        const std::size_t outputs = c.out_side() * c.out_side();
        c.weight = weights_.add_made({number, Role::embedding, outputs}, std::move(weight), inputs);
        return c;
    }

    std::unique_ptr<ImageEmbedding> embedding() {
        auto embedding = std::make_unique<ImageEmbedding>();
        std::size_t side = a_.image_size, channels = a_.channels;
        for (std::size_t number = 1; number <= 3 && loader_.has("patch_embed.conv1.weight"); ++number) {
            embedding->stem.push_back(stem(number, side, channels));
            side = embedding->stem.back().out_side();
            channels = embedding->stem.back().out_channels;
        }
        Convolution& patches = embedding->patches;
        patches.in_side = side;
        patches.in_channels = channels;
        patches.out_channels = a_.width;
        patches.kernel = patches.stride =
            std::max<std::size_t>(loader_.extent("patch_embed.proj.weight", 2, 4), 1);
        patches.weight = weights_.add(
            {0, Role::embedding, a_.tokens > 0 ? a_.tokens - 1 : 0}, "patch_embed.proj.weight",
            {extent_of(a_.width), extent_of(channels), extent_of(patches.kernel), extent_of(patches.kernel)});
        patches.bias = loader_.floats("patch_embed.proj.bias", {extent_of(a_.width)});
        embedding->class_token = loader_.floats("cls_token", {1, 1, extent_of(a_.width)});
        embedding->position = loader_.floats("pos_embed", {1, extent_of(a_.tokens), extent_of(a_.width)});
        return embedding;
    }

    void read_predictors() {
        for (std::size_t stage = 0; stage < a_.cuts.size(); ++stage) {
            const TokenCut& cut = a_.cuts[stage];
            const std::size_t seen =
                (cut.before_block > 0 ? a_.tokens_in_block(cut.before_block - 1) : a_.tokens) - 1;
            const auto name = [&](const char* rest) {
                return fmt::format("score_predictor.{}.{}", stage, rest);
            };
            const auto linear = [&](const char* rest, std::size_t number, std::size_t outputs,
                                    std::size_t inputs) {
                const std::string weight = name(rest) + ".weight";
                return Linear{weights_.add({4 * stage + number, Role::selector, seen}, weight,
                                           {extent_of(outputs), extent_of(inputs)}),
                              loader_.floats(name(rest) + ".bias", {extent_of(outputs)})};
            };
            const std::size_t D = a_.width;
            parts_.predictors.push_back(
                {cut,
                 loader_.layer_norm(name("in_conv.0"), D),
                 linear("in_conv.1", 0, D, D),
                 {linear("out_conv.0", 1, D / 2, D), linear("out_conv.2", 2, D / 4, D / 2),
                  linear("out_conv.4", 3, 2, D / 4)}});
        }
    }

    std::unique_ptr<ClassTokenReadout> readout() {
        auto readout = std::make_unique<ClassTokenReadout>();
        const auto classifier = [&](const std::string& name, std::size_t number, std::size_t rows) {
            return Linear{weights_.add({number, Role::head, rows}, name + ".weight",
                                       {extent_of(a_.classes), extent_of(a_.width)}),
                          loader_.floats(name + ".bias", {extent_of(a_.classes)})};
        };
        readout->norm = loader_.layer_norm("norm", a_.width);
        readout->head = classifier("head", 0, 1);
        // An LV-ViT without it would answer with half of what it was trained for.
        const bool is_lv_vit = loader_.has("patch_embed.conv1.weight");
        const bool needs_it = is_lv_vit && loader_.metadata("architecture").value("aux_head", true);
        if (needs_it || loader_.has("aux_head.weight")) {
            const std::size_t patches = a_.tokens_in_block(a_.depth) - 1;
            readout->auxiliary = classifier("aux_head", 1, patches);
        }
        return readout;
    }

    std::optional<Normalisation> normalisation() {
        const nlohmann::json object = loader_.metadata("normalisation");
        try {
            if (!object.contains("mean") || !object.contains("std")) return std::nullopt;
            return Normalisation{object.at("mean").get<std::vector<double>>(),
                                 object.at("std").get<std::vector<double>>()};
        } catch (const nlohmann::json::exception&) {
            return std::nullopt;
        }
    }

    TensorLoader& loader_;
    const LoadOptions& options_;
    TransformerParts parts_;
    Architecture& a_ = parts_.architecture;
    bool has_qkv_bias_ = true;
    WeightList weights_;
};

}  // namespace

TransformerParts load_image_classifier(TensorLoader& loader, const LoadOptions& options) {
    return ImageClassifier(loader, options).load();
}

}  // namespace crossweep::model
