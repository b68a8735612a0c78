// LV-ViT and DynamicViT against PyTorch on the same weights, and what DynamicViT's predictors keep.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "io/temporary_folder.hpp"
#include "model/safetensors_text.hpp"
#include "model/stored_families.hpp"

namespace crossweep::model {
namespace {

using linalg::Matrix;
using testing::ElementsAre;
using testing::ElementsAreArray;

/// Of every layer and input, the places of the tokens that it saw.
std::vector<std::vector<std::vector<std::uint32_t>>> tokens_seen(const Transformer& model,
                                                                 std::span<const Input> batch) {
    std::vector<std::vector<std::vector<std::uint32_t>>> seen(model.architecture().depth);
    for (auto& layer : seen) layer.resize(batch.size());
    linalg::DigitalEngine engine(model.stationary_weights());
    logits_of(model, engine, batch, [&](const AttentionOutput& attention) {
        EXPECT_EQ(static_cast<std::size_t>(attention.values.rows()), attention.tokens.size());
        seen[attention.layer.value()][attention.image].assign(attention.tokens.begin(),
                                                              attention.tokens.end());
    });
    return seen;
}

class ImageFamily : public testing::TestWithParam<std::string> {};

TEST_P(ImageFamily, gives_the_logits_of_pytorch_alone_and_in_a_batch) {
    const StoredFamily stored(GetParam());
    const Matrix expected = stored.expected("logits");
    const auto together = digital_logits(stored.model(), stored.inputs());
    for (std::size_t i = 0; i < stored.inputs().size(); ++i) {
        const Matrix row = expected.row(static_cast<Eigen::Index>(i));
        EXPECT_LT(largest_difference(together[i], row), 1e-4) << "image " << i;
        EXPECT_EQ(digital_logits(stored.model(), stored.inputs().subspan(i, 1))[0], together[i]);
    }
    // The images differ in their logits: those of another would not pass.
    EXPECT_GT(largest_difference(expected.row(0), expected.row(1)), 1e-2);
}

INSTANTIATE_TEST_SUITE_P(Stored, ImageFamily, testing::Values("lv_vit", "sparse_vit", "sparse_lv_vit"),
                         [](const auto& family) { return family.param; });

TEST(LvVit, architecture_is_read_from_shapes_and_metadata) {
    const StoredFamily stored("lv_vit");
    const Architecture& a = stored.model().architecture();
    EXPECT_EQ(a.family, "LV-ViT");
    EXPECT_EQ(a.image_size, 20U);
    EXPECT_EQ(a.patch_size, 4U);
    EXPECT_EQ(a.channels, 3U);
    EXPECT_EQ(a.tokens, 26U);
    EXPECT_EQ(a.heads, 3U);
    EXPECT_EQ(a.mlp_width, 72U);
    EXPECT_FLOAT_EQ(a.residual_scale, 0.5F);
    EXPECT_FLOAT_EQ(a.layer_norm_epsilon, 1e-5F);
    // Everything in the file but what batch norm has measured.
    std::uint64_t trained = 0;
    for (const auto& [name, info] : stored.file().tensors())
        trained +=
            name.find("running") == std::string::npos ? static_cast<std::uint64_t>(info.elements()) : 0;
    EXPECT_EQ(stored.model().parameters(), trained);
}

// Each of these would go unnoticed in a model whose norms are those of a fresh one.
TEST(LvVit, every_tensor_matters) {
    const StoredFamily stored("lv_vit");
    const io::TemporaryFolder folder;
    const Matrix original = digital_logits(stored.model(), stored.inputs())[0];
    for (const auto& [name, info] : stored.file().tensors()) {
        SafetensorsText changed(stored.file());
        // A shift of all logits of K is nothing to softmax, and a shift that is the same for all V is one.
        for (float& value : changed.tensors.at(name).values) value = 1.2F * value + 0.1F;
        changed.save(folder / "changed.safetensors");
        const io::Safetensors file(folder / "changed.safetensors");
        EXPECT_GT(largest_difference(digital_logits(Transformer(file), stored.inputs())[0], original), 1e-4)
            << name;
    }
}

/// What tensors alone say must be what the metadata says too.
void expect_no_need_of_metadata(const std::string& family) {
    const StoredFamily stored(family);
    const io::TemporaryFolder folder;
    SafetensorsText text(stored.file());
    text.metadata.clear();
    text.save(folder / "published.safetensors");
    const io::Safetensors file(folder / "published.safetensors");
    EXPECT_EQ(digital_logits(Transformer(file, {3, 0}), stored.inputs()),
              digital_logits(stored.model(), stored.inputs()));
}

TEST(LvVit, without_metadata_is_as_tokenlabeling_has_it) {
    expect_no_need_of_metadata("lv_vit");
}

TEST(DynamicVit, keeps_as_many_tokens_as_the_ratios_say) {
    const StoredFamily stored("sparse_vit");  // 25 patches; ratios 0.7, 0.49, 0.343
    const Architecture& a = stored.model().architecture();
    EXPECT_EQ(a.family, "DynamicViT on ViT or DeiT");
    const std::vector<std::size_t> counts{26, 18, 13, 9};
    const auto seen = tokens_seen(stored.model(), stored.inputs());
    for (std::size_t block = 0; block < 4; ++block) {
        EXPECT_EQ(a.tokens_in_block(block), counts[block]);
        for (std::size_t image = 0; image < stored.inputs().size(); ++image) {
            const auto& tokens = seen[block][image];
            EXPECT_EQ(tokens.size(), counts[block]);
            EXPECT_EQ(tokens[0], 0U);  // the class token stays
            EXPECT_TRUE(std::ranges::is_sorted(tokens, std::less_equal{}));
            if (block > 0) {
                EXPECT_TRUE(std::ranges::includes(seen[block - 1][image], tokens));
            }
        }
    }
    EXPECT_NE(seen[3][0], seen[3][1]);  // images decide
}

TEST(DynamicVit, ratio_of_the_study_replaces_the_files) {
    const auto counts = [](double ratio) {
        const StoredFamily stored("sparse_vit", {0, ratio});
        std::vector<std::size_t> tokens;
        for (const auto& block : tokens_seen(stored.model(), stored.inputs()))
            tokens.push_back(block[0].size());
        return tokens;
    };
    EXPECT_THAT(counts(0.5), ElementsAre(26, 13, 7, 4));  // 12.5, 6.25, 3.125 patches
    EXPECT_THAT(counts(1), ElementsAre(26, 26, 26, 26));
}

TEST(DynamicVit, without_metadata_is_as_published) {
    expect_no_need_of_metadata("sparse_vit");
}

/// The stored model with a first predictor whose last layer does not look at its inputs.
std::vector<std::uint32_t> kept_of_equals(float weight) {
    const StoredFamily stored("sparse_vit");
    const io::TemporaryFolder folder;
    SafetensorsText text(stored.file());
    for (float& value : text.tensors.at("score_predictor.0.out_conv.4.weight").values) value *= weight;
    text.save(folder / "equal.safetensors");
    const io::Safetensors file(folder / "equal.safetensors");
    return tokens_seen(Transformer(file), stored.inputs())[1][0];
}

TEST(DynamicVit, of_equal_scores_the_token_that_comes_first_is_kept) {
    std::vector<std::uint32_t> first(18);
    std::iota(first.begin(), first.end(), 0U);
    EXPECT_THAT(kept_of_equals(0), ElementsAreArray(first));
    EXPECT_NE(kept_of_equals(1), first);
}

// Products of dropped tokens do not take place.
TEST(DynamicVit, counts_the_products_of_kept_tokens_alone) {
    using linalg::Role;
    const StoredFamily dense("sparse_vit", {0, 1}), sparse("sparse_vit");
    const std::uint64_t D = 24, M = 72;
    EXPECT_EQ(dense.model().multiply_accumulates(Role::mlp_in), 4 * 26 * D * M);
    EXPECT_EQ(sparse.model().multiply_accumulates(Role::mlp_in), (26 + 18 + 13 + 9) * D * M);
    EXPECT_EQ(sparse.model().multiply_accumulates(Role::written_keys),
              (26 * 26 + 18 * 18 + 13 * 13 + 9 * 9) * D);
    EXPECT_EQ(sparse.model().multiply_accumulates(Role::selector),
              (25 + 17 + 12) * (D * D + D * D / 2 + D / 2 * D / 4 + D / 4 * 2));
}

}  // namespace
}  // namespace crossweep::model
