"""A private Slurm cluster on this machine, without systemd: munged, slurmctld and one slurmd per virtual node.

Every node has its own host name, processes and shared memory (namespaces), so killing its first process is what a
power cut is to a real node: slurmd, job steps and ranks are gone at once. Nothing outlives the cluster, nor the
process that started it. Partitions: `low`, which is the default and preempted by requeue, `high`, which preempts, and
`aside`, a node of its own for what takes long.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

NODES = ["n1", "n2", "n3"]  # the last is that of the partition aside
CPUS = 2  # of each node, whatever the machine has
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "unshare", "setpriv")
_SEARCH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))

_CONFIGURATION = """\
ClusterName=crossweep
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A requeued job may start once its credential has expired: 2 minutes by default.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
TmpFS={folder}/tmp-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
# Without cgroups, which containers rarely delegate.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
SlurmdTimeout=5
InactiveLimit=0
KillWait=5
# A loaded machine may be late by a moment; jobs that do not stop by themselves are killed all the same.
OverTimeLimit=1
MinJobAge=600
JobRequeue=1
NodeName=DEFAULT CPUs={cpus} RealMemory=1000 State=UNKNOWN
{nodes}
PartitionName=low Nodes=n[1-2] Default=YES PriorityTier=1 PreemptMode=REQUEUE MaxTime=INFINITE State=UP
PartitionName=high Nodes=n[1-2] PriorityTier=10 PreemptMode=OFF MaxTime=INFINITE State=UP
PartitionName=aside Nodes=n3 PriorityTier=1 PreemptMode=OFF MaxTime=INFINITE State=UP
"""


class ClusterError(Exception):
    """The cluster did not come up, or a job did not get where it should; the message holds the logs."""


def missing():
    """Why no cluster can be started here, or an empty text."""
    if os.geteuid() != 0:
        return "a private Slurm cluster needs root"
    absent = [name for name in _PROGRAMS if shutil.which(name, path=_SEARCH) is None]
    if absent:
        return f"a private Slurm cluster needs {', '.join(absent)}: install tests/packages.txt"
    namespaces = subprocess.run([*_namespaces(), "true"], capture_output=True, text=True, check=False)
    return f"a private Slurm cluster needs namespaces: {namespaces.stderr.strip()}" if namespaces.returncode else ""


def _namespaces():
    return ["unshare", "--uts", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"]


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


class Cluster:
    """Started on entering its context, gone on leaving it."""

    def __init__(self, folder):
        self.folder = Path(folder)
        # Started inside a job of another cluster, too.
        inherited = {name: value for name, value in os.environ.items()
                     if not name.startswith(("SLURM", "SBATCH_", "PMIX_"))}
        # Virtual nodes share the addresses of this machine, of which loopback always works.
        self.environment = {**inherited, "PATH": _SEARCH, "SLURM_CONF": str(self.folder / "slurm.conf"),
                            "OMPI_MCA_btl_tcp_if_include": "lo", "OMPI_MCA_oob_tcp_if_include": "lo",
                            "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        self._processes = {}

    def __enter__(self):
        try:
            self._configure()
            self._start("munged", "munged", "--foreground", "--force", f"--key-file={self.folder}/munge.key",
                        f"--socket={self.folder}/munge.socket", f"--pid-file={self.folder}/munge.pid",
                        f"--log-file={self.folder}/munged.log", f"--seed-file={self.folder}/munge.seed")
            self._wait(lambda: (self.folder / "munge.socket").exists(), 10, "munged did not start")
            self._start("slurmctld", "slurmctld", "-D")
            for node in NODES:
                self.start_node(node)
            self._wait(lambda: self.node_states() == {"idle"}, 60, "the nodes did not come up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in reversed(self._processes.copy()):
            self._kill(name)

    def node_states(self):
        return set(self.slurm("sinfo", "--noheader", "--Node", "--format=%t", check=False).split())

    def start_node(self, node):
        """Start a node with an empty disk; what a killed job step left there would be in its successor's way."""
        for name in ("spool", "tmp"):
            shutil.rmtree(self.folder / f"{name}-{node}", ignore_errors=True)
            (self.folder / f"{name}-{node}").mkdir()
        setup = f"mount -t tmpfs tmpfs /dev/shm && hostname {node} && exec slurmd -D -N {node}"
        self._start(node, *_namespaces(), "sh", "-c", setup)

    def cut_power(self, node):
        """Kill a node's daemon, job steps and ranks; Slurm is told what it would find out by SlurmdTimeout."""
        self._kill(node)
        self.slurm("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=power")

    def repair(self, node):
        self.start_node(node)
        self.slurm("scontrol", "update", f"NodeName={node}", "State=RESUME", check=False)
        self._wait(lambda: self.node_states() <= {"idle", "mix", "alloc", "comp"}, 30, f"{node} did not come back")

    def slurm(self, *command, check=True):
        """What one of Slurm's commands prints."""
        done = subprocess.run(list(map(str, command)), env=self.environment, capture_output=True, text=True, timeout=30,
                              check=False)
        if check and done.returncode:
            raise ClusterError(f"{' '.join(map(str, command))}: {done.stderr.strip()}\n{self._logs()}")
        return done.stdout.strip()

    def job(self, job, field):
        """A field of `scontrol show job`; of the first task, for an array."""
        shown = self.slurm("scontrol", "--oneliner", "show", "job", job).splitlines()[0]
        return dict(pair.split("=", 1) for pair in shown.split() if "=" in pair).get(field, "")

    def state(self, job):
        return self.job(job, "JobState")

    def wait_for_state(self, job, state, timeout=120):
        """Wait until all tasks of `job` are in `state`; said at once if they have ended in another."""
        def states():
            shown = self.slurm("scontrol", "--oneliner", "show", "job", job).splitlines()
            return {word.partition("=")[2] for line in shown for word in line.split() if word.startswith("JobState=")}

        ended = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT"} - {state}
        self._wait(lambda: states() == {state} or states() & ended, timeout, f"job {job} is not {state}")
        if states() != {state}:
            raise ClusterError(f"job {job} is {states()}, not {state}\n{self._logs()}")

    def wait_until_gone(self, jobs):
        """Wait until `jobs` have neither to run nor to clean up."""
        queue = ("squeue", "--noheader", f"--jobs={','.join(jobs)}")
        self._wait(lambda: not self.slurm(*queue, check=False), 30, "jobs do not end")

    def _configure(self):
        # munged refuses folders that others can write.
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        (self.folder / "state").mkdir()
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        host = socket.gethostname().partition(".")[0]
        ports = _free_ports(1 + len(NODES))
        nodes = "\n".join(f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
                          for node, port in zip(NODES, ports[1:]))
        (self.folder / "slurm.conf").write_text(_CONFIGURATION.format(
            folder=self.folder, host=host, ports=ports, cpus=CPUS, nodes=nodes))

    def _start(self, name, *command):
        # Dies with us, however we die.
        with open(self.folder / f"{name}.output", "ab") as output:
            self._processes[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command], env=self.environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, cwd=self.folder)

    def _kill(self, name):
        process = self._processes.pop(name)
        if name in NODES:
            # The first process of the node's namespace takes all others with it; then its parent ends by itself.
            for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
        else:
            process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait(self, condition, timeout, complaint):
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise ClusterError(f"{complaint} within {timeout} s\n{self._logs()}")
            time.sleep(0.1)

    def _logs(self):
        logs = [*self.folder.glob("*.log"), *self.folder.glob("*.output")]
        return "\n".join(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                         for log in sorted(logs))
