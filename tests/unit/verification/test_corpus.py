"""The product and verify.py say the same of every dossier of the corpus, and what is expected.

A plain run takes a seeded part of the corpus; `make torture` takes all of it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from corpus import Case, Verdict, all_cases, expectations, product_says, verify_py_says, write_corpus
from corpus import good as good_cases

SEED = 20261123
CASES_MIN = 200  # What the project asks for.
CASES_SAMPLED = 120


def disagreements(cases: Iterable[Case]) -> list[str]:
    """Returns a line for each case of which a verifier says something else than the table."""
    expected = expectations()
    found = []
    for case in cases:
        of = expected[case.name]
        verdicts = {
            "product": product_says(case.data, case.anchor),
            "verify.py": verify_py_says(case.data, case.anchor),
        }
        for who, verdict in verdicts.items():
            if verdict != Verdict(of.outcome, of.check, of.reason):
                found.append(f"{case.name}: {who} says {verdict}, expected {of}")
    return found


def test_the_corpus_is_the_one_that_the_table_tells_of() -> None:
    """Every case has its row, in order; there are enough, good and bad, and every check is failed by several."""
    expected = expectations()
    broken = [of for of in expected.values() if of.outcome == "BROKEN"]
    by_check = {of.check: sum(other.check == of.check for other in broken) for of in broken}

    assert len(expected) > CASES_MIN
    assert len(expected) - len(broken) > 40
    assert min(by_check.values()) > 2
    assert all(("-is-good" in of.name) <= (of.outcome != "BROKEN") for of in expected.values())


def test_both_verifiers_agree_on_a_part_of_the_corpus() -> None:
    """Outcome, check and reason are those of the table, of each verifier."""
    chosen = set(random.Random(SEED).sample(sorted(expectations()), CASES_SAMPLED))

    assert disagreements(case for case in all_cases() if case.name in chosen) == []


@pytest.mark.torture
def test_both_verifiers_agree_on_all_of_the_corpus() -> None:
    """The same, of every case; and the table has no row without a case."""
    names = []

    def noted() -> Iterable[Case]:
        for case in all_cases():
            names.append(case.name)
            yield case

    assert disagreements(noted()) == []
    assert names == list(expectations())


def test_the_corpus_is_made_in_the_same_bytes_again() -> None:
    """But for what ML-DSA draws, two makings of a case are equal."""
    first = [case.data for case in good_cases.plain() if "ml-dsa" not in case.name]
    second = [case.data for case in good_cases.plain() if "ml-dsa" not in case.name]

    assert first == second


def test_the_corpus_is_written_for_verifiers_outside(tmp_path: Path) -> None:
    """Files, anchors, and what is expected of each, for the page and for strangers."""
    told = write_corpus(tmp_path, lambda case: case.name in ("good/lawful", "good/lawful-without-anchor"))

    assert json.loads((tmp_path / "expectations.json").read_text()) == told
    anchored, without = told
    assert (tmp_path / anchored["dossier"]).is_file()
    assert (tmp_path / anchored["anchor"]).is_file()
    assert (anchored["outcome"], without["outcome"], without["anchor"]) == (
        "VERIFIED",
        "CONSISTENT, ISSUER UNPROVEN",
        "",
    )
