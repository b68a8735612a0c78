// Integer identifiers that cannot be mixed up: an image is not a trial.
#pragma once

#include <compare>
#include <cstdint>

namespace crossweep {

/// An opaque 32-bit index; `Tag` names what it counts.
template <class Tag>
class StrongId {
  public:
    constexpr StrongId() = default;
    constexpr explicit StrongId(std::uint32_t value) : value_(value) {}
    constexpr std::uint32_t value() const { return value_; }
    constexpr auto operator<=>(const StrongId&) const = default;

  private:
    std::uint32_t value_ = 0;
};

using PointId = StrongId<struct PointTag>;  ///< a point of the study, in plan order
using TrialId = StrongId<struct TrialTag>;  ///< a chip with its noise
using ShardId = StrongId<struct ShardTag>;  ///< a contiguous range of the study's images
using ImageId = StrongId<struct ImageTag>;  ///< an image by its index in the data set file
using LayerId = StrongId<struct LayerTag>;  ///< an encoder block

}  // namespace crossweep
