#include "crossweep/crossbar/cell_layout.hpp"

#include <algorithm>
#include <bit>

#include "crossweep/core/error.hpp"
#include "crossweep/core/multiversion.hpp"

namespace crossweep::crossbar {
namespace {

/// Digit of sign * code + shift where that is not negative, else 0.
CROSSWEEP_MULTIVERSION
void digit_kernel(const float* __restrict code, const float* __restrict signs, float sign, float shift,
                  std::uint32_t lowest_bit, std::int32_t mask, float* __restrict digit, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const float signed_code = (signs[i] < 0.0F ? -sign : sign) * code[i] + shift;
        const auto kept = static_cast<std::int32_t>(signed_code > 0.0F ? signed_code : 0.0F);
        digit[i] = static_cast<float>((kept >> lowest_bit) & mask);
    }
}

}  // namespace

CellLayout cell_layout(Fidelity fidelity, Mapping mapping, std::uint32_t bits_per_cell, float largest_code,
                       float full_code) {
    if (fidelity == Fidelity::behavioural) return {{Plane{}}, 1, full_code, full_code, 0};
    CROSSWEEP_EXPECT(fidelity != Fidelity::digital && bits_per_cell >= 1);
    const bool shifted = mapping == Mapping::offset;
    const auto top = static_cast<std::uint32_t>(shifted ? 2 * largest_code : largest_code);
    CellLayout layout;
    layout.slices =
        std::max(1U, (static_cast<std::uint32_t>(std::bit_width(top)) + bits_per_cell - 1) / bits_per_cell);
    layout.largest_digit = static_cast<float>((1U << bits_per_cell) - 1);
    layout.largest_code = largest_code;
    layout.shift = shifted ? largest_code : 0;
    for (std::uint32_t slice = 0; slice < layout.slices; ++slice) {
        const std::uint32_t lowest_bit = slice * bits_per_cell;
        const auto significance = static_cast<float>(1U << lowest_bit);
        const auto add = [&](PlaneSign sign, float signed_significance) {
            layout.planes.push_back({static_cast<std::uint32_t>(layout.planes.size()), slice, lowest_bit,
                                     sign, signed_significance});
        };
        if (shifted) {
            add(PlaneSign::shifted, significance);
        } else {
            add(PlaneSign::positive, significance);
            add(PlaneSign::negative, -significance);
        }
    }
    return layout;
}

void to_digit(const CellLayout& layout, const Plane& plane, std::span<const float> code,
              std::span<const float> signs, std::span<float> digit) {
    CROSSWEEP_EXPECT(code.size() == signs.size() && code.size() == digit.size());
    if (plane.sign == PlaneSign::of_weight) {
        std::copy(code.begin(), code.end(), digit.begin());
        return;
    }
    digit_kernel(code.data(), signs.data(), plane.sign == PlaneSign::negative ? -1.0F : 1.0F, layout.shift,
                 plane.lowest_bit, static_cast<std::int32_t>(layout.largest_digit), digit.data(),
                 digit.size());
}

}  // namespace crossweep::crossbar
