#include "crossweep/core/noise_stream.hpp"

#include <Random123/philox.h>
#include <fmt/format.h>

#include "crossweep/core/error.hpp"

namespace crossweep {

void refuse_draw(LayerId layer, std::uint32_t operand) {
    throw InternalError(fmt::format("layer {} or operand {} is outside the random stream's range (2^16, 2^8)",
                                    layer.value(), operand));
}

std::array<std::uint32_t, 4> philox_block(StreamKey key, DrawIdentity draw, std::uint32_t element_block) {
    const auto block = r123::Philox4x32()({{draw.site_layer_operand, draw.image, draw.row, element_block}},
                                          {{key.seed, key.trial}});
    return {block[0], block[1], block[2], block[3]};
}

}  // namespace crossweep
