// Outputs of the engine under test in image after image, or trial after trial.
// Which of them are looked at, scenario.hpp says.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "crossbar/scenario.hpp"
#include "crossweep/crossbar/crossbar_engine.hpp"

namespace crossweep::crossbar {

/// The simulator under test, seen as the brute force sees itself.
class EngineSampler {
  public:
    EngineSampler(const Scenario& scenario, const Block& block) : scenario_(scenario), block_(block) {
        weights_.push_back({LayerId(3), linalg::Role::query, 2, static_cast<std::size_t>(Block::head_width),
                            linalg::const_view(block.weights)});
        params_.crossbar = scenario.crossbar;
        params_.transform = scenario.transform;
        for (std::size_t role = 0; role < linalg::role_count; ++role) {
            const bool looked_at = is_looked_at(static_cast<linalg::Role>(role));
            params_.operands[role] = {looked_at ? scenario.fidelity : Fidelity::digital, scenario.device};
        }
        build(0);
    }

    Samples sample(std::size_t count) {
        const bool by_trial =
            scenario_.sampled == Sampled::trials || draws_per_chip(params_.operands, scenario_.crossbar);
        Samples samples{output_names(scenario_), std::vector<std::vector<double>>(8)};
        for (std::uint32_t i = 0; i < count; ++i) {
            if (by_trial) build(i);
            engine_->begin_image(ImageId(by_trial ? 0 : i));
            const std::array<linalg::Matrix, 2> products = multiply();
            for (std::size_t output = 0; output < 8; ++output) {
                const auto [read, head, column] = samples.names[output];
                samples.of_output[output].push_back(static_cast<double>(
                    products[head](static_cast<Eigen::Index>(read), static_cast<Eigen::Index>(column))));
            }
        }
        return samples;
    }

  private:
    bool is_looked_at(linalg::Role role) const {
        switch (scenario_.operand) {
            case Operand::keys:
                return role == linalg::Role::written_keys;
            case Operand::values:
                return role == linalg::Role::written_values;
            default:
                return !linalg::is_written(role);
        }
    }

    void build(std::uint32_t trial) {
        const StreamKey key{20240611, trial};
        programmed_ = program_weights(weights_, params_.operands, params_.crossbar, key);
        engine_.emplace(weights_, programmed_, params_, key);
    }

    /// The products of both heads or parts.
    std::array<linalg::Matrix, 2> multiply() {
        const auto tokens = Block::tokens, width = Block::head_width, outputs = Block::part_outputs;
        if (scenario_.operand == Operand::weights) {
            linalg::Matrix y(2 * tokens, outputs);
            engine_->multiply(0, linalg::const_view(block_.x), linalg::view(y));
            return {y.topRows(tokens), y.bottomRows(tokens)};
        }
        std::array<linalg::Matrix, 2> products;
        engine_->write(LayerId(3), 2, linalg::const_view(block_.keys), linalg::const_view(block_.values));
        for (std::size_t head = 0; head < 2; ++head) {
            const auto first = static_cast<Eigen::Index>(head) * width;
            if (scenario_.operand == Operand::keys) {
                products[head].resize(tokens, tokens);
                engine_->read_keys(head, linalg::columns_of(block_.queries, first, width),
                                   linalg::view(products[head]));
            } else {
                products[head].resize(tokens, width);
                engine_->read_values(head, linalg::const_view(block_.probabilities),
                                     linalg::view(products[head]));
            }
        }
        return products;
    }

    const Scenario scenario_;
    const Block& block_;
    EngineParams params_;
    std::vector<linalg::StationaryWeight> weights_;
    std::vector<ProgrammedWeight> programmed_;
    std::optional<CrossbarEngine> engine_;
};

}  // namespace crossweep::crossbar
