// Every family on crossbars: the ideal limit, and text whose K and V are written as its tokens come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crossweep/crossbar/crossbar_engine.hpp"
#include "model/stored_families.hpp"

namespace crossweep::trial {
namespace {

using crossbar::Fidelity;
using linalg::Matrix;
using model::decoded;
using model::Input;
using model::largest_difference;
using model::StoredFamily;

constexpr const char* all_families[] = {"lv_vit", "sparse_vit", "sparse_lv_vit", "bert", "gpt2"};

/// All operands on crossbars, classifier, embedding and predictors too.
crossbar::EngineParams chip_params(Fidelity fidelity, const device::DeviceParams& device) {
    crossbar::EngineParams params;
    params.operands.fill({fidelity, device});
    params.crossbar.written_scale = crossbar::ScaleBlock::token;
    params.crossbar.adc_bits = 0;
    return params;
}

device::DeviceParams noiseless() {
    device::DeviceParams device;
    device.read_noise_sigma = device.write_noise_sigma = 0;
    return device;
}

/// The weights of a model on crossbars, and the engine that multiplies with them.
class Chip {
  public:
    Chip(const model::Transformer& model, const crossbar::EngineParams& params, std::uint32_t trial = 0)
        : programmed_(crossbar::program_weights(model.stationary_weights(), params.operands, params.crossbar,
                                                {5, trial})),
          engine_(model.stationary_weights(), programmed_, params, {5, trial}) {}
    crossbar::CrossbarEngine& engine() { return engine_; }

