// One chip, the operands that are put on it, and the outputs that the tests of shortcuts look at: what the
// engine and the brute force have in common.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "crossbar/moments.hpp"
#include "crossweep/crossbar/crossbar_params.hpp"
#include "crossweep/transform/transform_params.hpp"
#include "linalg/normal_matrix.hpp"

namespace crossweep::crossbar {

/// The operand that a case looks at.
enum class Operand { weights, keys, values };

/// Whether samples differ by their image or by their trial. Draws of the chip always take another trial.
enum class Sampled { images, trials };

/// Which chip computes the products.
struct Scenario {
    Operand operand = Operand::weights;
    Fidelity fidelity = Fidelity::behavioural;
    device::DeviceParams device;
    CrossbarParams crossbar;
    transform::TransformParams transform;
    Sampled sampled = Sampled::images;
    std::size_t images = 10'000;                   ///< n
    std::array<Eigen::Index, 2> columns = {0, 1};  ///< outputs of every product that are looked at
};

/// Operands of a small block: 4 tokens, two heads (or parts) of width 6.
struct Block {
    static constexpr Eigen::Index tokens = 4, head_width = 6, width = 2 * head_width, part_outputs = 4;
    static constexpr std::array<Eigen::Index, 2> reads = {0, 3};  ///< rows of a product that are looked at

    linalg::Matrix x = numbers(tokens, head_width, 1);
    linalg::Matrix weights = numbers(2 * part_outputs, head_width, 2);
    linalg::Matrix queries = numbers(tokens, width, 3);
    linalg::Matrix keys = numbers(tokens, width, 4);
    linalg::Matrix values = numbers(tokens, width, 5);
    linalg::Matrix probabilities = linalg::normal_matrix(tokens, tokens, 6).cwiseAbs();

  private:
    /// More positive than negative, so that outputs have devices of the same planes and cycles.
    static linalg::Matrix numbers(Eigen::Index rows, Eigen::Index columns, std::uint32_t name) {
        return (linalg::normal_matrix(rows, columns, name).array() + 1).matrix();
    }
};

/// The outputs that every image gives: `Block::reads` rows of the products of both heads.
inline std::vector<OutputName> output_names(const Scenario& scenario) {
    std::vector<OutputName> names;
    for (const auto read : Block::reads) {
        for (std::size_t head = 0; head < 2; ++head) {
            for (const auto column : scenario.columns)
                names.push_back({static_cast<std::size_t>(read), head, static_cast<std::size_t>(column)});
        }
    }
    return names;
}

}  // namespace crossweep::crossbar
