#include "crossweep/core/noise_stream.hpp"

#include <Random123/philox.h>
#include <fmt/format.h>

#include "crossweep/core/error.hpp"

namespace crossweep {

DrawIdentity draw_identity(NoiseSite site, LayerId layer, std::uint32_t operand, std::uint32_t image,
                           std::uint32_t row) {
    if (layer.value() >= (1U << 16) || operand >= (1U << 8)) {
        throw InternalError(
            fmt::format("layer {} or operand {} is outside the random stream's range (2^16, 2^8)",
                        layer.value(), operand));
    }
    return {static_cast<std::uint32_t>(site) << 24 | operand << 16 | layer.value(), image, row};
}

std::array<std::uint32_t, 4> philox_block(StreamKey key, DrawIdentity draw, std::uint32_t element_block) {
    const auto block = r123::Philox4x32()({{draw.site_layer_operand, draw.image, draw.row, element_block}},
                                          {{key.seed, key.trial}});
    return {block[0], block[1], block[2], block[3]};
}

}  // namespace crossweep
