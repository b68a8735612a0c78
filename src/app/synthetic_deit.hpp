// A DeiT-S with random weights and random images: what benchmarks run, without a download.
#pragma once

#include <filesystem>

namespace crossweep::app {

/// `weights` (88 MB of safetensors) and `images` (HDF5) in a temporary folder that lives as long as this.
class SyntheticDeit {
  public:
    /// `depth` encoder blocks (DeiT-S has 12), weights of a variance that keeps activations of order one;
    /// `count` images of 224 x 224 x 3.
    SyntheticDeit(std::size_t count, std::size_t depth);
    ~SyntheticDeit();
    SyntheticDeit(const SyntheticDeit&) = delete;
    SyntheticDeit& operator=(const SyntheticDeit&) = delete;

    std::filesystem::path weights() const { return folder_ / "weights.safetensors"; }
    std::filesystem::path images() const { return folder_ / "images.h5"; }

  private:
    std::filesystem::path folder_;
};

}  // namespace crossweep::app
