#!/usr/bin/python3
"""Runs a small study again and again under random faults and counts what was lost, computed twice or wrong.

    tests/faults/campaign.py --kills 200 --seed 1

Every study is started, hit by a fault at a random moment and started again, on another number of ranks, until it is
done. Exit code 0: nothing was lost, twice or wrong, and every result is the undisturbed run's, bit for bit."""

import argparse
import json
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS / "app"), str(_TESTS / "invariance")]

import tiny_study  # noqa: E402  (the path comes first)
from runs import content_hash  # noqa: E402
from tiny_study import Architecture  # noqa: E402
from watched_run import Ledger, WatchedRun, all_records, leftovers, send  # noqa: E402

# Some 130 units of about ten milliseconds, and up to as many segments, after a calibration of the converters.
ARCHITECTURE = Architecture(image_size=16, width=48, depth=3, heads=3, mlp_width=96)
IMAGES = 64
STUDY = tiny_study.STUDY.replace("shard_images = 6", "shard_images = 4").replace("[transforms", """\
[crossbar]
fidelity = "circuit"
array_rows = 24
array_columns = 20
adc_bits = 4
adc_calibration_images = 12
adc_offset_sigma = 0.2
[transforms""")
FINELY = ("--set", "run.points_per_unit=1", "--set", "run.segment_s=0.03")
DONE, DATA, UNFINISHED = 0, 4, 75
MOST_RANKS = 4
START_SHARE = 0.4  # of a short run's time: start-up, reading, merge
MOST_OUTLIVING_S = 10.0  # of ranks whose mpirun was killed; they end within about a second
MOST_FAULTS_PER_STUDY = 6
TAKEN = "another process is running this study here"


def kill_rank(run, rank, _random):
    send(run.rank_pids().get(rank, run.process.pid), signal.SIGKILL)


def kill_worker(run, chance):
    kill_rank(run, chance.randrange(1, run.ranks), chance)


def kill_rank_0(run, chance):
    kill_rank(run, 0, chance)


def kill_launcher(run, _chance):
    send(run.process.pid, signal.SIGKILL)


def kill_all(run, _chance):
    run.kill()


def terminate_ranks(run, _chance):
    for pid in run.rank_pids().values():
        send(pid, signal.SIGTERM)


def terminate_launcher(run, _chance):
    send(run.process.pid, signal.SIGTERM)


def stop_and_continue(run, chance):
    victim = chance.choice(sorted(run.rank_pids().values()) or [run.process.pid])
    send(victim, signal.SIGSTOP)
    time.sleep(chance.uniform(0.05, 1.0))
    send(victim, signal.SIGCONT)


@dataclass(frozen=True)
class Fault:
    """What happens to a run, and the exit codes that it may leave; negative ones are of the launcher's own death. 137 and
    143 are a rank's death by SIGKILL and SIGTERM as mpirun says it; a rank dies of SIGTERM only before main()."""

    name: str
    strike: object
    codes: frozenset
    fewest_ranks: int = 0  # 0: also without mpirun
    is_kill: bool = False  # counts for --kills, and comes three times as often


FAULTS = (
    Fault("SIGKILL, a worker", kill_worker, frozenset({137}), 2, is_kill=True),
    Fault("SIGKILL, rank 0", kill_rank_0, frozenset({137, -9}), is_kill=True),
    Fault("SIGKILL, mpirun", kill_launcher, frozenset({-9}), 1, is_kill=True),
    Fault("SIGKILL, all", kill_all, frozenset({-9}), is_kill=True),
    Fault("SIGTERM, all ranks", terminate_ranks, frozenset({UNFINISHED, 143, -15})),
    Fault("SIGTERM, mpirun", terminate_launcher, frozenset({1, UNFINISHED, 143}), 1),
    Fault("SIGSTOP, then SIGCONT", stop_and_continue, frozenset({DONE})),
)


@dataclass
class Tally:
    """Of one kind of fault."""

    faults: int = 0
    restarts: int = 0
    temporaries: int = 0  # faults after which a temporary file was there
    records_kept: int = 0  # sum over the faults of what the segments held afterwards
    lost: int = 0
    twice: int = 0
    wrong: int = 0
    unexpected: int = 0  # exit codes that are not documented, hangs included
    studies: int = 0
    equal: int = 0
    codes: Counter = field(default_factory=Counter)


