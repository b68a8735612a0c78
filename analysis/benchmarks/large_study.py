#!/usr/bin/python3
"""How long do resume, status and merge of a huge study take, and how much memory, beside reading and writing its bytes?

    large_study.py                             about 3 minutes; studies of 10^5 and 10^6 finished units, a plan of 10^7
    large_study.py --units 1000 --plan 10000   seconds, to see that it works

Each study has 1000 points of a tiny model; every unit is one record of 8 images, and a sixth of the units is left to
do. `synthetic_segments` (built with the tests) fills its run directory through the program's own writer. Before every
measurement the segments are dropped from the page cache. "Resume" is the time from the start of `crossweep run` until
the first unit that it computed lies on the disk as a segment; "planned" until it says how many records are there, which
it does with the plan made. Exit codes: 0 done, 2 usage, 4 a program failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(_ROOT / "analysis" / "training"))

from synthetic_study import Work, write_study

POINTS, SHARDS, SHARD_IMAGES = 1000, 4, 8
# A process inherits the peak of the one that started it, so a small one stands between this one and the program.
_LAUNCHER = """import os, sys
_, status, usage = os.wait4(os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
print(usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
sys.exit(os.waitstatus_to_exitcode(status))"""


@dataclass(frozen=True)
class Cost:
    """Of one command: time on the clock and of the processor, and the peak of memory."""

    wall_s: float
    processor_s: float
    peak_MB: float


def study_of(units: int, folder: Path) -> Path:
    """Write a study that has at least `units` units of one record each, not counting references."""
    trials = -(-units // (POINTS * SHARDS))
    folder.mkdir(parents=True)
    study = write_study(Work(tokens=5, width=64, depth=2, images=SHARDS * SHARD_IMAGES, points=POINTS, trials=trials), folder)
    text = study.read_text().replace("[data]\n", f"[data]\nshard_images = {SHARD_IMAGES}\n")
    study.write_text(text + "[run]\npoints_per_unit = 1\nsegment_s = 0.1\n")
    return study


def cost_of(*command) -> Cost:
    """Run a command to its end."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-S", "-c", _LAUNCHER, *map(str, command)], capture_output=True, text=True)
    wall_s = time.perf_counter() - start
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} exited {done.returncode}: {done.stderr.strip()}")
    peak_KiB, processor_s = map(float, done.stdout.splitlines()[-1].split())
    return Cost(wall_s, processor_s, peak_KiB * 1024 / 1e6)


def forget(directory: Path) -> None:
    """Drop the segments from the page cache: to a job on a fresh node they are on the disk."""
    for segment in (directory / "segments").iterdir():
        descriptor = os.open(segment, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def reading(directory: Path) -> float:
    """Seconds that reading all bytes of the segments takes."""
    start = time.perf_counter()
    for segment in sorted((directory / "segments").iterdir()):
        segment.read_bytes()
    return time.perf_counter() - start


def writing(directory: Path) -> float:
    """Seconds that writing the bytes of results.h5 to the disk takes."""
    contents = (directory / "results.h5").read_bytes()
    start = time.perf_counter()
    with open(directory / "copy", "wb") as copy:
        copy.write(contents)
        copy.flush()
        os.fsync(copy.fileno())
    wall_s = time.perf_counter() - start
    (directory / "copy").unlink()
    return wall_s


def resuming(program: Path, study: Path, directory: Path) -> tuple[float, Cost]:
    """Seconds until the plan is made, and the cost until the first unit is on the disk; then the run is killed and what it
    wrote is removed."""
    before = set((directory / "segments").glob("*.h5"))
    log = directory.parent / "log"
    start = time.perf_counter()
    with open(log, "wb") as output:
        run = subprocess.Popen([program, "run", study, "--out", directory], stdout=output, stderr=output)
    planned_s = 0.0
    while not (new := set((directory / "segments").glob("*.h5")) - before):
        if not planned_s and b"resuming" in log.read_bytes():
            planned_s = time.perf_counter() - start
        if run.poll() is not None:
            raise RuntimeError(f"crossweep run exited {run.returncode}: {log.read_text().strip()}")
        time.sleep(0.005)
    wall_s = time.perf_counter() - start
    status = dict(line.split(":", 1) for line in Path(f"/proc/{run.pid}/status").read_text().splitlines())
    ticks = Path(f"/proc/{run.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    run.kill()
    run.wait()
    for segment in new | (set((directory / "segments").glob("*.h5")) - before):
        segment.unlink()
    return planned_s, Cost(wall_s, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
                           float(status["VmHWM"].split()[0]) * 1024 / 1e6)


def row(what: str, cost: Cost, read_s: float) -> str:
    return f"  {what:<34}{cost.wall_s:8.2f} s  {cost.processor_s:8.2f} s  {cost.peak_MB:8.0f} MB  {cost.wall_s / read_s:7.1f}"


def measure(options: argparse.Namespace, units: int, folder: Path) -> None:
    """Fill, measure and print one study."""
    study, directory = study_of(units * 6 // 5, folder / "study"), folder / "run"
    fill = cost_of(options.fill, study, directory, units, options.segments)
    size = sum(segment.stat().st_size for segment in (directory / "segments").iterdir())
    forget(directory)
    read_s = reading(directory)
    print(f"\n{units} finished units in {options.segments} segments, {size / 1e6:.0f} MB (made in {fill.wall_s:.1f} s); "
          f"reading the bytes {read_s:.2f} s")
    print(f"  {'':<34}{'clock':>10}  {'processor':>10}  {'peak':>11}  {'/ read':>7}")
    forget(directory)
    print(row("status --brief", cost_of(options.program, "status", directory, "--brief"), read_s))
    forget(directory)
    planned_s, resume = resuming(options.program, study, directory)
    print(row("resume until the first unit is done", resume, read_s) + f"   planned after {planned_s:.2f} s")
    forget(directory)
    merge = cost_of(options.program, "merge", "--partial", directory)
    forget(directory)
    io_s = reading(directory) + writing(directory)
    results_MB = (directory / "results.h5").stat().st_size / 1e6
    print(row("merge --partial", merge, read_s) + f"   {merge.wall_s / io_s:.1f} of reading the segments and writing the "
          f"{results_MB:.0f} MB of results.h5 ({io_s:.2f} s)", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, nargs="+", default=[100_000, 1_000_000], help="finished units of each study")
    parser.add_argument("--segments", type=int, default=300, help="segments that hold them")
    parser.add_argument("--plan", type=int, default=10_000_000, help="units of a fresh study to plan")
    parser.add_argument("--program", type=Path, default=_ROOT / "build/release/bin/crossweep")
    parser.add_argument("--out", type=Path, help="folder for the studies, on the file system in question; removed afterwards")
    options = parser.parse_args(arguments)
    options.fill = options.program.parent / "synthetic_segments"
    for program in (options.program, options.fill):
        if not program.is_file():
            parser.error(f"{program} is not there; build it, or name another --program")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="crossweep-large-", dir=options.out))
    try:
        for units in options.units:
            measure(options, units, folder / str(units))
        few, many = (cost_of(options.program, "plan", study_of(units, folder / f"plan_{units}"))
                     for units in (POINTS * SHARDS, options.plan))
        print(f"\nplan of {options.plan} units: {many.wall_s - few.wall_s:.2f} s and {many.peak_MB - few.peak_MB:.0f} MB more "
              f"than of {POINTS * SHARDS} ({few.wall_s:.2f} s, {few.peak_MB:.0f} MB)")
    except RuntimeError as error:
        print(f"large_study.py: {error}", file=sys.stderr)
        return 4
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
