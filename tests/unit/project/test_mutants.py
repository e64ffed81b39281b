"""The campaign of mutants: it changes what it says it changes, and notices what the tests of a rule notice."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mutants.operators import mutations_of

ROOT = Path(__file__).resolve().parents[3]
SOURCE = '''
def check(age: int, limit: int, names: list[str]) -> tuple[str, ...]:
    """Says what is wrong."""
    found = []
    if age > limit and names:
        found.append("TOO_OLD")
    yield from (name for name in names if name)
    return ("SEEN", "TOLD")
'''


def changes() -> dict[str, str]:
    return {one.change: ast.unparse(one.tree) for one in mutations_of(SOURCE)}


@pytest.mark.parametrize(
    ("change", "becomes"),
    [
        ("condition turned round", "if not (age > limit and names):"),
        ("Gt became GtE", "if age >= limit and names:"),
        ("and became or", "if age > limit or names:"),
        ("what was yielded is not", "(yield from (name for name in names if name)) if False else None"),
        ("nothing is filtered", "yield from (name for name in names)\n"),
        ("nothing is returned", "return ()"),
    ],
)
def test_a_mutant_is_one_change_at_one_place(change: str, becomes: str) -> None:
    mutated = changes()[change]

    assert becomes in mutated
    assert len(set(mutated.splitlines()) - set(ast.unparse(ast.parse(SOURCE)).splitlines())) == 1


def test_a_finding_that_is_not_made_is_a_mutant() -> None:
    assert "TOO_OLD" not in changes()["what was added is not"]


def campaign(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mutants", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_seeded_sample_of_mutants_is_noticed() -> None:
    """The order of facts alone, against its own tests; `make torture` tries every rule."""
    tests = [f"--tests=tests/unit/custody_fold/test_{name}.py" for name in ("corrections", "lots_and_sites", "order")]
    done = campaign("--module", "canonical_order", *tests, "--sample", "8")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 of 8 noticed" in done.stdout


def test_mutants_that_no_test_runs_fail_the_campaign() -> None:
    done = campaign("--module", "overrides", "--tests", "tests/unit/custody_fold/test_order.py", "--sample", "3")

    assert done.returncode == 1
    assert "no test runs the line" in done.stdout


@pytest.mark.torture
def test_nine_mutants_in_ten_are_noticed() -> None:
    done = campaign()
    print(done.stdout)

    assert done.returncode == 0, done.stdout + done.stderr
