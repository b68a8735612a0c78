// Logits against PyTorch on the same weights, the counts of known models, and the products that a model asks
// for. The stored files and the reference logits are written by tests/model/make_stored.py.
#include "crossweep/model/transformer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <filesystem>

#include "crossweep/linalg/elementwise.hpp"

namespace crossweep::model {
namespace {

using linalg::const_view;
using linalg::ConstMatrixView;
using linalg::Matrix;
using linalg::MatrixView;

const std::filesystem::path stored = std::filesystem::path(CROSSWEEP_SOURCE_DIR) / "tests/model/stored";

/// Logits of a batch of one image.
std::vector<float> logits_of(const Transformer& model, linalg::MatmulEngine& engine, Activations& activations,
                             std::span<const float> pixels, const AttentionObserver& observe) {
    std::vector<float> all;
    const Input image{ImageId(0), pixels, {}};
    model.forward(std::span(&image, 1), engine, activations, observe,
                  [&](std::size_t, const MatrixView& logits) {
                      all.assign(logits.data(), logits.data() + logits.size());
                  });
    return all;
}

std::vector<float> digital_logits(const Transformer& model, std::span<const float> pixels) {
    linalg::DigitalEngine engine(model.stationary_weights());
    Activations activations;
    return logits_of(model, engine, activations, pixels, {});
}

void expect_logits(std::span<const float> logits, std::span<const float> expected) {
    ASSERT_EQ(logits.size(), expected.size());
    for (std::size_t i = 0; i < logits.size(); ++i)
        EXPECT_NEAR(logits[i], expected[i], 1e-4F) << "class " << i;
}

class TinyModel : public testing::Test {
  protected:
    std::span<const float> image(std::size_t index) const {
        const auto images = expected_.floats("images");
        return images.subspan(index * images.size() / 4, images.size() / 4);
    }

