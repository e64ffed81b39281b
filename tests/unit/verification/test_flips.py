"""No byte of a dossier can be changed unnoticed: not under the ZIP's own checksums, and not by the operator.

The dossier holds five custody statements with all that they need. Two ways of changing a byte:

* as it lies on the disk: found by the container's form at once;
* inside a file of the dossier, by an operator who signs the manifest again and makes the ZIP anew: found by the
  signatures, commitments, chains and the tree. The manifest itself is then left out: it is what the operator signs.

The product finds them, and so does verify.py, which is held to a sample. In the embedded verifiers, on which nothing
rests, the operator's flips are told and break nothing; so many bytes are alike there that a sample stands for them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping

import pytest
from forge import Forge, open_files, sealed_again

from cellcustody.ledger.dossier import EMBEDDED_NAMES, FILE_NAMES
from cellcustody.ledger.dossier.layout import MANIFEST
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.verification import Check, DossierError, Outcome, Result, verify_dossier
from corpus import verify_py_says

SEED = 20261122
SAMPLED_RAW = 1_500
SAMPLED_SEALED = 450
SAMPLED_EMBEDDED = 50  # Together the 2,000 of a plain run.

Finds = Callable[[bytes, Anchor], bool]
Place = tuple[str, int]


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


def product_finds(data: bytes, anchor: Anchor) -> bool:
    """Tells whether the product refuses a dossier, or tells of another verifier inside."""
    try:
        report = verify_dossier(data, anchor)
    except DossierError:
        return True
    return report.line(Check.EMBEDDED_VERIFIERS).result is Result.UNVERIFIED


def verify_py_finds(data: bytes, anchor: Anchor) -> bool:
    """Tells whether verify.py refuses a dossier."""
    return verify_py_says(data, anchor).outcome == "BROKEN"


def undetected_raw(
    forge: Forge, data: bytes, places: Iterable[int], draw: random.Random, finds: Finds = product_finds
) -> list[int]:
    """Returns the offsets of the file whose flip nobody notices."""
    anchor = forge.anchor
    return [at for at in places if not finds(flipped(data, at, draw.randrange(8)), anchor)]


def undetected_sealed(
    forge: Forge, files: Mapping[str, bytes], places: Iterable[Place], draw: random.Random, finds: Finds = product_finds
) -> list[Place]:
    """Returns (file, offset) of the flips that survive an operator's new manifest."""
    anchor = forge.anchor
    missed = []
    for name, at in places:
        bent = {**files, name: flipped(files[name], at, draw.randrange(8))}
        if not finds(sealed_again(bent, forge), anchor):
            missed.append((name, at))
    return missed


def places_under_the_manifest(files: Mapping[str, bytes], *, embedded: bool) -> list[Place]:
    """Returns every (file, offset) that an operator may bend: of the embedded verifiers, or of the other files."""
    names = [name for name in FILE_NAMES if name != MANIFEST and (name in EMBEDDED_NAMES) is embedded]
    return [(name, at) for name in names for at in range(len(files[name]))]


def test_a_sample_of_flipped_bytes_is_found(five: Forge) -> None:
    """Each of a seeded sample of bytes, turned by one bit, is found."""
    data = five.dossier().data
    assert verify_dossier(data, five.anchor).outcome is Outcome.VERIFIED
    draw = random.Random(SEED)

    assert undetected_raw(five, data, draw.sample(range(len(data)), SAMPLED_RAW), draw) == []


def test_a_sample_of_bytes_flipped_by_the_operator_is_found(five: Forge) -> None:
    """An operator with the service key can sign a manifest anew, and nothing else."""
    files = open_files(five.dossier().data)
    draw = random.Random(SEED)
    places = draw.sample(places_under_the_manifest(files, embedded=False), SAMPLED_SEALED)
    places += draw.sample(places_under_the_manifest(files, embedded=True), SAMPLED_EMBEDDED)

    assert undetected_sealed(five, files, places, draw) == []


def test_verify_py_finds_flipped_bytes_too(five: Forge) -> None:
    """The same two samples, smaller, by the verifier that a dossier carries."""
    data = five.dossier().data
    files = open_files(data)
    assert verify_py_says(data, five.anchor).outcome == "VERIFIED"
    draw = random.Random(SEED)
    raw = draw.sample(range(len(data)), SAMPLED_RAW // 5)
    sealed = draw.sample(places_under_the_manifest(files, embedded=False), SAMPLED_SEALED // 5)

    assert undetected_raw(five, data, raw, draw, verify_py_finds) == []
    assert undetected_sealed(five, files, sealed, draw, verify_py_finds) == []


@pytest.mark.torture
def test_every_byte_flipped_is_found(five: Forge) -> None:
    """Every byte of the file, one at a time."""
    data = five.dossier().data

    assert undetected_raw(five, data, range(len(data)), random.Random(SEED)) == []


@pytest.mark.torture
@pytest.mark.parametrize("finds", [product_finds, verify_py_finds])
def test_every_byte_flipped_by_the_operator_is_found(five: Forge, finds: Finds) -> None:
    """Every byte of every file under the manifest, one at a time, the manifest signed anew each time."""
    files = open_files(five.dossier().data)
    places = places_under_the_manifest(files, embedded=False)

    assert undetected_sealed(five, files, places, random.Random(SEED), finds) == []


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
