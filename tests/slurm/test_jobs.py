"""The scripts of jobs/ on a private Slurm cluster: whatever happens to a job, the study ends with the records of an
undisturbed run."""

import os
import re
import signal
from pathlib import Path

import pytest
from jobs import Jobs
from runs import content_hash
from tiny_study import program

ONE_RANK = ("--ntasks-per-node=1",)


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def restarts(cluster, job):
    return int(cluster.job(job, "Restarts"))


@pytest.fixture(scope="session", autouse=True)
def job_with_a_minute(cluster, study, tmp_path_factory):
    """A job with a limit of a minute, the shortest in Slurm. It starts to compute four seconds before its end, the
    first time, and is sent no signal before; meanwhile other tests go on."""
    folder = tmp_path_factory.mktemp("minute")
    late = script(folder / "crossweep", f"""\
[ "$1" = run ] && [ -z "$SLURM_RESTART_COUNT" ] && sleep $((SLURM_JOB_END_TIME - $(date +%s) - 4))
exec {program()} "$@" """)
    jobs = Jobs(cluster, study, folder / "run")
    job = jobs.submit("study.sbatch", sbatch=("--partition=aside", "--time=1", "--signal=USR1@0", *ONE_RANK),
                      CROSSWEEP=late)
    yield jobs, job
    jobs.cancel()


def test_a_plain_job(cluster, jobs, undisturbed):
    before = set(Path(__file__).parents[2].iterdir())
    job = jobs.submit("study.sbatch", SLURM_JOB_END_TIME="1")  # of a job that one submits from, long past
    cluster.wait_for_state(job, "COMPLETED")
    assert restarts(cluster, job) == 0
    assert content_hash(jobs.directory) == undisturbed
    assert set(Path(__file__).parents[2].iterdir()) == before, "a job writes in its run directory alone"


def test_two_nodes(cluster, jobs, undisturbed):
    job = jobs.submit("study.sbatch", sbatch=("--nodes=2", *ONE_RANK))
    cluster.wait_for_state(job, "COMPLETED")
    assert "start 0 on n[1-2]" in jobs.log(job)
    assert "on 2 ranks" in jobs.log(job)
    assert content_hash(jobs.directory) == undisturbed


def test_mpirun_instead_of_srun(cluster, jobs, undisturbed):
    job = jobs.submit("study.sbatch", sbatch=("--nodes=2", *ONE_RANK), CROSSWEEP_LAUNCH="mpirun")
    cluster.wait_for_state(job, "COMPLETED")
    assert "on 2 ranks" in jobs.log(job)
    assert content_hash(jobs.directory) == undisturbed


def test_four_parts_that_are_requeued_alone(cluster, jobs, undisturbed, tmp_path):
    hurried = script(tmp_path / "crossweep", f"""\
[ "$1" = run ] && [ -z "$SLURM_RESTART_COUNT" ] && case "$SLURM_ARRAY_TASK_ID" in
    1 | 3) set -- "$@" --set run.time_budget_s=0.01 ;;
esac
exec {program()} "$@" """)
    job = jobs.submit("array.sbatch", sbatch=("--array=1-4", *ONE_RANK), CROSSWEEP=hurried)
    cluster.wait_for_state(job, "COMPLETED")
    logs = [jobs.log(f"{job}_{part}") for part in range(1, 5)]
    assert [log.count(": start ") for log in logs] == [2, 1, 2, 1], logs
    assert [log.count("back into the queue") for log in logs] == [1, 0, 1, 0], logs
    assert content_hash(jobs.directory) == undisturbed


def test_preemption_by_requeue(cluster, jobs, undisturbed):
    job = jobs.submit("study.sbatch", sbatch=("--nodelist=n1",))
    jobs.wait_for_records()
    before = jobs.records()
    other = cluster.slurm("sbatch", "--parsable", "--partition=high", "--nodelist=n1", "--ntasks=2",
                          "--output=/dev/null", "--wrap", "true")
    cluster.wait_for_state(other, "COMPLETED")
    assert before <= jobs.records()
    cluster.wait_for_state(job, "COMPLETED")
    assert restarts(cluster, job) == 1
    assert f"preempted JobId={job} has been requeued" in (cluster.folder / "slurmctld.log").read_text()
    assert content_hash(jobs.directory) == undisturbed