class Campaign:
    """Studies under faults until `kills` SIGKILLs have struck; `faults` come in that order instead, if given."""

    def __init__(self, folder, seed, kills=0, images=IMAGES, most_ranks=MOST_RANKS, faults=None):
        self._folder, self._kills, self._order = folder, kills, list(faults) if faults else None
        self._most_ranks = most_ranks
        self._chance = random.Random(seed)
        self._study = tiny_study.write_study(folder / "study", ARCHITECTURE, images, STUDY)
        self._duration_s = {}
        self.tallies = {fault.name: Tally() for fault in FAULTS}
        self.studies = self.refused = self.late = self.left_behind = 0
        self.longest_outliving_s = 0.0
        self._hasty = False  # the last fault was struck, and its end not waited for
        self._not_waited_for = []
        self.remarks = []
        self._measure_undisturbed()

    def _measure_undisturbed(self):
        for ranks in range(self._most_ranks + 1):
            directory, start = self._folder / f"undisturbed{ranks}", time.monotonic()
            run = self._start(directory, ranks)
            code, _ = run.end()
            assert code == DONE, run.said()
            self._duration_s[ranks] = time.monotonic() - start
        self.expected = content_hash(self._folder / "undisturbed0")
        self._records = all_records(self._folder / "undisturbed0")

    def _start(self, directory, ranks):
        return WatchedRun(self._study, directory, *FINELY, ranks=ranks)

    def strike(self):
        while not self._enough():
            self._study_under_faults()

    def _enough(self):
        if self._order is not None:
            return not self._order
        return sum(self.tallies[fault.name].faults for fault in FAULTS if fault.is_kill) >= self._kills

    def _study_under_faults(self):
        self.studies += 1
        directory = self._folder / f"run{self.studies}"
        ledger, struck, done = Ledger(directory, self._records), [], False
        while not done and len(struck) < MOST_FAULTS_PER_STUDY and not self._enough():
            done = self._attempt(self._next_fault(), directory, ledger, struck)
        if not done:
            self._finish(directory, struck)
        self._judge(directory, ledger, struck)

    def _next_fault(self):
        if self._order is not None:
            return self._order.pop(0)
        return self._chance.choices(FAULTS, [3 if fault.is_kill else 1 for fault in FAULTS])[0]

    def _attempt(self, fault, directory, ledger, struck):
        """One start and one fault; whether the study is done."""
        ranks = self._chance.randint(fault.fewest_ranks, self._most_ranks)
        known = None if self._hasty else ledger.records()
        run = self._start_again(directory, ranks, struck)
        left = 1 - ledger.records() / len(self._records)
        moment = time.monotonic() + self._chance.uniform(0, self._duration_s[ranks] * max(left, START_SHARE))
        while run.running() and time.monotonic() < moment:
            time.sleep(0.001)
        run.wait_for(lambda: len(run.rank_pids()) == max(ranks, 1))
        ledger.note_closed()
        if not run.running():
            self.late += 1
            return self._ended_alone(run)
        fault.strike(run, self._chance)
        tally = self.tallies[fault.name]
        tally.faults += 1
        struck.append(fault.name)
        # mpirun's own death leaves ranks for a moment: at times the next start does not wait for that.
        self._hasty = fault.strike is kill_launcher and self._chance.random() < 0.5
        if self._hasty:
            self._not_waited_for.append((fault.name, run))
            code = run.process.wait(60)
        else:
            code = self._end(fault.name, run)
        tally.codes[code] += 1
        tally.temporaries += bool(leftovers(directory)) if directory.exists() else 0
        self._compare_what_it_resumed(run, known)
        if code not in fault.codes | {DONE}:
            tally.unexpected += 1
            self.remarks.append(f"{fault.name}: exit code {code} on {ranks} ranks: {run.said()[-600:]}")
        self._count(tally, ledger, directory)
        tally.records_kept += ledger.records()
        return code == DONE

    def _end(self, fault, run):
        """The exit code, once all processes are gone."""
        code, outliving_s = run.end()
        self.longest_outliving_s = max(self.longest_outliving_s, outliving_s)
        if outliving_s > MOST_OUTLIVING_S:
            self.remarks.append(f"{fault}: processes lived on for {outliving_s:.1f} s")
        return code

    def _start_again(self, directory, ranks, struck):
        """Start; where ranks of a killed mpirun still hold the directory, the refusal must say so, and is tried again."""
        if struck:
            self.tallies[struck[-1]].restarts += 1
        while True:
            run = self._start(directory, ranks)
            if not struck or struck[-1] != "SIGKILL, mpirun":
                return run
            run.wait_for(lambda run=run: "crossweep" in run.said())
            if TAKEN not in run.said():
                return run
            self.refused += 1
            code, _ = run.end()
            if code != DATA:
                self.remarks.append(f"refused with exit code {code}")

    def _compare_what_it_resumed(self, run, known):
        """What the program takes for done is what is in the segments: nothing else is computed again."""
        said = re.search(r"resuming .*: (\d+) of \d+ records are there", run.said())
        if known is not None and said and int(said[1]) != known:
            self.remarks.append(f"{said[0]}, but the segments held {known}")

    def _ended_alone(self, run):
        code, _ = run.end()
        if code != DONE:
            self.remarks.append(f"exit code {code} without a fault: {run.said()[-600:]}")
        return code == DONE

    def _finish(self, directory, struck):
        """The last start, undisturbed."""
        for _ in range(3):
            if self._ended_alone(self._start_again(directory, self._chance.randint(0, self._most_ranks), struck)):
                return

    def _count(self, tally, ledger, directory):
        found = ledger.look()
        tally.lost += found["lost"]
        tally.twice += found["twice"]
        tally.wrong += found["wrong"]
        if any(found.values()):
            self.remarks.append(f"{directory.name}: {found}")

    def _judge(self, directory, ledger, struck):
        while self._not_waited_for:
            self._end(*self._not_waited_for.pop())
        last = self.tallies[struck[-1]] if struck else Tally()
        self._count(last, ledger, directory)
        try:
            equal = content_hash(directory) == self.expected
        except AssertionError as error:  # merge refused
            equal = False
            self.remarks.append(f"{directory.name}: {error}")
        if not equal:
            self.remarks.append(f"{directory.name}: the content hash is another after {struck}")
        if left := leftovers(directory):
            self.left_behind += len(left)
            self.remarks.append(f"{directory.name}: left behind: {left}")
        for name in set(struck):
            self.tallies[name].studies += 1
            self.tallies[name].equal += equal

    def good(self):
        return not self.remarks


