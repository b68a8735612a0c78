#!/usr/bin/python3
"""What do more ranks on a node cost: memory, reading of files, and time until all can compute? On a DeiT-S-sized model.

    node_memory.py                                                about 3 minutes
    node_memory.py --before OTHER/bin/crossweep --ranks 1 2 4 8   beside another build, on the same study

Memory is PSS (`smaps_rollup`), in which a page that n processes map counts 1/n: the sum over ranks is what the node
gives. It is taken when all ranks are ready (rank 0 has printed the header of the run) and as the largest sum while they
compute. `opened by` counts the ranks that open the study's files, as strace sees it, where that is installed.
`start` is the time from the launch of mpirun to the header, the least of several; it includes mpirun's own.
The study: random weights, and 60 000 images in compressed HDF5, of which it uses 512.
Exit codes: 0 done, 2 usage, 4 a run failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT / "analysis"), str(_ROOT / "analysis" / "training")]

import h5py

from synthetic_study import Work, write_study

DEIT_SMALL = Work(tokens=197, width=384, depth=12, images=60_000)
SETTINGS = ["--set", "data.count=512", "--set", "data.shard_images=16"]
FILES = ("study.toml", "weights.safetensors", "images.h5")
KINDS = ("Pss", "Pss_Anon", "Pss_File", "Pss_Shmem")
HEADER = re.compile(rb"^crossweep .* on \d+ ranks?, ", re.MULTILINE)


def prepare(folder: Path) -> Path:
    """The study, its images compressed."""
    study = write_study(DEIT_SMALL, folder)
    with h5py.File(folder / "images.h5", "r+") as file:
        pixels, attributes = file["images"][:], dict(file["images"].attrs)
        del file["images"]
        images = file.create_dataset("images", data=pixels, chunks=(100, *pixels.shape[1:]), compression=1)
        images.attrs.update(attributes)
    return study


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def launch(study: Path, ranks: int, command: list) -> list[str]:
    return ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none", *map(str, command), "run", str(study), *SETTINGS]


# ---- one run ----------------------------------------------------------------------------------------------------

def processes_of(program: Path, study: Path) -> list[Path]:
    """Folders in /proc of the ranks."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # ended meanwhile
        if words[0] == os.fsencode(program) and os.fsencode(study) in words:
            found.append(folder)
    return found


