"""Submitting the scripts of jobs/ for one study and one run directory, and looking at what came of it."""

import json
import os
import subprocess
import time
from pathlib import Path

from cluster import ClusterError
from tiny_study import crossweep, program

ROOT = Path(__file__).resolve().parents[2]


class Jobs:
    def __init__(self, cluster, study, directory):
        self.cluster, self.study, self.directory = cluster, study, directory
        self._environment = {**cluster.environment, "CROSSWEEP": str(program())}
        self._submitted = []

    def submit(self, script, *options, sbatch=(), **variables):
        """Submit a script of jobs/ with options of sbatch and of crossweep run; returns the job's number."""
        done = self._call("sbatch", "--parsable", *sbatch, f"jobs/{script}", self.study, self.directory, *options,
                          **variables)
        self._submitted.append(done.strip())
        return self._submitted[-1]

    def chain(self, *options, settings=()):
        """Submit the chain; returns the jobs' numbers by the names of their links."""
        printed = self._call("jobs/chain.sh", *options, self.study, self.directory, *settings)
        links = dict(line.split() for line in printed.splitlines())
        self._submitted.extend(links.values())
        return links

    def log(self, job):
        return "".join(log.read_text() for log in sorted((self.directory / "slurm").glob(f"{job}*.log")))

    def records(self):
        """How many there are; none while there is no run directory."""
        done = crossweep("status", self.directory, "--brief", "--json")
        return json.loads(done.stdout)["records"] if done.returncode == 0 else 0

    def wait_for_records(self, count=1, timeout=60):
        """Wait until the run directory has some, so that what happens next happens to a study half done."""
        end = time.monotonic() + timeout
        while self.records() < count:
            if time.monotonic() > end:
                raise ClusterError(f"no {count} records within {timeout} s\n{self.log('')}")
            time.sleep(0.2)

    def ranks(self):
        """The processes that compute, in the order in which they started."""
        arguments = b"\0".join(map(os.fsencode, ("run", self.study, "--out", self.directory)))
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                # By its name: a process of a node has a view of the file system of its own.
                executable = Path(os.readlink(process / "exe"))
                if executable.name == Path(program()).name and arguments in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
            except OSError:
                continue  # ended meanwhile
        return sorted(found)

    def cancel(self):
        if self._submitted:
            self.cluster.slurm("scancel", *self._submitted, check=False)
            self.cluster.wait_until_gone(self._submitted)

    def _call(self, *command, **variables):
        done = subprocess.run(list(map(str, command)), cwd=ROOT, env={**self._environment, **variables},
                              capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout
