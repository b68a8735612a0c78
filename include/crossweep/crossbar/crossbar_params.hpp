// How matrices are laid onto crossbars.
#pragma once

#include <cstdint>

namespace crossweep::crossbar {

/// Over which part of a matrix one largest magnitude W_max maps to G_max.
enum class ScaleBlock {
    tensor,  ///< the whole matrix; for K and V all heads of one (image, layer)
    head,    ///< one attention head
    column,  ///< one crossbar column, that is one output
    tile,    ///< one array of array_rows x array_columns
};

/// Over which part of the inputs one scale maps to the largest input code.
enum class InputScale {
    token,   ///< one input vector
    tensor,  ///< all input vectors of one product
};

struct CrossbarParams {
    std::uint32_t weight_levels = 256;  ///< conductance levels per magnitude, sign aside; 0 = continuous
    std::uint32_t input_bits = 8;       ///< signed, symmetric; 0 = continuous
    ScaleBlock weight_scale = ScaleBlock::tensor;
    ScaleBlock written_scale = ScaleBlock::tensor;
    InputScale input_scale = InputScale::token;
    std::uint32_t array_rows = 64;
    std::uint32_t array_columns = 64;

    bool operator==(const CrossbarParams&) const = default;
};

}  // namespace crossweep::crossbar
