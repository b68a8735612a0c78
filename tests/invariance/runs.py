"""Running a study and naming what came of it."""

import re
from pathlib import Path

import pytest
import tiny_study
from tiny_study import crossweep


def run(study, directory, *options, ranks=0):
    return crossweep("run", study, "--out", directory, *options, ranks=ranks)


def content_hash(directory):
    """What `merge` prints, which also checks that the study is complete."""
    merged = crossweep("merge", directory)
    assert merged.returncode == 0, merged.stderr
    return re.search(r"^content_hash: ([0-9a-f]{32})$", merged.stdout, re.MULTILINE)[1]


def fixtures_of_undisturbed_run(architecture, images, *options):
    """Fixtures for a module: `study`, its file; `finished`, the directory of a run on one core without mpirun, which
    all others are compared with; `expected`, the content hash of that."""

    @pytest.fixture(scope="module", name="study")
    def fixture_study(tmp_path_factory):
        return tiny_study.write_study(tmp_path_factory.mktemp("study"), architecture, images)

    @pytest.fixture(scope="module", name="finished")
    def fixture_finished(study, tmp_path_factory):
        directory = tmp_path_factory.mktemp("finished") / "run"
        completed = run(study, directory, *options)
        assert completed.returncode == 0, completed.stderr
        return directory

    @pytest.fixture(scope="module", name="expected")
    def fixture_expected(finished):
        return content_hash(finished)

    return fixture_study, fixture_finished, fixture_expected


def descendants(pid):
    """The processes that `pid` has started, and theirs."""
    parent_of = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent_of[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # ended meanwhile
    found = [pid]
    for one in found:
        found.extend(child for child, parent in parent_of.items() if parent == one)
    return found[1:]
