// Everything that decides the numbers of one point, as plain data.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "crossweep/crossbar/crossbar_params.hpp"
#include "crossweep/transform/transform_params.hpp"

namespace crossweep::trial {

struct ModelParams {
    std::filesystem::path weights;  ///< safetensors file with its published names
    std::uint32_t num_heads = 0;    ///< 0: as the file's metadata says, else width / 64
    double keep_ratio = 0;          ///< of DynamicViT's first predictor; 0: as the metadata says, else 0.7

    bool operator==(const ModelParams&) const = default;
};

/// Which images of the data set a study uses.
enum class ImageChoice {
    first,   ///< the first `count`
    spread,  ///< `count` at equal distances
    random,  ///< `count` drawn without replacement from the study seed, in file order
};

/// Images or texts; where a name says image, a text counts as one.
struct DataParams {
    std::filesystem::path images;  ///< IDX (gzip or plain) or HDF5
    std::filesystem::path labels;  ///< with IDX only
    std::filesystem::path texts;   ///< HDF5 of analysis/prepare_text.py
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
