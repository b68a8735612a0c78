#!/usr/bin/python3
"""What does rounding weights to integers change, beside what another order of sums and another chip change?

    what_rounding_changes.py [STUDY.toml] [--set KEY=VALUE ...] [--ranks 2] [--out FOLDER]

Runs the study, whose read noise has to be frozen, with crossbar.weight_rounding as it is, without rounding, and without
rounding on AVX2, where products in fp32 add their terms up in another order; chips and noise are the same in all three.
Prints how far inferences (margin, class) and chips (accuracy, SNR) are from those without rounding.
Exit codes: 0 done, 2 usage, 4 a run failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Records:
    """One run, chip by chip (a chip is a trial)."""

    margin: np.ndarray  # [point, trial, image], above 0 where the label is predicted
    class_: np.ndarray  # [point, trial, image]
    snr_dB: np.ndarray  # [point, trial], mean over layers
    path: str

    @classmethod
    def read(cls, path: Path) -> Records:
        with h5py.File(path) as file:
            power = file["attention/signal"][:] / file["attention/noise"][:]
            return cls(file["predictions/margin"][:], file["predictions/class"][:], (10 * np.log10(power)).mean(axis=-1),
                       file["paths/name"].asstr()[0])

    def next_chip(self) -> Records:
        """The same with every chip's records in the place of those of the chip before."""
        return Records(*(np.roll(values, -1, axis=1) for values in (self.margin, self.class_, self.snr_dB)), self.path)


def run(program: Path, study: Path, settings: list[str], ranks: int, out: Path, isa: str | None = None) -> Records:
    shutil.rmtree(out, ignore_errors=True)
    environment = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1"}
    if isa:
        environment["DNNL_MAX_CPU_ISA"] = isa
    command = ["mpirun", "-n", str(ranks), "--bind-to", "none", "--oversubscribe", str(program), "run", str(study), "--out",
               str(out), *(word for setting in settings for word in ("--set", setting))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        print(f"what_rounding_changes.py: {' '.join(command)}: {done.stderr.strip()[-500:]}", file=sys.stderr)
        sys.exit(4)
    return Records.read(out / "results.h5")


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
    parser.add_argument("--program", type=Path,
                        default=Path(os.environ.get("CROSSWEEP_PROGRAM", _ROOT / "build/release/bin/crossweep")))
    options = parser.parse_args()
    in_fp32 = [*options.set, "crossbar.weight_rounding=0"]
    with tempfile.TemporaryDirectory() as folder:
        out = options.out or Path(folder)
        rounded = run(options.program, options.study, options.set, options.ranks, out / "rounded")
        exact = run(options.program, options.study, in_fp32, options.ranks, out / "fp32")
        reordered = run(options.program, options.study, in_fp32, options.ranks, out / "reordered", isa="AVX2")
    print(f"{'compared with fp32 on ' + exact.path:60}{'margin, rms':>12}{'other class':>16}{'accuracy, rms':>16}{'SNR, rms':>13}")
    print(difference("rounded", rounded, exact))
    print(difference(f"fp32 on {reordered.path}", reordered, exact))
    if exact.margin.shape[1] > 1:
        print(difference("the next chip", exact.next_chip(), exact))


if __name__ == "__main__":
    main()