def test_the_signal_before_the_limit(cluster, jobs, undisturbed):
    job = jobs.submit("study.sbatch")
    jobs.wait_for_records()
    cluster.slurm("scancel", "--signal=USR1", job)  # as sbatch --signal has it sent
    cluster.wait_for_state(job, "COMPLETED")
    assert restarts(cluster, job) == 1
    assert re.search(r"back into the queue with [1-9]\d* records", jobs.log(job)), jobs.log(job)
    assert content_hash(jobs.directory) == undisturbed


def test_a_killed_rank(cluster, jobs, undisturbed):
    job = jobs.submit("study.sbatch")
    jobs.wait_for_records()
    os.kill(jobs.ranks()[-1], signal.SIGKILL)
    cluster.wait_for_state(job, "COMPLETED")
    assert restarts(cluster, job) == 1
    assert "ended from outside (exit code 137)" in jobs.log(job)
    assert content_hash(jobs.directory) == undisturbed


def test_the_first_node_is_lost(cluster, jobs, undisturbed):
    job = jobs.submit("study.sbatch", sbatch=ONE_RANK)
    jobs.wait_for_records()
    node = cluster.job(job, "NodeList")
    cluster.cut_power(node)
    try:
        cluster.wait_for_state(job, "COMPLETED")
    finally:
        cluster.repair(node)
    assert restarts(cluster, job) == 1
    assert content_hash(jobs.directory) == undisturbed


def test_another_node_is_lost(cluster, jobs, undisturbed):
    job = jobs.submit("study.sbatch", sbatch=("--nodes=2", *ONE_RANK))
    jobs.wait_for_records()
    cluster.cut_power("n2")
    cluster.repair("n2")
    cluster.wait_for_state(job, "COMPLETED")
    assert restarts(cluster, job) == 1
    assert content_hash(jobs.directory) == undisturbed


def test_a_cancelled_job_is_not_requeued(cluster, jobs):
    job = jobs.submit("study.sbatch")
    jobs.wait_for_records()
    cluster.slurm("scancel", job)
    cluster.wait_until_gone([job])
    assert cluster.state(job) == "CANCELLED"
    assert "back into the queue" not in jobs.log(job)


def test_restarts_that_add_nothing_come_to_an_end(cluster, jobs, tmp_path):
    job = jobs.submit("study.sbatch", CROSSWEEP=script(tmp_path / "crossweep", "exit 75"))
    cluster.wait_for_state(job, "FAILED")
    assert restarts(cluster, job) == 2
    assert "stopped: two restarts in a row added no record" in jobs.log(job)


def test_a_wrong_study_is_not_requeued(cluster, jobs):
    job = jobs.submit("study.sbatch", "--set", "device.on_off_ratio=-1")
    cluster.wait_for_state(job, "FAILED")
    assert cluster.job(job, "ExitCode") == "3:0"
    assert "device.on_off_ratio" in jobs.log(job)


def test_a_job_without_a_log_says_why_in_its_comment(cluster, jobs):
    job = jobs.submit("array.sbatch", sbatch=("--array=5",))
    cluster.wait_for_state(job, "FAILED")
    assert "Set PARTS=n" in cluster.slurm("scontrol", "show", "job", job)


def test_the_chain(cluster, jobs, undisturbed):
    links = jobs.chain("--parts", "2", "--sbatch", " ".join(ONE_RANK))
    assert list(links) == ["prepare", "run", "merge", "plots"]
    for job in links.values():
        cluster.wait_for_state(job, "COMPLETED")
    assert undisturbed in jobs.log("merge")
    assert list((jobs.directory / "plots").glob("*.png"))


def test_a_link_that_fails_cancels_those_after_it(cluster, jobs):
    links = jobs.chain(settings=("--set", "device.on_off_ratio=-1"))
    cluster.wait_for_state(links["prepare"], "FAILED")
    for link in ("run", "merge", "plots"):
        cluster.wait_for_state(links[link], "CANCELLED")
    assert "device.on_off_ratio" in jobs.log("prepare")


def test_the_time_limit(cluster, job_with_a_minute, undisturbed):
    jobs, job = job_with_a_minute
    cluster.wait_for_state(job, "COMPLETED", timeout=180)
    assert restarts(cluster, job) == 1
    assert "back into the queue" in jobs.log(job)
    assert content_hash(jobs.directory) == undisturbed
