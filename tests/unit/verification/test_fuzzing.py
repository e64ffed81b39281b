"""Dossiers that nobody thought of: each verifier comes to a verdict, and both to the same.

A plain run takes a seeded sample. `make torture` takes more: CELLCUSTODY_FUZZED_DOSSIERS says how many, from the seed
CELLCUSTODY_FUZZING_SEED.
"""

from __future__ import annotations

import os

import pytest

from corpus import product_says, verify_py_says
from corpus.fuzzing import mutants

SEED = 20261123
SAMPLED = 160
COUNT_VARIABLE, SEED_VARIABLE = "CELLCUSTODY_FUZZED_DOSSIERS", "CELLCUSTODY_FUZZING_SEED"
COUNT_BY_DEFAULT = 20_000  # A quarter of an hour of one core.


def disagreements(seed: int, count: int) -> list[str]:
    """Returns a line for each dossier of which the two say something else; whatever else they raise is not caught."""
    found = []
    for case in mutants(seed, count):
        product, script = product_says(case.data, case.anchor), verify_py_says(case.data, case.anchor)
        if product != script:
            found.append(f"{case.name}: the product says {product}, verify.py {script}")
    return found


def test_a_sample_of_fuzzed_dossiers_gets_the_same_verdicts() -> None:
    """Outcome, first check that fails, and reason."""
    assert disagreements(SEED, SAMPLED) == []


def test_the_same_seed_gives_the_same_dossiers() -> None:
    """A disagreement can be made again from its name."""
    first, second = ([case.data for case in mutants(SEED, 12)] for _ in range(2))

    assert first == second


@pytest.mark.torture
def test_many_fuzzed_dossiers_get_the_same_verdicts() -> None:
    """The same, for as long as one likes."""
    seed = int(os.environ.get(SEED_VARIABLE, SEED))
    count = int(os.environ.get(COUNT_VARIABLE, COUNT_BY_DEFAULT))

    assert disagreements(seed, count) == []
