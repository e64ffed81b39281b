"""No byte of a dossier can be changed unnoticed: not under the ZIP's own checksums, and not by the operator.

The dossier holds five custody statements with all that they need. Two ways of changing a byte:

* as it lies on the disk: found by the container's form at once;
* inside a file of the dossier, by an operator who signs the manifest again and makes the ZIP anew: found by the
  signatures, commitments, chains and the tree. The manifest itself is then left out: it is what the operator signs.
"""

from __future__ import annotations

import random

import pytest
from forge import Forge, open_files, sealed_again

from cellcustody.ledger.dossier import EMBEDDED_NAMES, FILE_NAMES
from cellcustody.ledger.dossier.layout import MANIFEST
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.verification import Check, DossierError, Outcome, Result, verify_dossier

SEED = 20261122
SAMPLED_RAW = 1_500
SAMPLED_SEALED = 500  # Together the 2,000 of a plain run.


@pytest.fixture(scope="module")
def five() -> Forge:
    """A ledger with five custody statements beside its registry, and others of no concern to the dossier."""
    forge = Forge().founds()
    forge.records_elsewhere()
    enrolment = forge.enrols()
    opened = forge.opens_consignment()
    forge.records_elsewhere()
    forge.packs(seen=[(forge.therapy, enrolment), (forge.consignment, opened)])
    established = forge.establishes_custody()
    forge.joins(established, forge.second_nurse, forge.therapy, completes=True)
    forge.records_elsewhere()
    return forge


def flipped(data: bytes, at: int, bit: int) -> bytes:
    """Returns the bytes with one bit turned."""
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def undetected_raw(forge: Forge, data: bytes, places: list[int], draw: random.Random) -> list[int]:
    """Returns the offsets of the file whose flip nobody notices."""
    anchor = forge.anchor
    missed = []
    for at in places:
        try:
            verify_dossier(flipped(data, at, draw.randrange(8)), anchor)
        except DossierError:
            continue
        missed.append(at)
    return missed


def undetected_sealed(forge: Forge, data: bytes, places: list[int], draw: random.Random) -> list[tuple[str, int]]:
    """Returns (file, offset) of the flips that survive an operator's new manifest."""
    anchor = forge.anchor
    files = open_files(data)
    table = [(name, at) for name in FILE_NAMES if name != MANIFEST for at in range(len(files[name]))]
    missed = []
    for place in places:
        name, at = table[place % len(table)]
        bent = {**files, name: flipped(files[name], at, draw.randrange(8))}
        try:
            report = verify_dossier(sealed_again(bent, forge), anchor)
        except DossierError:
            continue
        # A verifier that an operator bent is told by its digest, and fails nothing: no check rests on it.
        if name not in EMBEDDED_NAMES or report.line(Check.EMBEDDED_VERIFIERS).result is not Result.UNVERIFIED:
            missed.append((name, at))
    return missed


def test_a_sample_of_flipped_bytes_is_found(five: Forge) -> None:
    """Each of a seeded sample of bytes, turned by one bit, is found."""
    data = five.dossier().data
    assert verify_dossier(data, five.anchor).outcome is Outcome.VERIFIED
    draw = random.Random(SEED)

    assert undetected_raw(five, data, draw.sample(range(len(data)), SAMPLED_RAW), draw) == []


def test_a_sample_of_bytes_flipped_by_the_operator_is_found(five: Forge) -> None:
    """An operator with the service key can sign a manifest anew, and nothing else."""
    data = five.dossier().data
    draw = random.Random(SEED)
    places = draw.sample(range(len(data)), SAMPLED_SEALED)

    assert undetected_sealed(five, data, places, draw) == []


@pytest.mark.torture
def test_every_byte_flipped_is_found(five: Forge) -> None:
    """Every byte of the file, one at a time."""
    data = five.dossier().data

    assert undetected_raw(five, data, list(range(len(data))), random.Random(SEED)) == []


@pytest.mark.torture
def test_every_byte_flipped_by_the_operator_is_found(five: Forge) -> None:
    """Every byte of every file under the manifest, one at a time, the manifest signed anew each time."""
    data = five.dossier().data
    length = sum(len(content) for name, content in open_files(data).items() if name != MANIFEST)

    assert undetected_sealed(five, data, list(range(length)), random.Random(SEED)) == []


def test_no_input_ends_in_anything_but_a_verdict(five: Forge) -> None:
    """Random bytes, and dossiers with random stretches, end in an error of this project's tree."""
    data = five.dossier().data
    draw = random.Random(SEED)
    for _ in range(300):
        start = draw.randrange(len(data))
        bent = data[:start] + draw.randbytes(draw.randrange(1, 64)) + data[start + draw.randrange(64) :]
        with pytest.raises(CellcustodyError):
            verify_dossier(bent, five.anchor)
        with pytest.raises(CellcustodyError):
            verify_dossier(draw.randbytes(draw.randrange(400)))
