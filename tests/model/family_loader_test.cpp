// What is said of a file that is nearly a model of LV-ViT, DynamicViT, BERT or GPT-2.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "crossweep/core/error.hpp"
#include "io/temporary_folder.hpp"
#include "model/safetensors_text.hpp"
#include "model/stored_families.hpp"

namespace crossweep::model {
namespace {

using testing::HasSubstr;

/// What is said of a stored model after `change`: a sentence a line, without the name of the file.
std::string error_after(const std::string& family, const std::function<void(SafetensorsText&)>& change,
                        const LoadOptions& options = {}) {
    const io::TemporaryFolder folder;
    const auto path = folder / "model.safetensors";
    SafetensorsText text{io::Safetensors(stored_model(family))};
    change(text);
    text.save(path);
    const io::Safetensors file(path);
    std::string message = io::data_error_of([&] { Transformer(file, options); });
    const std::string start = path.string() + ": ";
    for (auto at = message.find(start); at != std::string::npos; at = message.find(start))
        message.erase(at, start.size());
    return message;
}

struct Known {
    const char* family;
    const char* in_words;  ///< as messages have it
    const char* remedy;
    std::vector<std::string> tensors;  ///< one of every kind that this family alone has
};

const std::string images_remedy =
    "Give an intact safetensors file of a ViT or DeiT (timm), LV-ViT (TokenLabeling) or DynamicViT with its "
    "published names.";

std::vector<Known> known_families() {
    const char* bert =
        "Give an intact safetensors file of a BertForSequenceClassification with its published names.";
    const char* gpt2 = "Give an intact safetensors file of a GPT-2 with its published names.";
    return {
        {"lv_vit",
         "LV-ViT",
         images_remedy.c_str(),
         {"patch_embed.bn2.bias", "patch_embed.bn1.weight", "patch_embed.bn3.bias",
          "patch_embed.bn1.running_mean", "patch_embed.bn2.running_var", "aux_head.bias",
          "blocks.1.attn.proj.bias"}},
        {"sparse_vit",
         "DynamicViT on ViT or DeiT",
         images_remedy.c_str(),
         {"score_predictor.0.in_conv.0.weight", "score_predictor.1.in_conv.1.bias",
          "score_predictor.2.out_conv.0.weight", "score_predictor.0.out_conv.2.bias",
          "score_predictor.2.out_conv.4.weight", "blocks.0.attn.qkv.bias"}},
        {"bert",
         "BERT",
         bert,
         {"bert.embeddings.LayerNorm.weight", "bert.encoder.layer.1.attention.self.query.weight",
          "bert.encoder.layer.2.attention.self.value.bias",
          "bert.encoder.layer.0.attention.output.LayerNorm.bias", "bert.encoder.layer.0.output.dense.weight",
          "bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.bias"}},
        {"gpt2",
         "GPT-2",
         gpt2,
         {"h.0.attn.c_attn.weight", "h.1.attn.c_attn.bias", "h.2.attn.c_proj.weight", "h.0.mlp.c_proj.bias",
          "h.0.ln_1.weight", "ln_f.bias"}}};
}

TEST(FamilyLoader, missing_tensor_is_named_once) {
    for (const Known& known : known_families()) {
        for (const std::string& name : known.tensors) {
            EXPECT_EQ(error_after(known.family, [&](SafetensorsText& file) { file.tensors.erase(name); }),
                      "tensor \"" + name + "\" is missing\n" + known.remedy);
        }
    }
}

TEST(FamilyLoader, missing_table_of_words_is_named_once) {
    for (const auto& [family, name] :
         {std::pair("bert", "bert.embeddings.word_embeddings.weight"), std::pair("gpt2", "wte.weight")}) {
        const std::string error =
            error_after(family, [&](SafetensorsText& file) { file.tensors.erase(name); });
        EXPECT_THAT(error, testing::StartsWith("tensor \"" + std::string(name) + "\" is missing\n"));
        EXPECT_EQ(std::ranges::count(error, '\n'), 1) << error;
    }
}

TEST(FamilyLoader, missing_convolution_is_the_only_tensor_named) {
    const auto without = [](SafetensorsText& file) { file.tensors.erase("patch_embed.conv2.weight"); };
    EXPECT_EQ(error_after("lv_vit", without),
              "tensor \"patch_embed.conv2.weight\" is missing\n" + images_remedy);
}

TEST(FamilyLoader, tensor_of_another_shape_is_named_once) {
    for (const Known& known : known_families()) {
        for (const std::string& name : known.tensors) {
            std::string shapes;
            const std::string error = error_after(known.family, [&](SafetensorsText& file) {
                Tensor& tensor = file.tensors.at(name);
                const std::size_t row = tensor.values.size() / static_cast<std::size_t>(tensor.shape[0]);
                const std::int64_t rows = tensor.shape[0]++;
                tensor.values.resize(tensor.values.size() + row);
                shapes = "[" + std::to_string(rows + 1);
            });
            EXPECT_THAT(error, HasSubstr("tensor \"" + name + "\" has shape " + shapes)) << error;
            EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1) << error;
        }
    }
}

TEST(FamilyLoader, tensor_too_many_is_named_once) {
    for (const Known& known : known_families()) {
        EXPECT_EQ(error_after(known.family,
                              [](SafetensorsText& file) {
                                  file.tensors["strange.weight"] = {{1}, {1}};
                              }),
                  "tensor \"strange.weight\" has no place in a " + std::string(known.in_words) + "\n" +
                      known.remedy);
    }
}

TEST(FamilyLoader, model_with_one_output_is_refused) {
    const std::string error = error_after("bert", [](SafetensorsText& file) {
        Tensor& head = file.tensors.at("classifier.weight");
        head.values.resize(static_cast<std::size_t>(head.shape[1]));
        head.shape[0] = 1;
        file.tensors.at("classifier.bias") = {{1}, {0.0F}};
    });
    EXPECT_THAT(error, testing::StartsWith("a model with one output tells no classes"));
}

TEST(FamilyLoader, lv_vit_without_its_auxiliary_head_is_refused) {
    const std::string error = error_after("lv_vit", [](SafetensorsText& file) {
        file.tensors.erase("aux_head.weight");
        file.tensors.erase("aux_head.bias");
    });
    EXPECT_THAT(error, testing::HasSubstr("tensor \"aux_head.weight\" is missing\n"));
}

TEST(FamilyLoader, table_of_words_stored_twice_counts_once) {
    const auto parameters = [](const io::Safetensors& file) { return Transformer(file).parameters(); };
    const io::Safetensors tied(stored_model("gpt2"));
    SafetensorsText text(tied);
    text.tensors["lm_head.weight"] = text.tensors.at("wte.weight");
    const io::TemporaryFolder folder;
    text.save(folder / "twice.safetensors");
    EXPECT_EQ(parameters(io::Safetensors(folder / "twice.safetensors")), parameters(tied));
}

TEST(FamilyLoader, unknown_family_is_told_in_one_sentence) {
    const std::string error = error_after("bert", [](SafetensorsText& file) {
        file.tensors = {{"encoder.weight", {{1}, {1}}}};
    });
    EXPECT_EQ(
        error,
        "the family of this model is not known (it has no tensor \"patch_embed.…\" as image classifiers, "
        "\"bert.…\" as BERT or \"wte.…\" as GPT-2 have). Give a model of one of these families with its "
        "published names, or import it with analysis/import_checkpoint.py.");
}

TEST(FamilyLoader, bert_without_a_classifier_is_told_in_one_sentence) {
    EXPECT_EQ(error_after("bert",
                          [](SafetensorsText& file) {
                              file.tensors.erase("classifier.weight");
                              file.tensors.erase("classifier.bias");
                          }),
              "a BERT without a classifier answers no question (fine-tune it for one first)\n"
              "Give an intact safetensors file of a BertForSequenceClassification with its published names.");
}

TEST(FamilyLoader, model_without_blocks_is_refused) {
    const auto without = [](const std::string& start) {
        return [start](SafetensorsText& file) {
            std::erase_if(file.tensors, [&](const auto& entry) { return entry.first.starts_with(start); });
        };
    };
    EXPECT_THAT(error_after("bert", without("bert.encoder.")),
                testing::StartsWith("there is no tensor \"bert.encoder.layer.0.…\"\n"));
    EXPECT_THAT(error_after("gpt2", without("h.")), testing::StartsWith("there is no tensor \"h.0.…\"\n"));
    EXPECT_THAT(error_after("sparse_vit", without("blocks.")),
                testing::StartsWith("there is no tensor \"blocks.0.…\"\n"));
}

/// What is said of the DynamicViT of 25 patches and 4 blocks with other metadata of its 3 predictors.
std::string error_with(const std::string& key, const nlohmann::json& value) {
    return error_after("sparse_vit", [&](SafetensorsText& file) {
        auto architecture = nlohmann::json::parse(file.metadata.at("architecture"));
        architecture[key] = value;
        file.metadata["architecture"] = architecture.dump();
    });
}

TEST(PredictorLoader, keep_ratios_that_cannot_be_are_told_in_one_sentence) {
    const auto of = [](const nlohmann::json& ratios) { return error_with("keep_ratios", ratios); };
    EXPECT_EQ(of({0.7, 1.2, 0.3}), "a keep ratio of 1.2 is not above 0 and at most 1\n" + images_remedy);
    EXPECT_EQ(of({0.7, 0.5, 0}), "a keep ratio of 0 is not above 0 and at most 1\n" + images_remedy);
    EXPECT_EQ(of({0.7, 0.3, 0.5}),
              "predictor 2 with a keep ratio of 0.5 keeps 12 of 25 patches, where 1 to 7 can be kept\n" +
                  images_remedy);
    EXPECT_EQ(of({0.7, 0.5, 0.01}),
              "predictor 2 with a keep ratio of 0.01 keeps 0 of 25 patches, where 1 to 12 can be kept\n" +
                  images_remedy);
    for (const nlohmann::json& ratios :
         {nlohmann::json{0.7, 0.5}, nlohmann::json{0.7, 0.5, "few"}, nlohmann::json(0.7)}) {
        EXPECT_EQ(of(ratios),
                  "metadata \"architecture\" has keep_ratios that are not 3 numbers from 0 to 65535\n" +
                      images_remedy);
    }
}

TEST(PredictorLoader, keep_ratio_of_the_study_that_leaves_no_patch_is_refused) {
    // 0.3^3 of 25 patches is less than one.
    EXPECT_THAT(error_after("sparse_vit", [](SafetensorsText&) {}, {0, 0.3}),
                HasSubstr("keeps 0 of 25 patches, where 1 to 2 can be kept\n"));
    EXPECT_THAT(error_after("sparse_vit", [](SafetensorsText&) {}, {0, 1.5}),
                HasSubstr("a keep ratio of 1.5 is not above 0 and at most 1\n"));
}

TEST(PredictorLoader, predictors_out_of_place_are_told_in_one_sentence) {
    const auto of = [](const nlohmann::json& blocks) { return error_with("prune_before", blocks); };
    const std::string rest = ", which is not behind the one before it and among 4 blocks\n" + images_remedy;
    EXPECT_EQ(of({1, 2, 4}), "predictor 2 stands before block 4" + rest);
    EXPECT_EQ(of({1, 1, 2}), "predictor 1 stands before block 1" + rest);
    EXPECT_EQ(of({1, 1.5, 2}), "predictor 1 stands before block 1.5" + rest);
    for (const nlohmann::json& blocks : {nlohmann::json{1, 2}, nlohmann::json{-1, 1, 2}}) {
        EXPECT_EQ(of(blocks),
                  "metadata \"architecture\" has prune_before that are not 3 numbers from 0 to 65535\n" +
                      images_remedy);
    }
}

TEST(FamilyLoader, problem_of_the_metadata_is_told_once) {
    const std::string error =
        error_after("sparse_vit", [](SafetensorsText& file) { file.metadata["architecture"] = "{"; }, {3, 0});
    EXPECT_EQ(error, "metadata \"architecture\" is not a JSON object\n" + images_remedy);
}

// TokenLabeling's three sizes differ in a number that no tensor tells.
TEST(LvVitLoader, skip_of_the_published_sizes_follows_from_their_width) {
    const auto scale_of_width = [](std::int64_t width) {
        const io::TemporaryFolder folder;
        SafetensorsText text{io::Safetensors(stored_model("lv_vit"))};
        text.metadata.clear();
        for (auto& [name, tensor] : text.tensors) {
            std::int64_t elements = 1;
            for (std::int64_t& extent : tensor.shape) {
                if (extent % 24 == 0) extent = extent / 24 * width;
                elements *= extent;
            }
            tensor.values.resize(static_cast<std::size_t>(elements));
        }
        text.save(folder / "model.safetensors");
        const io::Safetensors file(folder / "model.safetensors");
        return Transformer(file, {4, 0}).architecture().residual_scale;
    };
    EXPECT_EQ(scale_of_width(240), 1);
    EXPECT_EQ(scale_of_width(384), 0.5F);
    EXPECT_EQ(scale_of_width(768), 1.0F / 3);
}

}  // namespace
}  // namespace crossweep::model