def memory(processes: list[Path]) -> dict[str, float]:
    """Sums over the processes in MB, by kind."""
    sums = dict.fromkeys(KINDS, 0.0)
    for folder in processes:
        for line in (folder / "smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in sums:
                sums[name] += 1024 * int(value.split()[0]) / 1e6
    return sums


def send(sign: signal.Signals, processes: list[Path]) -> None:
    for folder in processes:
        os.kill(int(folder.name), sign)


@dataclass
class Seen:
    start_s: float
    ready: dict[str, float]
    computing: dict[str, float]


def observe(program: Path, study: Path, ranks: int, out: Path, watch_s: float) -> Seen:
    """Start a run, wait for its header, watch its memory, and end it."""
    log = out.with_suffix(".log")
    with log.open("wb") as stderr:
        begin = time.perf_counter()
        run = subprocess.Popen([*launch(study, ranks, [program]), "--out", str(out)], env=environment(), stdout=stderr,
                               stderr=stderr)
        processes = []
        while not HEADER.search(log.read_bytes()):
            if len(processes) < ranks:
                processes = processes_of(program, study)
            if run.poll() is not None:
                raise RuntimeError(f"{program} on {ranks} ranks exited {run.returncode}: {log.read_text().strip()}")
            time.sleep(0.005)
        seen = Seen(time.perf_counter() - begin, {}, {"Pss": 0.0})
        if watch_s > 0:
            assert len(processes) == ranks, f"{len(processes)} processes of {ranks} ranks"
            send(signal.SIGSTOP, processes)  # they would compute while their memory is read
            seen.ready = memory(processes)
            send(signal.SIGCONT, processes)
            while time.perf_counter() - begin < seen.start_s + watch_s:
                time.sleep(0.5)
                seen.computing = max(seen.computing, memory(processes), key=lambda sums: sums["Pss"])
        run.terminate()  # its ranks end with it
        run.wait()
    while processes_of(program, study):
        time.sleep(0.05)
    return seen


def opened_by(program: Path, study: Path, ranks: int, folder: Path) -> dict[str, int] | None:
    """How many ranks open each file of the study; None without strace."""
    if not shutil.which("strace"):
        return None
    folder.mkdir()
    # Tracing is slow, so a run ends as soon as it is ready: no time is left for a unit.
    command = launch(study, ranks, ["strace", "-f", "-ff", "-e", "trace=openat", "-o", folder / "trace", program])
    done = subprocess.run([*command, "--set", "run.time_budget_s=1", "--out", str(folder / "out")], env=environment(),
                          capture_output=True, text=True, check=False)
    if done.returncode not in (0, 75):
        raise RuntimeError(f"{program} under strace exited {done.returncode}: {done.stderr.strip()}")
    traces = [path.read_text(errors="replace") for path in folder.glob("trace.*")]
    return {name: sum(f'{study.parent / name}", O_RDONLY' in trace for trace in traces) for name in FILES}


# ---- all runs ---------------------------------------------------------------------------------------------------

def print_memory(name: str, program: Path, study: Path, options: argparse.Namespace, folder: Path) -> None:
    print(f"\n{name}: PSS in MB, sums over the ranks (private + of files + shared)")
    print(f"{'ranks':>5}  {'ready':>28}  {'per rank':>8}  {'computing':>28}  {'per rank':>8}  opened by")
    for ranks in options.ranks:
        seen = observe(program, study, ranks, folder / f"{name}_{ranks}", options.watch_s)
        opened = opened_by(program, study, ranks, folder / f"{name}_{ranks}_strace")
        cells = ""
        for sums in (seen.ready, seen.computing):
            parts = " + ".join(f"{sums[kind]:.0f}" for kind in KINDS[1:])
            cells += f"  {sums['Pss']:7.0f} = {parts:>18}  {sums['Pss'] / ranks:8.1f}"
        reads = ", ".join(f"{file} {count}" for file, count in opened.items()) if opened else "(no strace)"
        print(f"{ranks:5}{cells}  {reads}", flush=True)


def print_starts(programs: dict[str, Path], study: Path, options: argparse.Namespace, folder: Path) -> None:
    print("\nstart, s (mpirun until all ranks are ready)")
    print(f"{'ranks':>5}" + "".join(f"  {name:>8}" for name in programs))
    for ranks in options.starts:
        least = dict.fromkeys(programs, float("inf"))
        for repeat in range(options.repeats):  # in turns: a busy spell of the machine hits all alike
            for name, program in programs.items():
                out = folder / f"{name}_{ranks}_start_{repeat}"
                least[name] = min(least[name], observe(program, study, ranks, out, 0).start_s)
        print(f"{ranks:5}" + "".join(f"  {seconds:8.2f}" for seconds in least.values()), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=_ROOT / "build/release/bin/crossweep")
    parser.add_argument("--before", type=Path, help="another build to compare with")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4, 8], help="for memory")
    parser.add_argument("--starts", type=int, nargs="*", default=[1, 2, 4, 8, 16], help="ranks, for the time to start")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--watch-s", type=float, default=8, help="how long memory is watched while ranks compute")
    options = parser.parse_args()
    programs = {"before": options.before} if options.before else {}
    programs["now"] = options.program
    programs = {name: path.resolve() for name, path in programs.items()}
    for path in programs.values():
        if not path.exists():
            parser.error(f"{path} is not there: build it, or name one with --program")
    with tempfile.TemporaryDirectory(prefix="crossweep-node-") as temporary:
        folder = Path(temporary)
        study = prepare(folder)
        print("files: " + ", ".join(f"{name} {(folder / name).stat().st_size / 1e6:.1f} MB" for name in FILES))
        try:
            for name, program in programs.items():
                print_memory(name, program, study, options, folder)
            print_starts(programs, study, options, folder)
        except RuntimeError as error:
            print(f"node_memory.py: {error}", file=sys.stderr)
            return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
