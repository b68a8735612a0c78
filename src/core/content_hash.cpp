#include "crossweep/core/content_hash.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <new>

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

struct HashStream::State {
    std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> owned{XXH3_createState(), XXH3_freeState};
};

HashStream::HashStream() : state_(std::make_unique<State>()) {
    if (state_->owned == nullptr) throw std::bad_alloc();
    XXH3_128bits_reset(state_->owned.get());
}

HashStream::~HashStream() = default;
HashStream::HashStream(HashStream&&) noexcept = default;
HashStream& HashStream::operator=(HashStream&&) noexcept = default;

void HashStream::add(std::span<const std::byte> bytes) {
    XXH3_128bits_update(state_->owned.get(), bytes.data(), bytes.size());
}

ContentHash HashStream::digest() const {
    const XXH128_hash_t digest = XXH3_128bits_digest(state_->owned.get());
    return {digest.high64, digest.low64};
}

}  // namespace crossweep
