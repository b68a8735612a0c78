"""A run that can be hit: its processes, found whatever became of their parents; and the records in its segments, read
without the program under test."""

import hashlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import h5py
import tiny_study

_MARK = "CROSSWEEP_FAULTS_RUN"  # variable that all processes of a run inherit
_numbers = itertools.count()


class WatchedRun:
    """`crossweep run`, started and not waited for; `ranks` = 0 is without mpirun."""

    def __init__(self, study, directory, *options, ranks=0, environment=None):
        self.ranks = ranks
        self._mpi_job = 0
        self.mark = f"{_MARK}={os.getpid()}-{next(_numbers)}".encode()
        name, value = self.mark.decode().split("=")
        self._log = directory.with_name(f"{directory.name}.{value}.log")
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                tiny_study.command("run", study, "--out", directory, *options, ranks=ranks),
                env=tiny_study.environment() | {name: value} | (environment or {}), stdout=subprocess.DEVNULL,
                stderr=log)

    def said(self):
        """What it has written to its standard error."""
        return self._log.read_text()

    def running(self):
        return self.process.poll() is None

    def processes(self):
        """All of its processes that live: launcher, ranks, and whatever outlived its parent."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self.mark in _environment(pid)]

    def rank_pids(self):
        """The processes of the ranks, by rank."""
        if self.ranks == 0:
            return {0: self.process.pid} if self.running() else {}
        found = {}
        for pid in filter(_is_program, self.processes()):
            variables = dict(one.partition(b"=")[::2] for one in _environment(pid))
            if b"OMPI_COMM_WORLD_RANK" in variables:
                found[int(variables[b"OMPI_COMM_WORLD_RANK"])] = pid
                self._mpi_job = int(variables.get(b"OMPI_MCA_ess_base_jobid", 0))
        return found

    def wait_for(self, condition, timeout_s=60):
        """Wait until `condition()` is true; whether it became so before the run ended."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if not self.running():
                return False
            assert time.monotonic() < deadline, f"nothing happened in {timeout_s} s:\n{self.said()}"
            time.sleep(0.002)
        return True

    def end(self, timeout_s=60):
        """Wait for the end and for the last process; the exit code, and for how long processes outlived it, in s. A run
        that hangs is killed: None."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return None, 0.0
        start = time.monotonic()
        while self.processes() and time.monotonic() - start < timeout_s:
            time.sleep(0.005)
        outliving_s = time.monotonic() - start
        self._tidy()
        return code, outliving_s

    def kill(self):
        """SIGKILL to every process, the launcher first."""
        for pid in sorted(self.processes()):
            send(pid, signal.SIGKILL)
        self.process.wait(30)
        self._tidy()

    def _tidy(self):
        """Remove what a killed Open MPI leaves: the folder of its session and its shared memory, megabytes per run."""
        for folder in Path(tempfile.gettempdir()).glob(f"ompi.*.{os.geteuid()}/pid.{self.process.pid}"):
            shutil.rmtree(folder, ignore_errors=True)
        if self._mpi_job:
            for shared in Path("/dev/shm").glob(f"vader_segment.*.{self._mpi_job:x}.*"):
                shared.unlink(missing_ok=True)


def send(pid, number):
    """Signal a process that may just have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _environment(pid):
    """Variables of a living process; none of one that has ended, a zombie included."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _is_program(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe") == str(tiny_study.program().resolve())
    except OSError:
        return False


def segments(directory):
    return sorted((directory / "segments").glob("*.h5"))


def leftovers(directory):
    return sorted(path.name for path in directory.rglob("*.tmp"))


def records_of(segment):
    """The records of a segment by their keys: everything that the content hash covers, as one value."""
    with h5py.File(segment, "r") as file:
        columns = [file[f"records/{name}"][:] for name in (
            "point_high", "point_low", "trial", "shard", "images", "correct_top1", "correct_top5", "failure")]
        arrays = []
        for begins, names in (("predictions_begin", ("predictions/class", "predictions/margin")),
                              ("attention_begin", ("attention/signal", "attention/noise"))):
            bounds = [*file[f"records/{begins}"][:]]
            for name in names:
                values = file[name][:]
                arrays.append([values[begin:end].tobytes() for begin, end in
                               zip(bounds, [*bounds[1:], len(values)])])
    return {tuple(int(part) for part in row[:4]): (*row[4:], *contents)
            for row, contents in zip(zip(*columns), zip(*arrays))}


class Ledger:
    """What was seen in the segments of a run directory, to be compared with what is there later."""

    def __init__(self, directory, expected=None):
        self._directory, self._expected = directory, expected
        self._digests, self._records = {}, {}

    def records(self):
        """How many different records the segments held when last looked at."""
        return len(set().union(*self._records.values()))

    def note_closed(self):
        """Remember the segments that are there now, without reading them: a fault is about to come."""
        for path in segments(self._directory):
            if path.name not in self._digests:
                self._digests[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()

    def look(self):
        """Read what is new; the counts of records that are lost, that are there twice and that are wrong. A record is
        lost if its segment is gone, and wrong if its segment has changed or if the undisturbed run's is another."""
        there = {path.name: path for path in segments(self._directory)}
        lost = sum(len(self._records.pop(name, [None])) for name in list(self._digests) if name not in there)
        wrong = 0
        for name, path in there.items():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            changed = self._digests.setdefault(name, digest) != digest
            if name not in self._records or changed:
                self._records[name] = records_of(path)
                wrong += sum(changed or (self._expected is not None and self._expected.get(key) != record)
                             for key, record in self._records[name].items())
            self._digests[name] = digest
        self._digests = {name: digest for name, digest in self._digests.items() if name in there}
        counts = Counter(itertools.chain.from_iterable(self._records.values()))
        return {"lost": lost, "twice": sum(count - 1 for count in counts.values()), "wrong": wrong}


def all_records(directory):
    """The records of all segments by key."""
    return {key: record for segment in segments(directory) for key, record in records_of(segment).items()}
