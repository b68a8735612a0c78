// GPT-2 against PyTorch on the same weights, at every token; and text decoded a few tokens at a time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "io/temporary_folder.hpp"
#include "model/safetensors_text.hpp"
#include "model/stored_families.hpp"

namespace crossweep::model {
namespace {

using linalg::Matrix;

class Gpt2 : public testing::Test {
  protected:
    std::vector<Matrix> logits_after(const std::function<void(SafetensorsText&)>& change,
                                     const LoadOptions& options = {}) const {
        SafetensorsText text(stored_.file());
        change(text);
        text.save(folder_ / "changed.safetensors");
        const io::Safetensors file(folder_ / "changed.safetensors");
        return digital_logits(Transformer(file, options), stored_.inputs());
    }

    const StoredFamily stored_{"gpt2"};
    const std::vector<Matrix> original_ = digital_logits(stored_.model(), stored_.inputs());
    io::TemporaryFolder folder_;
};

TEST_F(Gpt2, gives_the_logits_of_pytorch_after_every_token) {
    for (const std::size_t length : {1U, 7U, 19U}) {
        const Matrix expected = stored_.expected("logits_" + std::to_string(length));
        const auto rows = static_cast<Eigen::Index>(length);
        const std::vector<Input> batch{stored_.beginning(0, length), stored_.beginning(1, length)};
        const auto logits = digital_logits(stored_.model(), batch);
        for (std::size_t text = 0; text < 2; ++text) {
            const Matrix of_text = expected.middleRows(static_cast<Eigen::Index>(text) * rows, rows);
            EXPECT_LT(largest_difference(logits[text], of_text), 1e-4) << length << " tokens";
        }
    }
}

TEST_F(Gpt2, a_token_sees_none_behind_it) {
    const Matrix beginning = digital_logits(stored_.model(), std::vector{stored_.beginning(0, 7)})[0];
    EXPECT_LT(largest_difference(beginning, original_[0].topRows(7)), 1e-6);
}

TEST_F(Gpt2, decoding_with_a_cache_equals_the_full_forward) {
    linalg::DigitalEngine engine(stored_.model().stationary_weights());
    for (const std::size_t piece : {1U, 3U, 19U}) {
        for (std::size_t text = 0; text < 2; ++text) {
            EXPECT_LT(largest_difference(decoded(stored_.model(), engine, stored_.inputs()[text], piece),
                                         original_[text]),
                      1e-5)
                << piece << " tokens at a time";
        }
    }
}

// A cache that forgot would see the latest token alone.
TEST_F(Gpt2, a_token_without_its_past_has_other_logits) {
    linalg::DigitalEngine engine(stored_.model().stationary_weights());
    Activations activations;
    KeyValueCache empty(stored_.model().architecture());
    const Input last{ImageId(0), {}, stored_.inputs()[0].tokens.last(1)};
    const Matrix alone = stored_.model().decode(last, empty, engine, activations);
    EXPECT_GT(largest_difference(alone, original_[0].bottomRows(1)), 1e-2);
}

TEST_F(Gpt2, architecture_is_read_from_shapes_and_metadata) {
    const Architecture& a = stored_.model().architecture();
    EXPECT_EQ(a.family, "GPT-2");
    EXPECT_EQ(a.task, Task::language_model);
    EXPECT_TRUE(a.causal);
    EXPECT_EQ(a.vocabulary, 37U);
    EXPECT_EQ(a.classes, 37U);
    EXPECT_EQ(a.tokens, 19U);
    EXPECT_EQ(a.width, 24U);
    EXPECT_EQ(a.heads, 3U);
    EXPECT_EQ(a.mlp_width, 96U);
    EXPECT_EQ(a.gelu, linalg::Gelu::tanh);
    std::uint64_t elements = 0;
    for (const auto& [name, info] : stored_.file().tensors())
        elements += static_cast<std::uint64_t>(info.elements());
    EXPECT_EQ(stored_.model().parameters(), elements);  // the table that is the head too counts once
}

// Half of all pairs of tokens, and each with itself.
TEST_F(Gpt2, counts_the_products_that_the_mask_leaves) {
    EXPECT_EQ(stored_.model().multiply_accumulates(linalg::Role::written_keys), 3 * (19 * 20 / 2) * 24U);
    EXPECT_EQ(stored_.model().multiply_accumulates(linalg::Role::mlp_in), 3 * 19 * 24 * 96U);
    EXPECT_EQ(stored_.model().multiply_accumulates(linalg::Role::head), 19 * 24 * 37U);
}

TEST_F(Gpt2, every_tensor_matters) {
    for (const auto& [name, info] : stored_.file().tensors()) {
        const auto logits = logits_after([&](SafetensorsText& text) {
            float step = 0;
            for (float& value : text.tensors.at(name).values) value = 1.2F * value + (step += 0.01F);
        });
        EXPECT_GT(largest_difference(logits[0], original_[0]), 1e-4) << name;
    }
}

void name_as_language_model(SafetensorsText& text) {
    for (const auto& [name, tensor] : std::map(text.tensors)) {
        text.tensors["transformer." + name] = tensor;
        text.tensors.erase(name);
    }
}

TEST_F(Gpt2, other_spellings_of_the_names_are_the_same_model) {
    EXPECT_EQ(logits_after(name_as_language_model), original_);
    const auto as_published = [](SafetensorsText& text) {
        text.metadata.clear();
        text.tensors["h.0.attn.bias"] = {{1, 1, 19, 19}, std::vector<float>(361, 1)};
        text.tensors["h.0.attn.masked_bias"] = {{1}, {-1e4F}};
    };
    EXPECT_EQ(logits_after(as_published, {3, 0}), original_);
}

TEST_F(Gpt2, a_head_of_its_own_takes_the_place_of_the_table) {
    const auto with_head = [](float factor) {
        return [factor](SafetensorsText& text) {
            name_as_language_model(text);
            Tensor head = text.tensors.at("transformer.wte.weight");
            for (float& value : head.values) value *= factor;
            text.tensors["lm_head.weight"] = head;
        };
    };
    EXPECT_EQ(logits_after(with_head(1)), original_);
    EXPECT_LT(largest_difference(logits_after(with_head(2))[0], 2 * original_[0]), 1e-5);
}

}  // namespace
}  // namespace crossweep::model
