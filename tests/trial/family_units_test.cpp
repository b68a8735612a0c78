// Units of every family: what records say of texts, and of tokens that a predictor keeps or drops under
// noise.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "crossweep/crossbar/crossbar_engine.hpp"
#include "crossweep/trial/unit_runner.hpp"
#include "trial/family_study.hpp"

namespace crossweep::trial {
namespace {

constexpr std::uint32_t seed = 11;

/// Records of points and, last, of the reference.
std::vector<io::Record> records_of(const Experiment& experiment) {
    WorkUnit unit{TrialId(0), ShardId(0), {}};
    for (std::uint32_t point = 0; point <= experiment.points(); ++point) unit.points.emplace_back(point);
    return UnitRunner(experiment, seed, 5).run(unit);
}

class FamilyUnit : public testing::TestWithParam<const char*> {};

TEST_P(FamilyUnit, ideal_point_equals_the_reference) {
    const FamilyStudy study(GetParam());
    PointParams ideal = study.point();
    for_every_device(ideal, [](auto& device) { device.read_noise_sigma = device.write_noise_sigma = 0; });
    ideal.crossbar.weight_levels = ideal.crossbar.input_bits = 0;
    const Experiment experiment(study.data, seed, {ideal, study.point()});
    const auto records = records_of(experiment);
    const io::Record &of_ideal = records[0], &noisy = records[1], &reference = records[2];
    EXPECT_EQ(of_ideal.predicted, reference.predicted);
    for (std::size_t i = 0; i < reference.images; ++i) {
        EXPECT_NEAR(of_ideal.margin[i], reference.margin[i], 1e-4);
        EXPECT_NEAR(of_ideal.loss[i], reference.loss[i], 1e-4);
        EXPECT_NE(noisy.margin[i], reference.margin[i]);
    }
    for (std::size_t layer = 0; layer < of_ideal.signal.size(); ++layer) {
        EXPECT_LT(of_ideal.noise[layer], 1e-8 * of_ideal.signal[layer]);
        EXPECT_GT(noisy.noise[layer], 1e-4 * noisy.signal[layer]);
    }
}

TEST_P(FamilyUnit, batch_size_changes_no_bit) {
    const FamilyStudy study(GetParam());
    const Experiment experiment(study.data, seed, {study.point()});
    const auto run = [&](std::size_t batch) {
        auto records = UnitRunner(experiment, seed, batch).run({TrialId(1), ShardId(0), {PointId(0)}});
        records[0].seconds = 0;
        return io::pack(records);
    };
    EXPECT_EQ(run(1), run(5));
}

INSTANTIATE_TEST_SUITE_P(Stored, FamilyUnit,
                         testing::Values("lv_vit", "sparse_vit", "sparse_lv_vit", "bert", "gpt2"),
                         [](const auto& family) { return std::string(family.param); });

// Every token of a text but the first one is an answer; the loss is the mean of their surprises.
TEST(LanguageModelUnit, counts_every_token_that_is_told) {
    const FamilyStudy study("gpt2");
    const model::StoredFamily stored("gpt2");
    const Experiment experiment(study.data, seed, {study.point()});
    const io::Record reference = records_of(experiment)[1];
    EXPECT_EQ(reference.images, 2U);
    EXPECT_EQ(reference.predictions, 18U);
    std::uint32_t right = 0;
    for (std::size_t text = 0; text < 2; ++text) {
        const linalg::Matrix logits =
            stored.expected("logits_19").middleRows(static_cast<Eigen::Index>(19 * text), 19);
        double loss = 0;
        for (Eigen::Index i = 0; i < 18; ++i) {
            const auto next =
                static_cast<Eigen::Index>(stored.inputs()[text].tokens[static_cast<std::size_t>(i) + 1].id);
            loss += std::log(logits.row(i).cast<double>().array().exp().sum()) -
                    static_cast<double>(logits(i, next));
            Eigen::Index best = 0;
            logits.row(i).maxCoeff(&best);
            right += best == next ? 1 : 0;
        }
        EXPECT_NEAR(reference.loss[text], loss / 18, 1e-5);
    }
    EXPECT_EQ(reference.correct_top1, right);
}

TEST(ClassifiedTextUnit, answers_are_those_of_pytorch) {
    const FamilyStudy study("bert");
    const model::StoredFamily stored("bert");
    const Experiment experiment(study.data, seed, {study.point()});
    const io::Record reference = records_of(experiment)[1];
    const linalg::Matrix logits = stored.expected("logits");
    for (std::size_t text = 0; text < 4; ++text) {
        const auto row = static_cast<Eigen::Index>(text);
        Eigen::Index best = 0;
        logits.row(row).maxCoeff(&best);
        EXPECT_EQ(reference.predicted[text], best);
        linalg::Matrix others = logits.row(row);
        others(0, row) = -HUGE_VALF;  // text i has class i
        EXPECT_NEAR(reference.margin[text], logits(row, row) - others.maxCoeff(), 1e-4);
    }
}

/// Attention of every image and layer, with the tokens that it was of.
struct Seen {
    linalg::Matrix values;
    std::vector<std::uint32_t> tokens;
};
using SeenByImage = std::vector<std::vector<Seen>>;

SeenByImage attention_of(const model::Transformer& network, linalg::MatmulEngine& engine,
                         std::span<const model::Input> inputs) {
    SeenByImage seen(inputs.size(), std::vector<Seen>(network.architecture().depth));
    model::logits_of(network, engine, inputs, [&](const model::AttentionOutput& attention) {
        seen[attention.image][attention.layer.value()] = {attention.values,
                                                          {attention.tokens.begin(), attention.tokens.end()}};
    });
    return seen;
}

struct Sums {
    double signal = 0, noise = 0;
    std::size_t other_tokens = 0;  ///< that one of the two kept alone
};

/// Of the tokens that both have.
void add(const Seen& reference, const Seen& noisy, Sums& sums) {
    for (std::size_t i = 0; i < reference.tokens.size(); ++i) {
        const auto found = std::ranges::find(noisy.tokens, reference.tokens[i]);
        if (found == noisy.tokens.end()) {
            ++sums.other_tokens;
            continue;
        }
        const linalg::Matrix exact = reference.values.row(static_cast<Eigen::Index>(i));
        const linalg::Matrix found_values = noisy.values.row(found - noisy.tokens.begin());
        sums.signal += exact.cast<double>().squaredNorm();
        sums.noise += (exact - found_values).cast<double>().squaredNorm();
    }
}

TEST(KeptTokens, signal_and_noise_are_of_the_tokens_that_both_kept) {
    const FamilyStudy study("sparse_vit");
    const PointParams point = study.point();
    const Experiment experiment(study.data, seed, {point});
    const model::Transformer& network = experiment.model(0).network;
    std::vector<PreparedInput> prepared(experiment.images().size());
    std::vector<model::Input> inputs;
    for (std::uint32_t i = 0; i < prepared.size(); ++i) {
        experiment.inputs().prepare(i, experiment.model(0).normalisation, prepared[i]);
        inputs.push_back(prepared[i].input);
    }
    linalg::DigitalEngine digital(network.stationary_weights());
    const auto chip =
        crossbar::program_weights(network.stationary_weights(), point.operands, point.crossbar, {seed, 0});
    crossbar::CrossbarEngine noisy(network.stationary_weights(), chip,
                                   {point.crossbar, point.transform, point.operands}, {seed, 0});
    const auto reference = attention_of(network, digital, inputs),
               found = attention_of(network, noisy, inputs);
    std::vector<Sums> sums(network.architecture().depth);
    for (std::size_t image = 0; image < inputs.size(); ++image)
        for (std::size_t layer = 0; layer < sums.size(); ++layer)
            add(reference[image][layer], found[image][layer], sums[layer]);
    EXPECT_GT(sums[1].other_tokens + sums[2].other_tokens + sums[3].other_tokens, 0U);  // noise chose others

    const io::Record record = records_of(experiment)[0];
    ASSERT_EQ(record.images, inputs.size());
    for (std::size_t layer = 0; layer < sums.size(); ++layer) {
        EXPECT_NEAR(record.signal[layer], sums[layer].signal, 1e-6 * sums[layer].signal);
        EXPECT_NEAR(record.noise[layer], sums[layer].noise, 1e-6 * sums[layer].noise);
    }
}

}  // namespace
}  // namespace crossweep::trial
