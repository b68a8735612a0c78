// Content hashes: 128 bits that name what a value is, whatever machine or order produced it.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace crossweep {

/// A 128-bit XXH3 digest. Not cryptographic: it guards against mix-ups, not against forgery.
struct ContentHash {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    auto operator<=>(const ContentHash&) const = default;
    /// 32 lower-case hexadecimal digits.
    std::string hex() const;
};

ContentHash hash_bytes(std::span<const std::byte> bytes);
ContentHash hash_text(std::string_view text);

/// Gives what `hash_bytes` gives of all bytes together, from pieces.
class HashStream {
  public:
    HashStream();
    ~HashStream();
    HashStream(HashStream&&) noexcept;
    HashStream& operator=(HashStream&&) noexcept;

    void add(std::span<const std::byte> bytes);
    ContentHash digest() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace crossweep

template <>
struct std::hash<crossweep::ContentHash> {
    std::size_t operator()(const crossweep::ContentHash& content) const { return content.low; }
};
