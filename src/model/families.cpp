#include "families.hpp"

#include <fmt/format.h>

#include <array>

#include "crossweep/core/error.hpp"

namespace crossweep::model {
namespace {

struct Family {
    const char* mark;  ///< how names start that no other family has; the first that fits decides
    TransformerParts (*load)(TensorLoader&, const LoadOptions&);
    const char* remedy;
};

constexpr const char* gpt2_remedy = "Give an intact safetensors file of a GPT-2 with its published names.";

constexpr std::array<Family, 7> families{{
    {"patch_embed.", load_image_classifier,
     "Give an intact safetensors file of a ViT or DeiT (timm), LV-ViT (TokenLabeling) or DynamicViT with its "
     "published names."},
    {"bert.", load_bert,
     "Give an intact safetensors file of a BertForSequenceClassification with its published names."},
    {"embeddings.", load_bert,
     "Give an intact safetensors file of a BertForSequenceClassification with its published names."},
    {"transformer.wte.", load_gpt2, gpt2_remedy},
    {"wte.", load_gpt2, gpt2_remedy},
    {"transformer.h.", load_gpt2, gpt2_remedy},
    {"h.", load_gpt2, gpt2_remedy},
}};

}  // namespace

TransformerParts load_family(const io::Safetensors& file, const LoadOptions& options) {
    TensorLoader loader(file);
    for (const Family& family : families) {
        if (!loader.has_any(family.mark)) continue;
        TransformerParts parts = family.load(loader, options);
        loader.expect_no_others(parts.architecture.family);
        if (parts.architecture.task == Task::classification && parts.architecture.classes == 1)
            loader.problem(
                "a model with one output tells no classes (give one that was trained to classify)");
        if (options.keep_ratio > 0 && loader.count_layers("score_predictor") == 0)
            loader.problem("model.keep_ratio is given, and this model drops no tokens (leave it out)");
        if (const std::string problems = loader.problems(family.remedy); !problems.empty())
            throw NotAModel(problems, std::move(parts.architecture));
        parts.parameters = loader.parameters();
        return parts;
    }
    throw NotAModel(
        fmt::format("{}: the family of this model is not known (it has no tensor \"{}…\" as image "
                    "classifiers, \"{}…\" as BERT or \"{}…\" as GPT-2 have). Give a model of one "
                    "of these families with its published names, or import it with "
                    "analysis/import_checkpoint.py.",
                    file.path().string(), families[0].mark, families[1].mark, families[4].mark),
        {});
}

}  // namespace crossweep::model
