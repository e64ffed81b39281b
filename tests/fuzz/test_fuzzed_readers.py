"""No input that anybody sends makes a reader crash, hang, take two spellings, or disagree with the other verifier."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.campaign import campaign

ROOT = Path(__file__).resolve().parents[2]
SAMPLE_INPUTS = 20_000
ALL_INPUTS = 1_000_000
PROCESSES = 2
TIMEOUT_SECONDS = 3_600


def test_a_sample_of_bent_inputs_is_refused_or_read() -> None:
    """Twenty thousand inputs; `make torture` feeds a million."""
    found = campaign(1, SAMPLE_INPUTS)

    assert found["first"] == []
    taken = found["taken"]
    assert isinstance(taken, dict)
    assert sum(taken.values()) > 500, "hardly anything was taken: the inputs are no longer near the formats"


@pytest.mark.torture
def test_a_million_bent_inputs_are_refused_or_read() -> None:
    """Every reader gets some thirty thousand."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.campaign", str(seed), str(ALL_INPUTS // PROCESSES)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
        )
        for seed in range(PROCESSES)
    ]
    answers = [json.loads(process.communicate(timeout=TIMEOUT_SECONDS)[0]) for process in running]

    print(json.dumps(answers, indent=1))
    assert [answer["first"] for answer in answers] == [[]] * PROCESSES
    assert sum(answer["inputs"] for answer in answers) > ALL_INPUTS * 0.999
