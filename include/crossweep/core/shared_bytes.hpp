// Bytes together with whatever keeps them alive: the mapping of a file, memory that the ranks of a node
// share.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

namespace crossweep {

struct SharedBytes {
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner;
};

/// The elements of `container`, a vector or a string, kept alive by the result.
template <class Container>
SharedBytes own_bytes(Container container) {
    const auto owner = std::make_shared<const Container>(std::move(container));
    return {std::as_bytes(std::span(*owner)), owner};
}

}  // namespace crossweep
