// Rounding that vector loops can do on every instruction set.
#pragma once

namespace crossweep {

/// (x + rounding_shift) - rounding_shift is x rounded to the nearest integer, ties to even, for |x| < 2^22:
/// 1.5 * 2^23 leaves no bits for fractions. Not for files compiled with -ffast-math.
inline constexpr float rounding_shift = 12582912.0F;

}  // namespace crossweep
