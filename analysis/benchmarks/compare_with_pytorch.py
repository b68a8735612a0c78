#!/usr/bin/python3
"""How fast is crossweep beside what a user would write in PyTorch? Both on one core, in turns, on a DeiT-S.

    compare_with_pytorch.py                                            about 5 minutes
    compare_with_pytorch.py --program build/release/bin/crossweep --rounds 3 --seconds 1

Each round times every way of PyTorch (`noisy_deit.py`) and then `crossweep bench`, the best of several passes each.
Ratios are taken of the best over all rounds, and within each round, where a drift of the machine's clock hits both.
Weights and images are random: speed does not depend on them. Exit codes: 0 done, 2 usage, 4 crossweep bench failed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def _environment() -> dict[str, str]:
    """What one thread of PyTorch needs: one BLAS thread, kernels for AVX-512 (OpenBLAS does not know newer processors and
    is then 5 times slower), and no memory handed back (else half of the time goes into page faults)."""
    fixed = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
             "MALLOC_TRIM_THRESHOLD_": "4000000000", "MALLOC_MMAP_THRESHOLD_": "4000000000"}
    if "avx512f" in Path("/proc/cpuinfo").read_text():
        fixed["OPENBLAS_CORETYPE"] = "SkylakeX"
    return fixed


if __name__ == "__main__" and any(os.environ.get(k) != v for k, v in _environment().items()):
    os.environ.update(_environment())  # libraries read it when they are loaded
    os.execv(sys.executable, [sys.executable, *sys.argv])

sys.path.append(str(_ROOT / "analysis" / "training"))
import torch

from noisy_deit import Digital, Frozen, Noise, PerRead, forward
from vit import Architecture, VisionTransformer

# `crossweep bench` clips nothing, so PyTorch need not either.
BENCH_NOISE = Noise(alpha=0.0, beta=1.0)
# What is compared: words, products in PyTorch, key of `crossweep bench --json`.
WAYS = [
    ("noise-free", Digital, "digital_images_per_s"),
    ("frozen, one draw of the weights", lambda m: Frozen(m, BENCH_NOISE, redraw=False), "frozen_images_per_s"),
    ("frozen, drawn for each batch, clipped", lambda m: Frozen(m, Noise()), "frozen_images_per_s"),
    ("noise at every read", lambda m: PerRead(m, BENCH_NOISE), "per_read_images_per_s"),
]


def deit_small() -> VisionTransformer:
    torch.manual_seed(1)
    model = VisionTransformer(Architecture(image_size=224, patch_size=16, in_channels=3, num_classes=1000,
                                           embed_dim=384, depth=12, num_heads=6))
    model.initialise()
    return model.eval()


def images_per_s(model: VisionTransformer, products: Digital, batch: int, seconds: float) -> float:
    """Of the fastest pass within `seconds`, and of at least three."""
    images = torch.randn(batch, 3, 224, 224)
    best, passes, end = float("inf"), 0, time.perf_counter() + seconds
    while passes < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        forward(model, images, products)
        best, passes = min(best, time.perf_counter() - start), passes + 1
    return batch / best


def crossweep_bench(program: Path, seconds: float) -> dict:
    environment = {name: value for name, value in os.environ.items() if name not in _environment()}
    done = subprocess.run([program, "bench", "--json", "--seconds", str(seconds)], env=environment, text=True,
                          capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"{program} bench exited {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def row(words: str, batch: int, torch_rates: list[float], crossweep_rates: list[float]) -> str:
    ratios = [ours / theirs for ours, theirs in zip(crossweep_rates, torch_rates)]
    theirs, ours = max(torch_rates), max(crossweep_rates)
    return (f"{words:38} {theirs:8.2f} ({batch:2})  {ours:9.2f}  {ours / theirs:5.2f}"
            f"  {statistics.median(ratios):8.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")


def compare(options: argparse.Namespace) -> None:
    model = deit_small()
    products = [make(model) for _, make, _ in WAYS]
    batches = [max(options.batches, key=lambda b: images_per_s(model, p, b, options.seconds)) for p in products]
    torch_rates = [[] for _ in WAYS]
    benches = []
    for number in range(options.rounds):
        for rates, p, batch in zip(torch_rates, products, batches):
            rates.append(images_per_s(model, p, batch, options.seconds))
        benches.append(crossweep_bench(options.program, options.seconds))
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    print(f"DeiT-S with random weights, one core, PyTorch {torch.__version__}, crossweep for {benches[0]['instruction_set']}")
    print(f"images/s, the best of {options.rounds} rounds, and crossweep / PyTorch: of the best, and of each round as median")
    print("(lowest to highest); a wide range means that other programs were busy, and then the first ratio is the better\n")
    print(f"{'':38} {'PyTorch (batch)':>13}  {'crossweep':>9}  ratio  by round")
    for (words, _, key), batch, rates in zip(WAYS, batches, torch_rates):
        print(row(words, batch, rates, [bench[key] for bench in benches]))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=_ROOT / "build/release/bin/crossweep", metavar="CROSSWEEP",
                        help="default: build/release/bin/crossweep")
    parser.add_argument("--rounds", type=int, default=5, help="turns of both (default: 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement (default: 3)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16], metavar="IMAGES",
                        help="images per pass to try in PyTorch; each way keeps its fastest (default: 1 4 16)")
    options = parser.parse_args(arguments)
    if not options.program.is_file():
        parser.error(f"{options.program} does not exist. Build it, or give another with --program.")
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            compare(options)
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
