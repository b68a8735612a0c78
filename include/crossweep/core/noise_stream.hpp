// Randomness by identity: which number is drawn depends on what it is drawn for, never on rank, order or
// batch. Philox4x32-10 (Salmon et al., SC'11). Key = (study seed, trial); counter = (site and layer, image,
// row, element).
#pragma once

#include <array>
#include <cstdint>

#include "crossweep/core/strong_id.hpp"

namespace crossweep {

/// What a random number is drawn for. The numeric values are part of every stored result: append, never
/// renumber.
enum class NoiseSite : std::uint8_t {
    weight_programming = 1,  ///< chip level: error of programming a stationary weight
    weight_read = 2,         ///< chip level, frozen: read noise of a stationary weight
    product_read = 3,        ///< per read: noise of one output of a stationary product
    operand_write = 4,       ///< per image: write noise of K or V
    operand_read = 5,        ///< per image, frozen: read noise of K or V
    score_read = 6,          ///< per read: noise of one element of Q K^T
    context_read = 7,        ///< per read: noise of one element of S V
    cell_g_min = 8,          ///< chip level: deviation of a cell's G_min
    cell_g_max = 9,          ///< chip level: deviation of a cell's G_max
    cell_fault = 10,         ///< chip level: whether a cell is stuck
    cell_drift = 11,         ///< chip level: deviation of a cell's drift exponent
    operand_rewrite = 12,    ///< per image: write noise of a repeated write; the operand carries its number
    adc_gain = 13,           ///< chip level: gain error of a column's converter
    adc_offset = 14,         ///< chip level: offset error of a column's converter
    telegraph = 15,          ///< per read: states of the cells that one conversion sums up, a bit each
};

/// The key of all draws of one trial.
struct StreamKey {
    std::uint32_t seed = 0;
    std::uint32_t trial = 0;
};

/// The three counter words that are the same along one row of draws; the fourth counts elements.
struct DrawIdentity {
    std::uint32_t site_layer_operand = 0;
    std::uint32_t image = 0;
    std::uint32_t row = 0;
};

[[noreturn]] void refuse_draw(LayerId layer, std::uint32_t operand);

/// Name the draws of row `row` of operand `operand` in layer `layer`.
/// `image` is 0 for chip-level draws and the image's index + 1 otherwise.
/// Throws InternalError if layer >= 2^16 or operand >= 2^8 (they share a counter word with the site).
inline DrawIdentity draw_identity(NoiseSite site, LayerId layer, std::uint32_t operand, std::uint32_t image,
                                  std::uint32_t row) {
    if (layer.value() >= (1U << 16) || operand >= (1U << 8)) refuse_draw(layer, operand);
    return {static_cast<std::uint32_t>(site) << 24 | operand << 16 | layer.value(), image, row};
}

/// One Philox4x32-10 block, by Random123; the reference that the vectorised fill is tested against.
std::array<std::uint32_t, 4> philox_block(StreamKey key, DrawIdentity draw, std::uint32_t element_block);

}  // namespace crossweep
