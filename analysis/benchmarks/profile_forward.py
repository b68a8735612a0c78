#!/usr/bin/env python3
"""Where the time of a noisy DeiT-S forward goes: perf's samples of `crossweep bench --only CASE` by part.

    analysis/benchmarks/profile_forward.py [--only per_read] [--program build/release/bin/crossweep]

Needs perf (Debian: linux-perf). Prints the share of every part and the milliseconds per image that it stands for.
"""
import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The first pattern that fits names the part; a sample that fits none counts as unaccounted.
PARTS = [
    ("products of integers: means", r"multiply_(tile_)?\w+<\d+, short|multiply_block"),
    ("products of integers: variances", r"multiply_tile_\w+<\d+, unsigned char"),
    ("products in fp32 (oneDNN)", r"^\[JIT\]|libdnnl|itt_pt|dnnl|linalg::\(anonymous namespace\)::run|Multiplier::operator|PackedMatrix"),
    ("normals", r"fill_groups|fill_normal|fill_words|words_to_normals|draw_identity"),
    ("counting of bits, conversion (circuit)", r"read_avx|read_portable|convert_(in|with|kernel)|AdcBank|CircuitMultiplier|pack_|DigitMasks"),
    ("noise onto sums", r"add_noise|weigh_kernel|LinearMultiplier|read_noise"),
    ("conversion of inputs", r"quantise|Quantiser|value_kernel|largest|energy_kernel|Energies|InputConverter|word_kernel|digit_kernel"
                             r"|crossbar::\(anonymous namespace\)::square_kernel"),
    ("K and V onto cells", r"siemens|amplitude|clipformer_kernel|proportional_kernel|add_weight|add_square|code_kernel"
                           r"|conductance|SquaredAmplitudes|store|CellWriter|Cells::|map_|BandScale|to_code|to_digit"
                           r"|sign_kernel|device::|transform::"),
    ("softmax, GELU, LayerNorm, residuals", r"softmax|gelu|layer_norm|residual_row|add_row|erff|expf|add_bias"),
    ("signal and noise of attention", r"square_sums|Function_handler"),
    ("images, copies", r"normalise|embed|memmove|memset|memcpy|forward|attend"),
    ("memory management and kernel", r"^\[k\]|malloc|free|operator new"),
]


def samples(program: Path, only: str, seconds: float):
    """(symbol, samples) pairs of a run, from after its start-up on, and what the program printed."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "perf.data"
        run = subprocess.run(["perf", "record", "-q", "-F", "1999", "--delay", "1500", "-o", data, program, "bench",
                              "--only", only, "--seconds", str(seconds)], capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"perf record failed: {run.stderr.strip()}")
        report = subprocess.run(["perf", "report", "-i", data, "--no-children", "--stdio", "-q", "--percent-limit", "0",
                                 "--sort", "dso,symbol", "-F", "sample,dso,symbol"], capture_output=True, text=True,
                                check=True)
    pairs = []
    for line in report.stdout.splitlines():
        found = re.match(r"\s*(\d+)\s+(\S.*?)\s+\[([.k])\]\s+(.*?)\s*(?:-\s+-\s*)?$", line)
        if not found:
            continue
        count, library, kind, symbol = found.groups()
        prefix = "[k] " if kind == "k" else "[JIT] " if library.startswith("[JIT]") else f"{library} "
        pairs.append((prefix + symbol, int(count)))
    return pairs, run.stdout.strip()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", default="per_read", help="case of crossweep bench")
    arguments.add_argument("--program", type=Path, default=ROOT / "build/release/bin/crossweep")
    arguments.add_argument("--seconds", type=float, default=10)
    options = arguments.parse_args()
    pairs, printed = samples(options.program, options.only, options.seconds)
    total = sum(count for _, count in pairs)
    if total == 0:
        sys.exit("perf took no samples. Run for longer: --seconds 30.")
    parts, unknown = Counter(), Counter()
    for symbol, count in pairs:
        part = next((name for name, pattern in PARTS if re.search(pattern, symbol)), None)
        (unknown if part is None else parts)[part or symbol] += count
    print(printed)
    ms_per_image = float(re.search(r"([\d.]+) ms per image", printed).group(1))
    for name, count in parts.most_common():
        print(f"  {100 * count / total:5.1f} %{count / total * ms_per_image:8.2f} ms  {name}")
    print(f"  {100 * sum(unknown.values()) / total:5.1f} %  unaccounted:",
          ", ".join(f"{symbol} {100 * count / total:.1f}" for symbol, count in unknown.most_common(4)))


if __name__ == "__main__":
    main()
