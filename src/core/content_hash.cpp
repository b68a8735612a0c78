#include "crossweep/core/content_hash.hpp"

#include <fmt/format.h>
#include <xxhash.h>

namespace crossweep {

std::string ContentHash::hex() const {
    return fmt::format("{:016x}{:016x}", high, low);
}

ContentHash hash_bytes(std::span<const std::byte> bytes) {
    const XXH128_hash_t digest = XXH3_128bits(bytes.data(), bytes.size());
    return {digest.high64, digest.low64};
}

ContentHash hash_text(std::string_view text) {
    return hash_bytes(std::as_bytes(std::span(text)));
}

}  // namespace crossweep
