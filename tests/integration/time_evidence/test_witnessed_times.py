"""Witnesses' cosignatures as evidence of time, alone and beside authorities, and when their algorithm is broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from stamped_ledger import StampedLedger, stamped_ledger

from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.timestamps import AlgorithmPolicy, Broken
from cellcustody.ledger.transparency import (
    Ed25519Cosigner,
    MlDsa44NoteSigner,
    NoteSigner,
    add_cosignatures,
    parse_note,
)
from cellcustody.ledger.verification import Check, Outcome, Result, verify_dossier
from cellcustody.ledger.verification.standpoint import Standpoint

SECOND = timedelta(seconds=1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[StampedLedger]:
    with stamped_ledger(tmp_path) as opened:
        yield opened


def witnessed_by(anchor: Anchor, quorum: int, *witnesses: NoteSigner) -> Anchor:
    """Returns an anchor that asks for so many of these witnesses."""
    lines = [f"log {anchor.log_keys[0]}"]
    lines += [f"witness w{number} {one.vkey}" for number, one in enumerate(witnesses)]
    lines.append(f"group all {quorum} {' '.join(f'w{number}' for number in range(len(witnesses)))}")
    return replace(anchor, witness_policy="".join(f"{line}\n" for line in [*lines, "quorum all"]))


def cosigned(ledger: StampedLedger, note: bytes, *told: tuple[NoteSigner, timedelta]) -> bytes:
    """Returns the note with cosignatures, each so long after now."""
    text = parse_note(note).text
    lines = [one.sign(text, int((ledger.now + after).timestamp())) for one, after in told]
    return add_cosignatures(note, lines)


def test_a_quorum_of_witnesses_bounds_every_entry(ledger: StampedLedger) -> None:
    """By the time at which enough of them had cosigned; one that is early alone says nothing."""
    early, middle, late = (Ed25519Cosigner(f"w{number}.example", Ed25519PrivateKey.generate()) for number in range(3))
    note = cosigned(
        ledger,
        ledger.harness.ledger.checkpoint(),
        (early, timedelta(days=-300)),
        (middle, 5 * SECOND),
        (late, timedelta(days=300)),
    )

    report = verify_dossier(ledger.dossier_under(note), witnessed_by(ledger.anchor(), 2, early, middle, late))

    line = report.line(Check.TIME)
    assert (line.result, line.checked) == (Result.PASSED, len(report.statements))
    assert {verdict.not_after for verdict in report.statements} == {ledger.now + 6 * SECOND}


def test_a_cosigned_note_is_stamped_as_the_log_signed_it(ledger: StampedLedger) -> None:
    """Witnesses' lines come later and differ by reader; the stamp is of the log's own signatures."""
    authority = ledger.trusts("tsa-one.example", years=40)
    note = ledger.harness.ledger.checkpoint()
    witness = Ed25519Cosigner("w.example", Ed25519PrivateKey.generate())
    with_witness = cosigned(ledger, note, (witness, SECOND))
    assert ledger.stamper().stamp(with_witness) == ledger.stamper().stamp(note)

    at = datetime(2050, 1, 1, tzinfo=UTC)
    both = AlgorithmPolicy({"ed25519": Broken(at), "ml-dsa-44": Broken(at)})
    report = verify_dossier(
        ledger.dossier_under(with_witness),
        witnessed_by(ledger.anchor(authority), 1, witness),
        standpoint=Standpoint(datetime(2056, 1, 1, tzinfo=UTC), both),
    )
    assert report.outcome is Outcome.VERIFIED
    assert report.line(Check.CHECKPOINT).result is Result.PASSED
    # No stamp covers the witness's line: what it is worth when its algorithm is broken nobody can tell.
    assert report.line(Check.WITNESSES).result is Result.UNVERIFIED


def test_witnesses_whose_algorithm_stands_still_count(ledger: StampedLedger) -> None:
    """Of a quorum of one, an ML-DSA-44 witness is enough when Ed25519 is broken."""
    classical = Ed25519Cosigner("w1.example", Ed25519PrivateKey.generate())
    lasting = MlDsa44NoteSigner("w2.example", MLDSA44PrivateKey.generate())
    note = cosigned(ledger, ledger.harness.ledger.checkpoint(), (classical, SECOND), (lasting, 9 * SECOND))
    anchor = witnessed_by(ledger.anchor(), 1, classical, lasting)
    data = ledger.dossier_under(note)

    assert verify_dossier(data, anchor).statements[0].not_after == ledger.now + 2 * SECOND

    broken = AlgorithmPolicy({"ed25519": Broken(from_leaf=ledger.position)})
    report = verify_dossier(data, anchor, standpoint=Standpoint(None, broken))
    assert report.line(Check.WITNESSES).result is Result.PASSED
    assert report.statements[0].not_after == ledger.now + 10 * SECOND


def test_a_certificate_that_is_distrusted_from_a_date(ledger: StampedLedger) -> None:
    """A thief had the authority's key from then on: what it stamped before is renewed, or is worth nothing."""
    stolen, other = ledger.trusts("tsa-one.example"), ledger.trusts("tsa-two.example")
    ledger.stamps(stolen)
    before = ledger.now
    ledger.goes_on(timedelta(days=30))
    name = f"certificate:{stolen.keys.certificate.fingerprint(SHA256()).hex()}"
    distrusted = AlgorithmPolicy({name: Broken(ledger.now)})
    ledger.goes_on(timedelta(days=30))
    at = Standpoint(ledger.now, distrusted)
    anchor = ledger.anchor(stolen, other)
    assert verify_dossier(ledger.dossier(), anchor, standpoint=at).line(Check.TIME).result is Result.UNVERIFIED

    ledger.renews("sha512", other)  # Too late for it: it was distrusted by then.
    report = verify_dossier(ledger.dossier(), anchor, standpoint=replace(at, now=ledger.now))
    assert report.statements[0].not_after == ledger.now + SECOND > before
