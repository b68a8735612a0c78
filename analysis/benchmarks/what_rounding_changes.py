#!/usr/bin/python3
"""What does rounding weights to integers change, beside what another order of sums and another chip change?

    what_rounding_changes.py [STUDY.toml] [--set KEY=VALUE ...] [--ranks 2] [--out FOLDER]

Runs the study with crossbar.weight_rounding as it is, without rounding, and without rounding on AVX2, where products in
fp32 add their terms up in another order; chips and noise are the same in all three. Only studies with frozen read noise are
rounded; a processor that has nothing better than AVX2 has no second row.
Prints how far inferences (margin, class) and chips (accuracy, SNR) are from those without rounding.
Exit codes: 0 done, 2 usage, 4 a run failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT / "analysis"))

from crossweep_results import Results
from run_study import add_program, run_study


@dataclass(frozen=True)
class Records:
    """One run, chip by chip (a chip is a trial)."""

    margin: np.ndarray  # [point, trial, image], above 0 where the label is predicted
    class_: np.ndarray  # [point, trial, image]
    snr_dB: np.ndarray  # [point, trial], mean over layers
    path: str

    @classmethod
    def read(cls, path: Path) -> Records:
        results = Results(path)
        snr_dB = 10 * np.log10(results.attention["signal"] / results.attention["noise"])
        return cls(results.predictions["margin"].values, results.predictions["class"].values, snr_dB.mean("layer").values,
                   str(results.paths["name"].values[0]))

    def next_chip(self) -> Records:
        """The same with every chip's records in the place of those of the chip before."""
        return Records(*(np.roll(values, -1, axis=1) for values in (self.margin, self.class_, self.snr_dB)), self.path)


def difference(name: str, records: Records, exact: Records) -> str:
    margin = np.sqrt(np.mean((records.margin - exact.margin) ** 2))
    classes = np.mean(records.class_ != exact.class_)
    accuracy = (records.margin > 0).mean(axis=-1) - (exact.margin > 0).mean(axis=-1)
    snr = records.snr_dB - exact.snr_dB
    return (f"{name:60}{margin:12.4f}{100 * classes:14.2f} %{100 * np.sqrt(np.mean(accuracy ** 2)):14.2f} %"
            f"{np.sqrt(np.mean(snr ** 2)):10.4f} dB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, nargs="?", default=_ROOT / "configs/deit_tiny.toml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as of crossweep run (repeatable)")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--out", type=Path, help="where the run directories go; default: a folder that is removed")
    add_program(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = options.out or Path(folder)

        def records(name: str, settings: list[str], **environment: str) -> Records:
            run_study(options.program, options.study, options.ranks, out / name, [*options.set, *settings], **environment)
            return Records.read(out / name / "results.h5")

        rounded = records("rounded", [])
        exact = records("fp32", ["crossbar.weight_rounding=0"])
        reordered = records("reordered", ["crossbar.weight_rounding=0"], DNNL_MAX_CPU_ISA="AVX2")
    print(f"{'compared with fp32 on ' + exact.path:60}{'margin, rms':>12}{'other class':>16}{'accuracy, rms':>16}{'SNR, rms':>13}")
    print(difference("rounded", rounded, exact))
    if reordered.path != exact.path:
        print(difference(f"fp32 on {reordered.path}", reordered, exact))
    if exact.margin.shape[1] > 1:
        print(difference("the next chip", exact.next_chip(), exact))


if __name__ == "__main__":
    main()
