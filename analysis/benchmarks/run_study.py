"""Whole runs of a study, for the benchmarks that compare them."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def _program(name: str) -> Path:
    if not Path(name).is_file():
        raise argparse.ArgumentTypeError(f"{name} does not exist. Build it, or give another.")
    return Path(name)


def add_program(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--program", type=_program,
                        default=os.environ.get("CROSSWEEP_PROGRAM", str(_ROOT / "build/release/bin/crossweep")))


def run_study(program: Path, study: Path, ranks: int, out: Path, settings: Sequence[str] = (),
              **environment: str) -> dict:
    """Run `study` from its beginning with KEY=VALUE `settings`; what `run --json` says. Exits with 4 if the run fails."""
    shutil.rmtree(out, ignore_errors=True)
    as_root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = ["mpirun", "-n", str(ranks), "--bind-to", "none", "--oversubscribe", str(program), "run", str(study), "--out",
               str(out), "--json", *(word for setting in settings for word in ("--set", setting))]
    try:
        done = subprocess.run(command, capture_output=True, text=True,
                              env=os.environ | as_root | {"OMP_NUM_THREADS": "1"} | environment)
    except FileNotFoundError:
        sys.exit(_failed(command, "mpirun is not there; install Open MPI"))
    if done.returncode != 0:
        sys.exit(_failed(command, done.stderr.strip()[-500:]))
    return json.loads(done.stdout)


def _failed(command: list[str], why: str) -> int:
    print(f"{Path(sys.argv[0]).name}: {' '.join(command)}: {why}", file=sys.stderr)
    return 4
