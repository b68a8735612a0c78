// Everything that decides the numbers of one point, as plain data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "crossweep/crossbar/crossbar_params.hpp"
#include "crossweep/transform/transform_params.hpp"

namespace crossweep::trial {

struct ModelParams {
    std::filesystem::path weights;  ///< safetensors file with timm's names
    std::uint32_t num_heads = 0;    ///< 0: as the file's metadata says, else width / 64

    bool operator==(const ModelParams&) const = default;
};

/// Which images of the data set a study uses.
enum class ImageChoice {
    first,   ///< the first `count`
    spread,  ///< `count` at equal distances
    random,  ///< `count` drawn without replacement from the study seed, in file order
};

struct DataParams {
    std::filesystem::path images;  ///< IDX (gzip or plain) or HDF5
    std::filesystem::path labels;  ///< with IDX only
    std::uint32_t count = 0;       ///< 0: all
    ImageChoice choice = ImageChoice::first;
    std::uint32_t shard_images = 50;  ///< images of one unit of work
    std::vector<double> mean, std;    ///< per channel; empty: as the data set or else the weights say
};

/// One point of a study.
struct PointParams {
    ModelParams model;
    crossbar::CrossbarParams crossbar;
    transform::TransformParams transform;
    crossbar::OperandTable operands;
};

}  // namespace crossweep::trial