    io::Safetensors expected_{stored / "expected.safetensors"};
    io::Safetensors file_{stored / "tiny_f32.safetensors"};
    Transformer model_{file_};
};

class TinyModelOfType : public TinyModel, public testing::WithParamInterface<std::string> {};

TEST_P(TinyModelOfType, gives_the_logits_of_pytorch) {
    std::string lower = GetParam();
    for (char& letter : lower) letter = static_cast<char>(std::tolower(letter));
    const io::Safetensors file(stored / ("tiny_" + lower + ".safetensors"));
    const Transformer model(file);
    const auto expected = expected_.floats("logits_" + GetParam());
    for (std::size_t index = 0; index < 4; ++index) {
        expect_logits(digital_logits(model, image(index)), expected.subspan(5 * index, 5));
    }
}

INSTANTIATE_TEST_SUITE_P(Stored, TinyModelOfType, testing::Values("F32", "F16", "BF16"),
                         [](const auto& type) { return type.param; });

// The three types round differently: had one file been read as another, its logits would be off.
TEST_F(TinyModel, types_have_logits_of_their_own) {
    const auto difference = [&](const std::string& a, const std::string& b) {
        return std::abs(expected_.floats(a)[0] - expected_.floats(b)[0]);
    };
    EXPECT_GT(difference("logits_F32", "logits_F16"), 2e-4F);
    EXPECT_GT(difference("logits_F32", "logits_BF16"), 2e-4F);
}

TEST_F(TinyModel, architecture_is_read_from_shapes_and_metadata) {
    const Architecture& a = model_.architecture();
    EXPECT_EQ(a.image_size, 12U);
    EXPECT_EQ(a.patch_size, 4U);
    EXPECT_EQ(a.channels, 3U);
    EXPECT_EQ(a.tokens, 10U);
    EXPECT_EQ(a.width, 32U);
    EXPECT_EQ(a.depth, 2U);
    EXPECT_EQ(a.heads, 2U);
    EXPECT_EQ(a.head_width(), 16U);
    EXPECT_EQ(a.mlp_width, 128U);
    EXPECT_EQ(a.classes, 5U);
    EXPECT_FLOAT_EQ(a.layer_norm_epsilon, 1e-6F);
    std::uint64_t elements = 0;
    for (const auto& [name, info] : file_.tensors()) elements += static_cast<std::uint64_t>(info.elements());
    EXPECT_EQ(model_.parameters(), elements);
}

TEST_F(TinyModel, normalisation_is_read_from_the_metadata) {
    ASSERT_TRUE(model_.normalisation().has_value());
    EXPECT_THAT(model_.normalisation()->mean, testing::ElementsAre(0.25, 0.5, 0.75));
    EXPECT_THAT(model_.normalisation()->std, testing::ElementsAre(0.5, 0.25, 0.125));
}

TEST_F(TinyModel, number_of_heads_matters_and_can_be_given) {
    const Transformer four_heads(file_, {4, 0});
    EXPECT_EQ(four_heads.architecture().heads, 4U);
    EXPECT_EQ(four_heads.stationary_weights()[0].head_width, 8U);
    EXPECT_GT(std::abs(digital_logits(four_heads, image(0))[0] - digital_logits(model_, image(0))[0]), 1e-3F);
}

TEST_F(TinyModel, stationary_weights_stand_in_the_order_of_their_products) {
    const auto weights = model_.stationary_weights();
    ASSERT_EQ(weights.size(), 10U);
    using linalg::Role;
    const std::vector<std::tuple<Role, std::size_t, int, int>> of_block{{Role::query, 3, 96, 32},
                                                                        {Role::projection, 1, 32, 32},
                                                                        {Role::mlp_in, 1, 128, 32},
                                                                        {Role::mlp_out, 1, 32, 128}};
    for (std::size_t i = 0; i < 8; ++i) {
        const auto& [role, parts, outputs, inputs] = of_block[i % 4];
        EXPECT_EQ(weights[i].layer, LayerId(static_cast<std::uint32_t>(i / 4)));
        EXPECT_EQ(weights[i].first_role, role);
        EXPECT_EQ(weights[i].parts, parts);
        EXPECT_EQ(weights[i].head_width, 16U);
        EXPECT_EQ(weights[i].matrix.rows(), outputs);
        EXPECT_EQ(weights[i].matrix.cols(), inputs);
    }
    EXPECT_EQ(weights[0].matrix.data(), file_.floats("blocks.0.attn.qkv.weight").data());
    EXPECT_EQ(weights[7].matrix.data(), file_.floats("blocks.1.mlp.fc2.weight").data());
    EXPECT_EQ(weights[8].first_role, Role::embedding);
    EXPECT_EQ(weights[8].matrix.data(), file_.floats("patch_embed.proj.weight").data());
    EXPECT_EQ(weights[8].matrix.rows(), 32);
    EXPECT_EQ(weights[9].first_role, Role::head);
    EXPECT_EQ(weights[9].matrix.data(), file_.floats("head.weight").data());
}

/// Multiplies exactly, notes what it was asked for, and can spoil what it reads from V.
class RecordingEngine final : public linalg::MatmulEngine {
  public:
    RecordingEngine(std::span<const linalg::StationaryWeight> weights, float value_factor)
        : exact_(weights), value_factor_(value_factor) {}
    using MatmulEngine::begin_image;
    void begin_image(ImageId image, std::size_t first) override { exact_.begin_image(image, first); }
    void multiply(std::size_t weight, const ConstMatrixView& x, MatrixView y) override {
        calls.push_back("multiply " + std::to_string(weight));
        exact_.multiply(weight, x, y);
    }
    void write(LayerId layer, std::size_t heads, const ConstMatrixView& keys,
               const ConstMatrixView& values) override {
        calls.push_back("write " + std::to_string(layer.value()) + " of " + std::to_string(heads) + " heads");
        attention.emplace_back(keys.rows(), keys.cols());
        exact_.write(layer, heads, keys, values);
    }
    void read_keys(std::size_t head, const ConstMatrixView& queries, MatrixView scores) override {
        calls.push_back("keys " + std::to_string(head));
        exact_.read_keys(head, queries, scores);
    }
    void read_values(std::size_t head, const ConstMatrixView& probabilities, MatrixView context) override {
        calls.push_back("values " + std::to_string(head));
        exact_.read_values(head, probabilities, context);
        context *= value_factor_;
        row_sums.push_back(probabilities.rowwise().sum());
        attention.back().middleCols(static_cast<Eigen::Index>(head) * context.cols(), context.cols()) =
            context;
    }

    std::vector<std::string> calls;
    std::vector<Matrix> attention;  ///< of each layer, put together from what the heads read
    std::vector<Matrix> row_sums;   ///< of the probabilities of every read

