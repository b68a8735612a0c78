// BERT against PyTorch on the same weights: masked tokens, segments, and texts of one token and of the most.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "io/temporary_folder.hpp"
#include "model/safetensors_text.hpp"
#include "model/stored_families.hpp"

namespace crossweep::model {
namespace {

using linalg::Matrix;

class Bert : public testing::Test {
  protected:
    /// Logits of the stored texts after `change` of the file.
    std::vector<Matrix> logits_after(const std::function<void(SafetensorsText&)>& change,
                                     const LoadOptions& options = {}) const {
        SafetensorsText text(stored_.file());
        change(text);
        text.save(folder_ / "changed.safetensors");
        const io::Safetensors file(folder_ / "changed.safetensors");
        return digital_logits(Transformer(file, options), stored_.inputs());
    }

    const StoredFamily stored_{"bert"};
    const std::vector<Matrix> original_ = digital_logits(stored_.model(), stored_.inputs());
    io::TemporaryFolder folder_;
};

TEST_F(Bert, gives_the_logits_of_pytorch_alone_and_in_a_batch) {
    const Matrix expected = stored_.expected("logits");
    // As long as can be, masked behind, masked in the middle too, and one token.
    const std::vector<std::size_t> lengths{13, 8, 9, 1};
    for (std::size_t text = 0; text < lengths.size(); ++text) {
        EXPECT_EQ(stored_.inputs()[text].tokens.size(), lengths[text]);
        EXPECT_LT(largest_difference(original_[text], expected.row(static_cast<Eigen::Index>(text))), 1e-4)
            << "text " << text;
        EXPECT_EQ(digital_logits(stored_.model(), stored_.inputs().subspan(text, 1))[0], original_[text]);
    }
}

TEST_F(Bert, one_segment_gives_the_logits_of_pytorch_too) {
    std::vector<TextToken> tokens(stored_.inputs()[0].tokens.begin(), stored_.inputs()[0].tokens.end());
    for (TextToken& token : tokens) token.segment = 0;
    const Input input{ImageId(0), {}, tokens};
    const Matrix logits = digital_logits(stored_.model(), std::span(&input, 1))[0];
    EXPECT_LT(largest_difference(logits, stored_.expected("logits_of_one_text")), 1e-4);
    EXPECT_GT(largest_difference(logits, original_[0]), 1e-2);
}

// Tokens in the middle that are masked leave a gap: closed up, the text would be another.
TEST_F(Bert, tokens_keep_their_places_beside_masked_ones) {
    std::vector<TextToken> closed_up(stored_.inputs()[2].tokens.begin(), stored_.inputs()[2].tokens.end());
    for (std::uint32_t i = 0; i < closed_up.size(); ++i) closed_up[i].position = i;
    const Input input{ImageId(0), {}, closed_up};
    EXPECT_GT(largest_difference(digital_logits(stored_.model(), std::span(&input, 1))[0], original_[2]),
              1e-2);
}

TEST_F(Bert, architecture_is_read_from_shapes_and_metadata) {
    const Architecture& a = stored_.model().architecture();
    EXPECT_EQ(a.family, "BERT");
    EXPECT_EQ(a.task, Task::classification);
    EXPECT_FALSE(a.takes_images());
    EXPECT_EQ(a.vocabulary, 37U);
    EXPECT_EQ(a.segments, 2U);
    EXPECT_EQ(a.tokens, 13U);
    EXPECT_EQ(a.width, 24U);
    EXPECT_EQ(a.depth, 3U);
    EXPECT_EQ(a.heads, 3U);
    EXPECT_EQ(a.mlp_width, 72U);
    EXPECT_EQ(a.classes, 5U);
    EXPECT_FALSE(a.causal);
    std::uint64_t elements = 0;
    for (const auto& [name, info] : stored_.file().tensors())
        elements += static_cast<std::uint64_t>(info.elements());
    EXPECT_EQ(stored_.model().parameters(), elements);
}

// The bias of K adds the same to all scores of a row, which softmax does not see.
TEST_F(Bert, every_tensor_matters) {
    for (const auto& [name, info] : stored_.file().tensors()) {
        if (name.ends_with("key.bias")) continue;
        const auto logits = logits_after([&](SafetensorsText& text) {
            float step = 0;
            for (float& value : text.tensors.at(name).values) value = 1.2F * value + (step += 0.01F);
        });
        EXPECT_GT(largest_difference(logits[0], original_[0]), 1e-4) << name;
    }
}

TEST_F(Bert, other_spellings_of_the_names_are_the_same_model) {
    const auto without_prefix = [](SafetensorsText& text) {
        for (const auto& [name, tensor] : std::map(text.tensors)) {
            if (!name.starts_with("bert.")) continue;
            text.tensors[name.substr(5)] = tensor;
            text.tensors.erase(name);
        }
    };
    EXPECT_EQ(logits_after(without_prefix), original_);
    const auto early_norms = [](SafetensorsText& text) {
        for (const auto& [name, tensor] : std::map(text.tensors)) {
            const auto at = name.find("LayerNorm.");
            if (at == std::string::npos) continue;
            text.tensors[name.substr(0, at + 10) + (name.ends_with("weight") ? "gamma" : "beta")] = tensor;
            text.tensors.erase(name);
        }
    };
    EXPECT_EQ(logits_after(early_norms), original_);
    const auto as_published = [](SafetensorsText& text) {
        text.metadata.clear();
        text.tensors["bert.embeddings.position_ids"] = {{1, 13}, std::vector<float>(13)};
        text.tensors["cls.predictions.bias"] = {{37}, std::vector<float>(37)};
    };
    EXPECT_EQ(logits_after(as_published, {3, 0}), original_);
}

TEST_F(Bert, engine_gets_q_k_and_v_as_one_weight_of_three_parts) {
    const auto weights = stored_.model().stationary_weights();
    ASSERT_EQ(weights.size(), 3 * 4 + 2U);
    EXPECT_EQ(weights[0].first_role, linalg::Role::query);
    EXPECT_EQ(weights[0].parts, 3U);
    EXPECT_EQ(weights[0].matrix.rows(), 72);
    const auto key = stored_.file().floats("bert.encoder.layer.0.attention.self.key.weight");
    EXPECT_TRUE(std::ranges::equal(linalg::row_of(part_of(weights[0], 1), 0), key.first(24)));
    EXPECT_EQ(weights[12].first_role, linalg::Role::head);  // classifier and pooler
    EXPECT_EQ(weights[13].first_role, linalg::Role::head);
    EXPECT_NE(weights[12].layer, weights[13].layer);  // so that they have noise of their own
}

}  // namespace
}  // namespace crossweep::model
