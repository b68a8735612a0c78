#!/usr/bin/env python3
"""Fit the polynomials of src/linalg/normal_quantile_table.hpp and print that file, and to stderr their largest error.

A random word w, as a signed number, becomes the normal of its sign whose size is the quantile of u = |w| / 2^32. In
each octave of |w| a polynomial of the mantissa m in [1, 2), in t = m - 1.5, stands for it. The exact quantile is
Wichura's algorithm AS 241 (Applied Statistics 37, 1988; relative error 1e-16), as Python's statistics module has it."""

import sys
from statistics import NormalDist

import numpy as np

DEGREE = 6
COLUMNS = 32  # octaves 2^0 to 2^31; column p is octave p + 1 modulo 32, the low bits of the exponent field of |w|
NODES = 64  # of the fit, per octave; more change nothing
HEAD = """\
// The normal quantile in 32 octaves, for normal_kernel.hpp. Printed by analysis/fit_normal_quantile.py.
#pragma once

#include <cstddef>

namespace crossweep::linalg {{

inline constexpr std::size_t quantile_terms = {terms}, quantile_octaves = {octaves};

/// Coefficient [n][p] of t^n where the exponent of |w| is p + 1 modulo 32.
// clang-format off
alignas(64) inline constexpr float quantile_table[quantile_terms][quantile_octaves] = {{
{rows}
}};
// clang-format on

}}  // namespace crossweep::linalg
"""


def exact_sizes(magnitudes):
    """|z| of words of these magnitudes, real numbers in [1, 2^31]."""
    quantile = NormalDist().inv_cdf
    return np.array([-quantile(magnitude / 2**32) for magnitude in magnitudes])


def fitted_table():
    """[degree + 1, column] in fp32."""
    table = np.zeros((DEGREE + 1, COLUMNS))
    nodes = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)  # Chebyshev's: least squares there is all but minimax
    for octave in range(31):
        sizes = exact_sizes(2.0**octave * (1.5 + nodes / 2))
        in_nodes = np.polynomial.chebyshev.cheb2poly(np.polynomial.chebyshev.chebfit(nodes, sizes, DEGREE))
        table[:, (octave - 1) % COLUMNS] = in_nodes * 2.0 ** np.arange(DEGREE + 1)  # node = 2 t
    return table.astype(np.float32)  # octave 31 holds one word, u = 1/2: zeros


def sizes_in_fp32(table, magnitudes):
    """|z| of integer magnitudes with the operations of normal_kernel.hpp, each rounded to fp32 as there."""
    bits = magnitudes.astype(np.float32).view(np.uint32)
    t = ((bits & 0x7FFFFF) | 0x3F800000).view(np.float32) - np.float32(1.5)
    c = table[:, (bits >> 23) % COLUMNS]
    square = t * t
    return ((c[6] * square + (c[5] * t + c[4])) * square + (c[3] * t + c[2])) * square + (c[1] * t + c[0])


def largest_error(table, per_octave=20_000):
    """Over all words of small octaves, and evenly spaced ones with both ends of large ones."""
    largest = 0.0
    for octave in range(31):
        count = min(2**octave, per_octave)
        magnitudes = np.unique(np.linspace(2**octave, 2 ** (octave + 1) - 1, count).round().astype(np.int64))
        difference = sizes_in_fp32(table, magnitudes) - exact_sizes(magnitudes)
        largest = max(largest, np.abs(difference).max())
    return largest


def source_of(table):
    """The text of normal_quantile_table.hpp."""
    rows = []
    for coefficients in table:
        literals = [f"{value:.8e}F" for value in coefficients]
        lines = ["     " + ", ".join(literals[i:i + 4]) for i in range(0, COLUMNS, 4)]
        rows.append("    {" + ",\n".join(lines)[5:] + "},")
    return HEAD.format(terms=DEGREE + 1, octaves=COLUMNS, rows="\n".join(rows))


if __name__ == "__main__":
    fitted = fitted_table()
    sys.stdout.write(source_of(fitted))
    print(f"largest error of |z|: {largest_error(fitted):.2e}", file=sys.stderr)
