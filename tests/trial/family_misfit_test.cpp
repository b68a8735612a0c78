// What is said of data that do not fit a model of texts, and of crossbars that a decoder cannot use.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "crossweep/trial/experiment.hpp"
#include "trial/family_study.hpp"

namespace crossweep::trial {
namespace {

/// What is said of `points`, with DATA and WEIGHTS for the files.
std::string complaint_of(const FamilyStudy& study, const std::vector<PointParams>& points) {
    std::string message = io::data_error_of([&] { Experiment(study.data, 1, points); });
    const auto put = [&](const std::filesystem::path& path, const std::string& word) {
        if (path.empty()) return;
        for (auto at = message.find(path.string()); at != std::string::npos; at = message.find(path.string()))
            message.replace(at, path.string().size(), word);
    };
    put(study.data.texts, "DATA");
    put(study.data.images, "DATA");
    put(study.model.weights, "WEIGHTS");
    return message;
}

struct Misfit {
    const char* name;
    const char* family;
    std::function<void(TextFile&)> damage;
    std::string sentence;
};

class TextMisfit : public testing::TestWithParam<Misfit> {};

TEST_P(TextMisfit, is_refused_with_the_sentence) {
    const FamilyStudy study(GetParam().family);
    TextFile texts = stored_texts(model::StoredFamily(GetParam().family));
    GetParam().damage(texts);
    texts.save(study.data.texts);
    EXPECT_EQ(complaint_of(study, {study.point()}), GetParam().sentence);
}

/// One more place in every text, with a token in the last one.
void lengthen(TextFile& texts) {
    TextFile longer = texts;
    const std::size_t length = texts.shape[1];
    longer.shape[1] = length + 1;
    longer.tokens.assign(texts.shape[0] * (length + 1), 3);
    longer.mask.assign(longer.tokens.size(), 1);
    longer.segments.clear();
    texts = longer;
}

INSTANTIATE_TEST_SUITE_P(
    All, TextMisfit,
    testing::Values(
        Misfit{"token_beyond_the_vocabulary", "bert",
               [](TextFile& texts) {
                   texts.vocabulary = 0;
                   texts.tokens[13] = 37;
               },
               "DATA: text 1 has token number 37, and WEIGHTS knows 37. Prepare the texts for this model "
               "(analysis/prepare_text.py)."},
        Misfit{"text_longer_than_the_model_takes", "bert", lengthen,
               "DATA: text 0 has a token at place 13, and WEIGHTS knows 13. Prepare the texts for this model "
               "(analysis/prepare_text.py)."},
        Misfit{"text_longer_than_the_decoder_takes", "gpt2", lengthen,
               "DATA: text 0 has a token at place 19, and WEIGHTS knows 19. Prepare the texts for this model "
               "(analysis/prepare_text.py)."},
        Misfit{"segment_that_the_model_does_not_know", "bert", [](TextFile& texts) { texts.segments[3] = 2; },
               "DATA: text 0 has a token of segment 2, and WEIGHTS knows 2. Prepare the texts for this model "
               "(analysis/prepare_text.py)."},
        Misfit{"vocabulary_of_another_size", "gpt2", [](TextFile& texts) { texts.vocabulary = 64; },
               "DATA: texts of a vocabulary of 64 tokens do not fit WEIGHTS, which knows 37. Prepare them "
               "with the vocabulary of the model (analysis/prepare_text.py)."},
        Misfit{"label_beyond_the_classes", "bert", [](TextFile& texts) { texts.labels[2] = 5; },
               "DATA: label 5 of text 2 is beyond the 5 classes of WEIGHTS. Choose a model trained on these "
               "classes."},
        Misfit{"labels_for_a_language_model", "gpt2",
               [](TextFile& texts) {
                   texts.labels = {0, 1};
                   texts.task = "classification";
               },
               "DATA: texts with labels are no task for WEIGHTS, which tells the next token. Choose another "
               "data set or model."},
        Misfit{"no_labels_for_a_classifier", "bert",
               [](TextFile& texts) {
                   texts.labels.clear();
                   texts.task = "language_model";
                   texts.mask.assign(texts.mask.size(), 1);
               },
               "DATA: texts without labels are no task for WEIGHTS, which tells classes. Choose another data "
               "set or model."}),
    [](const auto& misfit) { return std::string(misfit.param.name); });

TEST(DataMisfit, places_that_the_mask_leaves_out_may_lie_beyond_the_model) {
    const FamilyStudy study("bert");
    TextFile texts = stored_texts(model::StoredFamily("bert"));
    lengthen(texts);
    for (std::size_t i = 13; i < texts.mask.size(); i += 14) texts.mask[i] = 0;
    texts.save(study.data.texts);
    EXPECT_NO_THROW(Experiment(study.data, 1, {study.point()}));
}

TEST(DataMisfit, images_for_a_model_of_texts_and_texts_for_one_of_images_are_refused) {
    const FamilyStudy images("lv_vit"), texts("bert");
    PointParams point = images.point();
    point.model = texts.model;
    FamilyStudy wrong("lv_vit");
    wrong.model = texts.model;
    EXPECT_EQ(complaint_of(wrong, {point}), "DATA: WEIGHTS takes texts, not images. Set data.texts instead.");
    FamilyStudy reverse("bert");
    reverse.model = images.model;
    EXPECT_EQ(complaint_of(reverse, {images.point()}),
              "DATA: WEIGHTS takes images, not texts. Set data.images instead.");
}

struct NotCausal {
    const char* name;
    std::function<void(PointParams&)> change;
    std::string sentence;
};

class DecoderMisfit : public testing::TestWithParam<NotCausal> {
  protected:
    static std::string prefix() { return "WEIGHTS: a decoder computes token by token, before "; }
};

TEST_P(DecoderMisfit, is_refused_for_a_decoder_alone) {
    const FamilyStudy decoder("gpt2"), encoder("bert");
    PointParams point = decoder.point();
    GetParam().change(point);
    EXPECT_EQ(complaint_of(decoder, {point}), prefix() + GetParam().sentence);
    PointParams of_encoder = encoder.point();
    GetParam().change(of_encoder);
    EXPECT_NO_THROW(Experiment(encoder.data, 1, {of_encoder}));
    for (auto& operand : point.operands) operand.fidelity = crossbar::Fidelity::digital;
    EXPECT_NO_THROW(Experiment(decoder.data, 1, {point}));
}

INSTANTIATE_TEST_SUITE_P(
    All, DecoderMisfit,
    testing::Values(
        NotCausal{"written_scale",
                  [](PointParams& point) { point.crossbar.written_scale = crossbar::ScaleBlock::tensor; },
                  "the largest value of all tokens is known. Set crossbar.written_scale = \"token\"."},
        NotCausal{"written_scale_of_a_column",
                  [](PointParams& point) { point.crossbar.written_scale = crossbar::ScaleBlock::column; },
                  "the largest value of all tokens is known. Set crossbar.written_scale = \"token\"."},
        NotCausal{"input_scale",
                  [](PointParams& point) { point.crossbar.input_scale = crossbar::InputScale::tensor; },
                  "the largest input of all tokens is known. Set crossbar.input_scale = \"token\"."},
        NotCausal{"centre_keys",
                  [](PointParams& point) { point.transform.centre_keys = transform::CentreKeys::yes; },
                  "the mean of all keys is known. Set transforms.NAME.centre_keys = \"no\"."},
        NotCausal{"clip_block",
                  [](PointParams& point) { point.transform.clip_block = transform::ClipBlock::column; },
                  "the largest value of a block of tokens is known. Set transforms.NAME.clip_block = "
                  "\"tensor\"."},
        NotCausal{"wire_resistance", [](PointParams& point) { point.crossbar.wire_resistance_ohm = 200; },
                  "the current of all tokens in a line is known. Set crossbar.wire_resistance_ohm = 0."},
        NotCausal{"percentile", [](PointParams& point) { point.transform.percentile = 99; },
                  "a percentile of all values is known. Set transforms.NAME.percentile = 100."}),
    [](const auto& misfit) { return std::string(misfit.param.name); });

// Products with weights have inputs too, whoever multiplies with K and V.
TEST(DecoderOnDigitalKeysAndValues, needs_no_scale_of_tokens_but_for_its_inputs) {
    const FamilyStudy study("gpt2");
    PointParams point = study.point();
    for (const linalg::Role role : {linalg::Role::written_keys, linalg::Role::written_values})
        point.operands[static_cast<std::size_t>(role)].fidelity = crossbar::Fidelity::digital;
    point.crossbar.written_scale = crossbar::ScaleBlock::tensor;
    EXPECT_NO_THROW(Experiment(study.data, 1, {point}));
    point.crossbar.input_scale = crossbar::InputScale::tensor;
    EXPECT_THAT(complaint_of(study, {point}), testing::HasSubstr("crossbar.input_scale = \"token\""));
}

}  // namespace
}  // namespace crossweep::trial
