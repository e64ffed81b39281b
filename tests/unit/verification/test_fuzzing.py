"""Dossiers that nobody thought of: each verifier comes to a verdict, and both to the same.

A plain run takes a seeded sample. `make torture` takes more: CELLCUSTODY_FUZZED_DOSSIERS says how many, from the seed
CELLCUSTODY_FUZZING_SEED.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import encode_anchor, parse_anchor
from cellcustody.ledger.transparency import Ed25519Cosigner, parse_checkpoint, parse_policy
from corpus import product_says, verify_py_says
from corpus.fuzzing import mutants
from corpus.verdicts import load_verify_py
from corpus.world import lawful

SEED = 20261123
SAMPLED = 160
SMALL_FILES = 3_000
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


def bent_text(draw: random.Random, text: str) -> bytes:
    """Returns a text with a few characters changed into others that such texts are made of, or that look like them."""
    raw = text.encode()
    for _ in range(draw.choice((1, 1, 2, 3))):
        at = draw.randrange(len(raw) + 1)
        piece = draw.choice(_PIECES).encode("utf-8", "surrogatepass")
        cut = draw.choice((0, 1, 1, 5))
        raw = raw[:at] + piece + raw[at + cut :] if draw.randrange(3) else raw[:at] + raw[at + cut :]
    return raw


_PIECES = [" ", "\n", "\t", "\r", "+", "=", "0", "-1", "١", "\u2028", "\u00a0", "—", '"', ",", "\\ud800", "\\u0041"]
_PIECES += [
    "witness w9 ",
    "quorum none\n",
    "log ",
    "#",
    "any",
    "all",
    "group g 1 w0\n",
    "[",
    "]",
    "{",
    "}",
    "null",
    "é",
]


def accepted(read: Callable[[bytes], object], raw: bytes, *refusals: type[Exception]) -> bool:
    """Tells whether a reader takes some bytes; anything but its own refusals is an error."""
    try:
        read(raw)
    except refusals:
        return False
    return True


@pytest.mark.parametrize("what", ["anchor", "policy", "checkpoint"])
def test_small_files_are_read_alike(what: str) -> None:
    """Anchors, witness policies and signed checkpoints: taken by both, or refused by both."""
    script = load_verify_py()
    world = lawful(is_post_quantum=True)
    witnesses = "".join(f"witness w{n} {_witness(n)}\n" for n in range(3))
    policy = f"log {world.anchor.log_keys[0]}\n{witnesses}group two 2 w0 w1 w2\nquorum two\n"
    anchor = replace(world.anchor, witness_policy=policy)
    text, by_product, by_script = {
        "anchor": (encode_anchor(anchor).decode(), parse_anchor, script.read_anchor),
        "policy": (policy, parse_policy, script.read_policy),
        "checkpoint": (world.checkpoint().decode(), parse_checkpoint, script.read_checkpoint),
    }[what]
    draw = random.Random(SEED)
    taken = 0
    for number in range(SMALL_FILES):
        raw = bent_text(draw, text)
        one = accepted(by_product, raw, CellcustodyError)
        assert accepted(by_script, raw, script.Defect) is one, (number, raw)
        taken += one
    assert SMALL_FILES * 0.01 < taken < SMALL_FILES * 0.9


def _witness(number: int) -> str:
    key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    return Ed25519Cosigner(f"witness{number}.example", key).vkey


@pytest.mark.torture
def test_many_fuzzed_dossiers_get_the_same_verdicts() -> None:
    """The same, for as long as one likes."""
    seed = int(os.environ.get(SEED_VARIABLE, SEED))
    count = int(os.environ.get(COUNT_VARIABLE, COUNT_BY_DEFAULT))

    assert disagreements(seed, count) == []