  private:
    linalg::DigitalEngine exact_;
    float value_factor_;
};

struct Observed {
    std::vector<LayerId> layers;
    std::vector<Matrix> attention;
};

Observed observe(const Transformer& model, linalg::MatmulEngine& engine, std::span<const float> image) {
    Observed observed;
    Activations activations;
    logits_of(model, engine, activations, image, [&](const AttentionOutput& attention) {
        observed.layers.push_back(attention.layer);
        observed.attention.emplace_back(attention.values);
    });
    return observed;
}

TEST_F(TinyModel, asks_for_the_products_of_a_transformer_in_order) {
    RecordingEngine engine(model_.stationary_weights(), 1);
    observe(model_, engine, image(0));
    EXPECT_THAT(engine.calls,
                testing::ElementsAre("multiply 8", "multiply 0", "write 0 of 2 heads", "keys 0", "values 0",
                                     "keys 1", "values 1", "multiply 1", "multiply 2", "multiply 3",
                                     "multiply 4", "write 1 of 2 heads", "keys 0", "values 0", "keys 1",
                                     "values 1", "multiply 5", "multiply 6", "multiply 7", "multiply 9"));
    for (const Matrix& sums : engine.row_sums) EXPECT_LT((sums.array() - 1.0F).abs().maxCoeff(), 1e-5F);
}

TEST_F(TinyModel, observer_sees_the_attention_of_each_layer) {
    RecordingEngine engine(model_.stationary_weights(), 1);
    const Observed observed = observe(model_, engine, image(0));
    EXPECT_THAT(observed.layers, testing::ElementsAre(LayerId(0), LayerId(1)));
    ASSERT_EQ(engine.attention.size(), 2U);
    for (std::size_t layer = 0; layer < 2; ++layer)
        EXPECT_EQ(observed.attention[layer], engine.attention[layer]);
}

// Attention that is 10 % too large has a noise of (0.1)^2 of the signal, 20 dB, in the first layer.
TEST_F(TinyModel, observer_gives_the_signal_to_noise_ratio) {
    RecordingEngine exact(model_.stationary_weights(), 1), spoilt(model_.stationary_weights(), 1.1F);
    const Observed clean = observe(model_, exact, image(0)), noisy = observe(model_, spoilt, image(0));
    const auto decibels = [&](std::size_t layer) {
        const auto sums =
            linalg::square_sums(const_view(clean.attention[layer]), const_view(noisy.attention[layer]));
        return 10 * std::log10(sums.signal / sums.noise);
    };
    EXPECT_NEAR(decibels(0), 20, 1e-3);
    EXPECT_GT(decibels(1), 5);
    EXPECT_LT(decibels(1), 20.5);
}

TEST_F(TinyModel, activations_of_another_model_do_not_matter) {
    const Transformer four_heads(file_, {4, 0});
    linalg::DigitalEngine engine(model_.stationary_weights());
    Activations activations;
    const auto first = logits_of(model_, engine, activations, image(0), {});
    logits_of(four_heads, engine, activations, image(1), {});
    EXPECT_EQ(logits_of(model_, engine, activations, image(0), {}), first);
}

TEST_F(TinyModel, a_batch_gives_every_image_the_logits_of_its_own) {
    linalg::DigitalEngine engine(model_.stationary_weights());
    Activations activations;
    const std::array pixels{image(0), image(1), image(0)};
    std::vector<Input> batch;
    for (std::uint32_t i = 0; i < 3; ++i) batch.push_back({ImageId(i), pixels[i], {}});
    Matrix logits(3, 5);
    std::vector<std::pair<std::size_t, LayerId>> seen;
    model_.forward(
        batch, engine, activations,
        [&](const AttentionOutput& attention) { seen.emplace_back(attention.image, attention.layer); },
        [&](std::size_t i, const MatrixView& of_image) {
            logits.row(static_cast<Eigen::Index>(i)) = of_image;
        });
    for (Eigen::Index i = 0; i < 3; ++i) {
        const auto alone = digital_logits(model_, pixels[static_cast<std::size_t>(i)]);
        EXPECT_TRUE(std::ranges::equal(linalg::row_of(logits, i), alone));
    }
    EXPECT_EQ(seen, (std::vector<std::pair<std::size_t, LayerId>>{{0, LayerId(0)},
                                                                  {1, LayerId(0)},
                                                                  {2, LayerId(0)},
                                                                  {0, LayerId(1)},
                                                                  {1, LayerId(1)},
                                                                  {2, LayerId(1)}}));
}

TEST(DeitTiny, gives_the_logits_of_pytorch) {
    const auto path =
        std::filesystem::path(CROSSWEEP_SHARED_DIR) / "data/deit_tiny/deit_tiny_patch16_224.safetensors";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not here";
    const io::Safetensors file(path), expected(stored / "expected.safetensors");
    const Transformer model(file);
    EXPECT_EQ(model.architecture().heads, 3U);
    // Touvron et al. (arXiv 2012.12877), Table 1, gives 5 million; timm counts the last digit.
    EXPECT_EQ(model.parameters(), 5'717'416U);
    EXPECT_NEAR(static_cast<double>(model.multiply_accumulates()) / 1e9, 1.25, 0.01);
    EXPECT_EQ(model.architecture().image_size, 224U);
    EXPECT_FALSE(model.normalisation().has_value());
    std::vector<float> image(3 * 224 * 224);
    for (std::size_t i = 0; i < image.size(); ++i) {
        image[i] = static_cast<float>(std::sin(0.01 * static_cast<double>(i)));
    }
    expect_logits(digital_logits(model, image), expected.floats("logits_deit_tiny"));
}

}  // namespace
}  // namespace crossweep::model