  private:
    std::vector<crossbar::ProgrammedWeight> programmed_;
    crossbar::CrossbarEngine engine_;
};

/// Largest difference of any logit from the digital ones, relative to the largest of these.
double error_of(const StoredFamily& stored, const crossbar::EngineParams& params) {
    const auto exact = model::digital_logits(stored.model(), stored.inputs());
    Chip chip(stored.model(), params);
    const auto found = model::logits_of(stored.model(), chip.engine(), stored.inputs());
    double difference = 0, largest = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
        difference = std::max(difference, largest_difference(found[i], exact[i]));
        largest = std::max(largest, static_cast<double>(exact[i].cwiseAbs().maxCoeff()));
    }
    return difference / largest;
}

class Family : public testing::TestWithParam<const char*> {
  protected:
    const StoredFamily stored_{GetParam()};
};

TEST_P(Family, ideal_limit_is_the_digital_result) {
    auto params = chip_params(Fidelity::behavioural, noiseless());
    params.crossbar.weight_levels = params.crossbar.input_bits = 0;
    for (const auto scale : {crossbar::ScaleBlock::tensor, crossbar::ScaleBlock::token}) {
        params.crossbar.written_scale = scale;
        EXPECT_LT(error_of(stored_, params), 1e-5);
    }
    for (auto& operand : params.operands) operand.device.write_noise_sigma = 0.1;
    EXPECT_GT(error_of(stored_, params), 1e-3);
}

// Slices need whole numbers: 16 bits of them leave steps of 2^-16 of the largest weight and input.
TEST_P(Family, slices_and_circuits_approach_the_digital_result) {
    for (const Fidelity fidelity : {Fidelity::sliced, Fidelity::circuit, Fidelity::large_small}) {
        auto params = chip_params(fidelity, noiseless());
        params.crossbar.weight_levels = fidelity == Fidelity::large_small ? 32768 : 65536;
        params.crossbar.input_bits = 16;
        EXPECT_LT(error_of(stored_, params), 2e-3);
        params.crossbar.weight_levels = 16;
        params.crossbar.input_bits = 4;
        EXPECT_GT(error_of(stored_, params), 1e-2);
    }
}

INSTANTIATE_TEST_SUITE_P(Stored, Family, testing::ValuesIn(all_families),
                         [](const auto& family) { return std::string(family.param); });

/// A chip whose weights and whose K and V are noisy, read noise besides.
crossbar::EngineParams noisy_chip(Fidelity fidelity, device::ReadNoiseMode mode) {
    device::DeviceParams device;
    device.read_noise = mode;
    device.programming_noise_sigma = 0.05;
    return chip_params(fidelity, device);
}

/// Noise that stays with what was written, at every fidelity; and of K and V alone.
std::vector<crossbar::EngineParams> chips_with_lasting_noise() {
    std::vector<crossbar::EngineParams> chips;
    for (const Fidelity fidelity : {Fidelity::behavioural, Fidelity::sliced, Fidelity::circuit}) {
        chips.push_back(noisy_chip(fidelity, device::ReadNoiseMode::frozen));
        device::DeviceParams written;
        written.read_noise_sigma = 0;
        chips.push_back(chip_params(fidelity, written));
    }
    return chips;
}

// What was written for a token stays for the rest of the text: its noise too.
TEST(Decoding, on_noisy_crossbars_equals_the_full_forward) {
    const StoredFamily stored("gpt2");
    const auto exact = model::digital_logits(stored.model(), stored.inputs());
    for (const auto& params : chips_with_lasting_noise()) {
        Chip chip(stored.model(), params);
        const auto full = model::logits_of(stored.model(), chip.engine(), stored.inputs());
        for (std::size_t text = 0; text < 2; ++text) {
            EXPECT_GT(largest_difference(full[text], exact[text]), 0.05);  // there is noise
            for (const std::size_t piece : {1U, 3U, 19U}) {
                const Matrix pieces = decoded(stored.model(), chip.engine(), stored.inputs()[text], piece);
                EXPECT_LT(largest_difference(pieces, full[text]), 1e-4) << piece << " tokens at a time";
            }
        }
    }
}

// Draws of reads are named by token too, but the deviation that they are multiplied by is rounded relative to
// the largest cell of a column of V (read_variance.hpp), which may be a later token's: a few per cent of the
// noise, where other draws would make 140 %.
TEST(Decoding, with_fresh_reads_equals_the_full_forward_but_for_rounded_deviations) {
    const StoredFamily stored("gpt2");
    const Matrix exact = model::digital_logits(stored.model(), stored.inputs())[0];
    for (const Fidelity fidelity : {Fidelity::behavioural, Fidelity::sliced}) {
        device::DeviceParams device;
        device.write_noise_sigma = 0;
        auto params = chip_params(fidelity, device);
        params.crossbar.weight_levels = fidelity == Fidelity::sliced ? 65536 : 0;
        params.crossbar.input_bits = fidelity == Fidelity::sliced ? 16 : 0;
        Chip chip(stored.model(), params), other(stored.model(), params, 1);
        const Matrix full = model::logits_of(stored.model(), chip.engine(), stored.inputs())[0];
        const auto relative = [&](linalg::MatmulEngine& engine, std::size_t piece) {
            return (decoded(stored.model(), engine, stored.inputs()[0], piece) - full).norm() /
                   (full - exact).norm();
        };
        for (const std::size_t piece : {1U, 3U}) EXPECT_LT(relative(chip.engine(), piece), 0.05F);
        EXPECT_GT(relative(other.engine(), 3), 1.0F);
    }
}

// Decoded as a text of another number from the middle on, all rows would be written with other noise: had an
// engine drawn anew for rows that it knows, the test above would tell.
TEST(Decoding, with_other_noise_of_written_rows_is_seen) {
    const StoredFamily stored("gpt2");
    const Input text = stored.inputs()[0];
    for (const auto& params : chips_with_lasting_noise()) {
        Chip chip(stored.model(), params);
        const Matrix full =
            model::logits_of(stored.model(), chip.engine(), stored.inputs().first(1))[0].bottomRows(9);
        model::Activations activations;
        const auto second_half = [&](ImageId id) -> Matrix {
            model::KeyValueCache cache(stored.model().architecture());
            stored.model().decode(stored.beginning(0, 10), cache, chip.engine(), activations);
            return stored.model().decode({id, {}, text.tokens.last(9)}, cache, chip.engine(), activations);
        };
        EXPECT_LT(largest_difference(second_half(text.id), full), 1e-4);
        EXPECT_GT(largest_difference(second_half(ImageId(7)), full), 0.02);
    }
}

// A token that were written with the scale of all tokens would change when the next one comes.
TEST(Decoding, needs_a_scale_of_every_token) {
    const StoredFamily stored("gpt2");
    auto params = noisy_chip(Fidelity::behavioural, device::ReadNoiseMode::frozen);
    params.crossbar.written_scale = crossbar::ScaleBlock::tensor;
    Chip chip(stored.model(), params);
    const Matrix full = model::logits_of(stored.model(), chip.engine(), stored.inputs().first(1))[0];
    EXPECT_GT(largest_difference(decoded(stored.model(), chip.engine(), stored.inputs()[0], 1), full), 0.02);
}

}  // namespace
}  // namespace crossweep::trial
