"""After any fault the log verifies and nothing acknowledged is gone, or the ledger stopped and said why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from tests.faults.campaign import campaign
from tests.faults.scenarios import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]
SAMPLE_SEEDS = 60  # Each scenario four times.
ALL_SEEDS = 10_000
PROCESSES = 2
TIMEOUT_SECONDS = 3_600


def _folder(tmp_path: Path) -> Path:
    """Returns a place for short-lived folders: in memory where there is some, for fsync itself is not tested here."""
    memory = Path("/dev/shm")
    return memory / f"cellcustody-faults-{os.getpid()}-{tmp_path.name}" if memory.is_dir() else tmp_path / "faults"


def test_a_sample_of_faults_loses_nothing(tmp_path: Path) -> None:
    """Every kind of fault, with a few seeds each; `make torture` runs ten thousand."""
    found = campaign(0, SAMPLE_SEEDS, _folder(tmp_path))

    assert found["failures"] == {}
    outcomes = found["outcomes"]
    assert isinstance(outcomes, dict)
    assert {outcome.partition(":")[0] for outcome in outcomes} == set(SCENARIOS)
    assert sum(outcomes.values()) == SAMPLE_SEEDS


def test_the_same_seed_meets_the_same_fault(tmp_path: Path) -> None:
    """A seed that fails can be looked at again. Keys are drawn anew, so that flipped bytes are others each time."""
    first = campaign(0, 7, _folder(tmp_path))
    again = campaign(0, 7, _folder(tmp_path))

    assert first == again


@pytest.mark.torture
def test_ten_thousand_faults_lose_nothing(tmp_path: Path) -> None:
    """Crashes, torn and flipped bytes, full and failing disks, rivals, restored backups, clocks and keys."""
    bounds = [ALL_SEEDS * part // PROCESSES for part in range(PROCESSES + 1)]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.campaign", str(first), str(end), f"{_folder(tmp_path)}-{first}"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        for first, end in pairwise(bounds)
    ]
    answers = [json.loads(process.communicate(timeout=TIMEOUT_SECONDS)[0]) for process in running]

    print(json.dumps([answer["outcomes"] for answer in answers], indent=1))
    assert [answer["failures"] for answer in answers] == [{}] * PROCESSES
    assert sum(answer["seeds"] for answer in answers) == ALL_SEEDS