def table(campaign):
    """Markdown, as in docs/reliability.md."""
    lines = ["| fault | times | `.tmp` there | restarts | lost | twice | wrong | results equal |",
             "|---|---|---|---|---|---|---|---|"]
    total = Tally()
    for name, tally in campaign.tallies.items():
        for key in ("faults", "temporaries", "restarts", "lost", "twice", "wrong"):
            setattr(total, key, getattr(total, key) + getattr(tally, key))
        lines.append(f"| {name} | {tally.faults} | {tally.temporaries} | {tally.restarts} | {tally.lost} "
                     f"| {tally.twice} | {tally.wrong} | {tally.equal} of {tally.studies} |")
    equal = campaign.studies - sum("content hash" in remark for remark in campaign.remarks)
    lines.append(f"| all | {total.faults} | {total.temporaries} | {total.restarts} | {total.lost} "
                 f"| {total.twice} | {total.wrong} | {equal} of {campaign.studies} |")
    return "\n".join(lines)


def as_json(campaign, arguments, elapsed_s):
    faults = {name: asdict(tally) | {"codes": dict(tally.codes)} for name, tally in campaign.tallies.items()}
    return json.dumps({"seed": arguments.seed, "content_hash": campaign.expected, "studies": campaign.studies,
                       "faults": faults, "refused_while_ranks_outlived_mpirun": campaign.refused,
                       "faults_after_the_end": campaign.late, "longest_outliving_s": campaign.longest_outliving_s,
                       "temporaries_left": campaign.left_behind, "remarks": campaign.remarks,
                       "elapsed_s": elapsed_s}, indent=2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs that must strike; other faults come with them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to run; a temporary folder if not given")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    arguments = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="crossweep-faults-") as folder:
        campaign = Campaign(Path(folder), arguments.seed, arguments.kills)
        campaign.strike()
    if arguments.json:
        print(as_json(campaign, arguments, time.monotonic() - start))
    else:
        print(table(campaign))
        print(f"\n{campaign.studies} studies; {campaign.refused} starts refused while ranks outlived their mpirun (longest "
              f"{campaign.longest_outliving_s:.1f} s); {campaign.left_behind} temporary files left; "
              f"{time.monotonic() - start:.0f} s")
        print("exit codes: " + "; ".join(f"{name}: {dict(tally.codes)}" for name, tally in campaign.tallies.items()))
        for remark in campaign.remarks:
            print("REMARK", remark)
    return 0 if campaign.good() else 1


if __name__ == "__main__":
    sys.exit(main())
