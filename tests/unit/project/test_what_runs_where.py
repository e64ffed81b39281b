"""A plain test run says what it left out, and a marker with no test is no success."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import marked_tests

TESTS = Path(__file__).resolve().parents[2]

STORIES = """
import pytest

def test_runs_always():
    assert True

@pytest.mark.torture
def test_takes_long():
    assert False

@pytest.mark.system
@pytest.mark.parametrize("browser", ["one", "two"])
def test_needs_a_browser(browser):
    assert False

def test_reads_outside_vectors(vectors):
    assert vectors.is_dir()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with this project's conftest and four stories."""
    shutil.copy(TESTS / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  system: s\n  torture: t\n")
    (tmp_path / "test_stories.py").write_text(STORIES)
    return tmp_path


def run_in(project: Path, *options: str, vectors: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs pytest on `project` in an environment of its own."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    environment = {} if vectors is None else {"CELLCUSTODY_VECTORS": str(vectors)}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


def test_a_plain_run_counts_what_it_left_out(project: Path) -> None:
    """Both targets are named with their counts, and so is the want of vectors; the closing line stays last."""
    done = run_in(project)

    assert done.returncode == 0
    assert (
        "not run here: 2 tests need make test-system, 1 test needs make torture; "
        "1 skipped for want of CELLCUSTODY_VECTORS"
    ) in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 passed, 1 skipped, 3 deselected")


def test_with_vectors_nothing_skips_for_want_of_them(project: Path) -> None:
    """The fixture hands out the folder that the environment names."""
    done = run_in(project, vectors=project)

    assert "0 skipped for want of CELLCUSTODY_VECTORS" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("2 passed")


def test_a_folder_of_vectors_that_is_not_there_is_an_error(project: Path) -> None:
    """A misspelt path must not look like a machine without vectors."""
    assert run_in(project, vectors=project / "nowhere").returncode == 1


def test_a_marker_chosen_by_name_runs_its_tests(project: Path) -> None:
    """`-m torture` runs what a plain run leaves out; the story fails on purpose."""
    done = run_in(project, "-m", "torture")

    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("1 failed, 4 deselected")


def test_a_marker_that_selects_nothing_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make torture` without a torture test says that nothing was tested, and fails."""
    monkeypatch.setattr(marked_tests, "has_tests", lambda marker: False)

    assert marked_tests.main("torture") != 0
    assert "nothing was tested" in capsys.readouterr().out


def test_what_cannot_be_installed_fails_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """System tests are never skipped for a missing program: the package is named."""
    asked: list[list[str]] = []
    monkeypatch.setattr(marked_tests, "has_tests", lambda marker: True)
    monkeypatch.setattr(marked_tests, "missing_programs", lambda marker: {"softhsm2-util": "softhsm2"})
    monkeypatch.setattr(marked_tests, "install", asked.append)

    assert marked_tests.main("system") == 1
    assert asked == [["softhsm2"]]
    assert "softhsm2" in capsys.readouterr().out
