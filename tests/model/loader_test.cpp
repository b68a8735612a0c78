// What is said of a file that is no model that we know: every problem at once, each with its tensor.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "crossweep/core/error.hpp"
#include "crossweep/model/transformer.hpp"
#include "io/temporary_folder.hpp"
#include "model/safetensors_text.hpp"

namespace crossweep::model {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::filesystem::path tiny =
    std::filesystem::path(CROSSWEEP_SOURCE_DIR) / "tests/model/stored/tiny_f32.safetensors";

class Loader : public testing::Test {
  protected:
    using Change = std::function<void(SafetensorsText&)>;

    std::filesystem::path changed_file(const Change& change) const {
        SafetensorsText text{io::Safetensors(tiny)};
        change(text);
        text.save(folder_ / "model.safetensors");
        return folder_ / "model.safetensors";
    }
    /// What is said of the tiny model after `change`.
    std::string error_after(const Change& change, std::size_t heads = 0) const {
        const io::Safetensors file(changed_file(change));
        return io::data_error_of([&] { Transformer(file, {heads, 0}); });
    }
    Architecture architecture_after(const Change& change, std::size_t heads = 0) const {
        const io::Safetensors file(changed_file(change));
        return Transformer(file, {heads, 0}).architecture();
    }

    io::TemporaryFolder folder_;
};

std::ptrdiff_t lines_of(const std::string& text) {
    return std::count(text.begin(), text.end(), '\n') + 1;
}

TEST_F(Loader, unchanged_model_is_read) {
    EXPECT_EQ(architecture_after([](SafetensorsText&) {}).heads, 2U);
}

TEST_F(Loader, all_problems_are_listed_at_once) {
    const std::string error = error_after([](SafetensorsText& file) {
        file.tensors.erase("blocks.1.norm1.bias");
        file.tensors.erase("norm.weight");
        file.tensors.at("blocks.0.mlp.fc2.bias") = {{31}, std::vector<float>(31)};
        file.tensors.at("blocks.0.attn.qkv.weight").shape = {32, 96};
        file.tensors.at("head.bias").values[2] = std::numeric_limits<float>::quiet_NaN();
        file.tensors.at("cls_token").values[3] = std::numeric_limits<float>::infinity();
        file.tensors.at("cls_token").values[4] = -std::numeric_limits<float>::infinity();
    });
    EXPECT_THAT(error,
                AllOf(HasSubstr("tensor \"blocks.1.norm1.bias\" is missing\n"),
                      HasSubstr("tensor \"norm.weight\" is missing\n"),
                      HasSubstr("tensor \"blocks.0.mlp.fc2.bias\" has shape [31] where [32] is expected\n"),
                      HasSubstr("tensor \"blocks.0.attn.qkv.weight\" has shape [32, 96] where [96, 32] is "
                                "expected\n"),
                      HasSubstr("tensor \"head.bias\" has 1 values that are not finite\n"),
                      HasSubstr("tensor \"cls_token\" has 2 values that are not finite\n")));
    EXPECT_EQ(lines_of(error), 7) << error;  // six problems and the remedy
    EXPECT_THAT(error, testing::StartsWith((folder_ / "model.safetensors").string() + ": "));
}

TEST_F(Loader, missing_tensor_that_gives_the_sizes_is_the_only_one_named) {
    for (const char* name :
         {"patch_embed.proj.weight", "pos_embed", "head.weight", "blocks.0.mlp.fc1.weight"}) {
        const std::string error = error_after([&](SafetensorsText& file) { file.tensors.erase(name); });
        EXPECT_THAT(error, HasSubstr("tensor \"" + std::string(name) + "\" is missing\n"));
        EXPECT_EQ(lines_of(error), 2) << error;
    }
}

TEST_F(Loader, tensors_of_another_architecture_are_refused) {
    const std::string error = error_after([&](SafetensorsText& file) {
        file.tensors["blocks.0.ls1.gamma"] = {{32}, std::vector<float>(32, 0.1F)};
        file.tensors["norm_pre.weight"] = {{32}, std::vector<float>(32, 1.0F)};
    });
    EXPECT_THAT(error, AllOf(HasSubstr("tensor \"blocks.0.ls1.gamma\" has no place in a ViT or DeiT\n"),
                             HasSubstr("tensor \"norm_pre.weight\" has no place in a ViT or DeiT\n")));
}

TEST_F(Loader, sizes_of_zero_are_refused) {
    const std::string error = error_after([&](SafetensorsText& file) {
        file.tensors.at("head.weight") = {{0, 32}, {}};
    });
    EXPECT_THAT(error, HasSubstr("tensor \"head.weight\" has shape [0, 32], which is empty\n"));
}

TEST_F(Loader, heads_that_do_not_divide_the_width_are_refused) {
    EXPECT_THAT(error_after([](SafetensorsText&) {}, 5),
                HasSubstr("a width of 32 does not divide into 5 heads (set model.num_heads)\n"));
    EXPECT_NO_THROW(architecture_after([](SafetensorsText&) {}, 8));
}

TEST_F(Loader, without_a_number_of_heads_a_head_is_64_wide) {
    const auto without_metadata = [](SafetensorsText& file) { file.metadata.clear(); };
    EXPECT_THAT(error_after(without_metadata),
                HasSubstr("a width of 32 is no multiple of 64, so the heads cannot be guessed"));
    EXPECT_EQ(architecture_after(without_metadata, 4).heads, 4U);
}

TEST_F(Loader, model_without_blocks_is_refused) {
    EXPECT_THAT(error_after([](SafetensorsText& file) {
                    std::erase_if(file.tensors,
                                  [](const auto& entry) { return entry.first.starts_with("blocks."); });
                }),
                AllOf(HasSubstr("there is no tensor \"blocks.0."), Not(HasSubstr("missing"))));
}

TEST_F(Loader, tokens_that_are_no_square_are_refused) {
    EXPECT_THAT(
        error_after([](SafetensorsText& file) {
            file.tensors.at("pos_embed") = {{1, 9, 32}, std::vector<float>(9 * 32)};
        }),
        HasSubstr("pos_embed has 9 tokens, which is not a square number of patches and a class token\n"));
}

TEST_F(Loader, tensor_of_another_rank_is_refused) {
    EXPECT_THAT(error_after([](SafetensorsText& file) {
                    file.tensors.at("pos_embed").shape = {10, 32};
                }),
                HasSubstr("tensor \"pos_embed\" has shape [10, 32], which does not have 3 dimensions\n"));
}

TEST_F(Loader, gap_in_the_blocks_is_named_by_its_tensors) {
    const std::string error = error_after([](SafetensorsText& file) {
        for (const auto& [name, tensor] : std::map(file.tensors)) {
            if (name.starts_with("blocks.1.")) {
                file.tensors["blocks.2." + name.substr(9)] = tensor;
                file.tensors.erase(name);
            }
        }
    });
    EXPECT_THAT(error, HasSubstr("tensor \"blocks.1.attn.qkv.weight\" is missing\n"));
    EXPECT_EQ(lines_of(error), 13) << error;  // the twelve tensors of a block and the remedy
}

TEST_F(Loader, metadata_that_cannot_be_read_is_refused) {
    EXPECT_THAT(error_after([](SafetensorsText& file) { file.metadata["architecture"] = "{"; }, 2),
                HasSubstr("metadata \"architecture\" is not a JSON object\n"));
    EXPECT_THAT(error_after([](SafetensorsText& file) { file.metadata["normalisation"] = "[1]"; }),
                HasSubstr("metadata \"normalisation\" is not a JSON object\n"));
    EXPECT_THAT(
        error_after(
            [](SafetensorsText& file) { file.metadata["architecture"] = R"({"layer_norm_eps": "x"})"; }, 2),
        HasSubstr("metadata \"architecture\" has a layer_norm_eps that is not a positive number\n"));
}

TEST_F(Loader, epsilon_comes_from_the_metadata) {
    const auto epsilon = [&](const std::string& metadata) {
        return architecture_after([&](SafetensorsText& file) { file.metadata["architecture"] = metadata; }, 2)
            .layer_norm_epsilon;
    };
    EXPECT_FLOAT_EQ(epsilon(R"({"layer_norm_eps": 1e-5})"), 1e-5F);
    EXPECT_FLOAT_EQ(epsilon("{}"), 1e-6F);
}

}  // namespace
}  // namespace crossweep::model
