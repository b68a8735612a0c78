// Which cells hold a magnitude code and its sign: bit slices and signs make planes, each with one cell per
// weight.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "crossweep/crossbar/crossbar_params.hpp"

namespace crossweep::crossbar {

/// How the cells of one plane carry signs.
enum class PlaneSign {
    of_weight,  ///< kept aside: the cell holds the magnitude of every weight (behavioural level)
    positive,   ///< the cell holds the digit of positive weights, 0 for others
    negative,   ///< the same for negative weights; counts with a minus
    shifted,    ///< the cell holds a digit of code + shift, which is not negative
};

/// One cell per weight, with one digit of its code.
struct Plane {
    std::uint32_t number = 0;  ///< names the draws of its cells
    std::uint32_t slice = 0;
    std::uint32_t lowest_bit = 0;  ///< of the code
    PlaneSign sign = PlaneSign::of_weight;
    /// Weight codes that one level of its cells stands for: 2^lowest_bit, negative for the negative plane.
    float significance = 1;
};

struct CellLayout {
    std::vector<Plane> planes;
    std::uint32_t slices = 1;
    float largest_digit = 1;  ///< the digit that a cell at G_max holds
    float largest_code = 1;   ///< magnitude that the slices can hold
    float shift = 0;          ///< added to every signed code before it is cut into digits
};

/// `bits_per_cell` matters at sliced and circuit level only. `largest_code` is the largest magnitude code
/// that can occur, which decides how many slices there are; `full_code` is the code of W_max.
CellLayout cell_layout(Fidelity fidelity, Mapping mapping, std::uint32_t bits_per_cell, float largest_code,
                       float full_code);

/// Digits that the cells of `plane` hold for magnitude codes with the signs of `signs`. Codes are integers
/// but for the one plane of the behavioural level, where digit = code.
void to_digit(const CellLayout& layout, const Plane& plane, std::span<const float> code,
              std::span<const float> signs, std::span<float> digit);

}  // namespace crossweep::crossbar
