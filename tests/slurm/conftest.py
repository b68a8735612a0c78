"""One private cluster for all tests of this folder, and a study that takes some seconds."""

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / folder) for folder in ("app", "invariance", "slurm")]

from cluster import Cluster, missing  # noqa: E402
from jobs import Jobs  # noqa: E402
from runs import content_hash, run  # noqa: E402
from tiny_study import STUDY, Architecture, write_study  # noqa: E402

# About six seconds on one core, in units of some 30 ms and segments of a third of a second.
_TEXT = STUDY.replace("trials = 2", "trials = 10") + "[run]\nsegment_s = 0.3\npoints_per_unit = 2\n"
_ARCHITECTURE = Architecture(image_size=32, width=96, depth=4, mlp_width=192)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    if why := missing():
        pytest.skip(why)
    with Cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"), _ARCHITECTURE, 120, _TEXT)


@pytest.fixture(scope="session")
def undisturbed(study):
    """The content hash of a run without Slurm."""
    directory = study.parent / "undisturbed"
    done = run(study, directory, ranks=2)
    assert done.returncode == 0, done.stderr
    return content_hash(directory)


@pytest.fixture
def jobs(cluster, study, tmp_path):
    """Submits scripts of jobs/; whatever is left of them is cancelled afterwards."""
    jobs = Jobs(cluster, study, tmp_path / "run")
    yield jobs
    jobs.cancel()
