"""Evidence that an operator forged, in dossiers whose manifest they signed themselves: each named by its defect."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from stamped_ledger import Changed, StampedLedger, stamped_ledger

from cellcustody.ledger.timestamps import Stamp, encode_item, parse_item
from cellcustody.ledger.verification import Check, Result, verify_dossier
from cellcustody.ledger.verification.errors import TimeInvalidError
from cellcustody.v1 import timestamps_pb2


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StampedLedger]:
    """A ledger with two stamps and a renewal, and a statement after all of them."""
    with stamped_ledger(tmp_path_factory.mktemp("ledger")) as opened:
        opened.trusts("tsa-one.example")
        opened.stamps()
        opened.says("between")
        opened.stamps()
        opened.says("before the renewal")
        opened.renews("sha512")
        opened.says("after it")
        yield opened


def forged(ledger: StampedLedger, change: Changed) -> str:
    """Returns how a dossier with this change is refused."""
    data = ledger.dossier_under(ledger.harness.ledger.checkpoint(), change)
    with pytest.raises(TimeInvalidError) as refusal:
        verify_dossier(data, ledger.anchor(*ledger.authorities))
    report = refusal.value.report
    assert report is not None
    assert report.line(Check.TIME).result is Result.FAILED
    return str(refusal.value)


def with_message(change: object) -> Changed:
    """Returns the change of a message as one of bytes."""

    def changed(raw: bytes) -> bytes:
        message = timestamps_pb2.DossierTimestamps.FromString(raw)
        change(message)  # type: ignore[operator]  # A function that changes the message in place.
        return message.SerializeToString(deterministic=True)

    return changed


def test_the_honest_one_is_taken(ledger: StampedLedger) -> None:
    report = verify_dossier(ledger.dossier(), ledger.anchor(*ledger.authorities))
    assert report.line(Check.TIME).result is Result.PASSED


def test_no_bytes_at_all_are_no_evidence(ledger: StampedLedger) -> None:
    data = ledger.dossier_under(ledger.harness.ledger.checkpoint(), lambda raw: b"")
    report = verify_dossier(data, ledger.anchor(*ledger.authorities))
    assert report.line(Check.TIME).result is Result.UNVERIFIED


def swap(message: timestamps_pb2.DossierTimestamps) -> None:
    first, second = message.evidence[0], timestamps_pb2.DossierEvidence()
    second.CopyFrom(message.evidence[1])
    message.evidence[1].CopyFrom(first)
    first.CopyFrom(second)


def twice(message: timestamps_pb2.DossierTimestamps) -> None:
    message.evidence.insert(1, message.evidence[0])


def without_proof(message: timestamps_pb2.DossierTimestamps) -> None:
    del message.evidence[0].consistency[-1]


def longer_proof(message: timestamps_pb2.DossierTimestamps) -> None:
    message.evidence[0].consistency.append(bytes(32))


def other_root(message: timestamps_pb2.DossierTimestamps) -> None:
    item = parse_item(message.evidence[0].item)
    assert isinstance(item.record, Stamp)
    record = Stamp(item.record.origin, item.record.size, bytes(32), item.record.note_sha512)
    message.evidence[0].item = encode_item(item.number, record, item.tokens)


def other_origin(message: timestamps_pb2.DossierTimestamps) -> None:
    item = parse_item(message.evidence[0].item)
    assert isinstance(item.record, Stamp)
    record = Stamp("other.example/log", item.record.size, item.record.root, item.record.note_sha512)
    message.evidence[0].item = encode_item(item.number, record, item.tokens)


def other_note(message: timestamps_pb2.DossierTimestamps) -> None:
    item = parse_item(message.evidence[0].item)
    assert isinstance(item.record, Stamp)
    record = Stamp(item.record.origin, item.record.size, item.record.root, bytes(64))
    message.evidence[0].ClearField("recorded")
    message.evidence[0].item = encode_item(item.number, record, item.tokens)


def exchanged_tokens(message: timestamps_pb2.DossierTimestamps) -> None:
    one, other = (parse_item(message.evidence[place].item) for place in (0, 1))
    message.evidence[0].ClearField("recorded")
    message.evidence[0].item = encode_item(one.number, one.record, other.tokens)


def recorded_by_another(message: timestamps_pb2.DossierTimestamps) -> None:
    message.evidence[0].recorded.CopyFrom(message.evidence[1].recorded)


def recorded_earlier(message: timestamps_pb2.DossierTimestamps) -> None:
    message.evidence[1].recorded.leaf_index -= 1


def recorded_closed(message: timestamps_pb2.DossierTimestamps) -> None:
    del message.evidence[0].recorded.openings[0]


def stamp_with_renewal(message: timestamps_pb2.DossierTimestamps) -> None:
    message.evidence[0].renewed_entries = bytes(64)


def renewal_of_other_entries(message: timestamps_pb2.DossierTimestamps) -> None:
    proof = bytearray(message.evidence[2].renewed_entries)
    proof[0] ^= 1
    message.evidence[2].renewed_entries = bytes(proof)


def renewal_of_other_items(message: timestamps_pb2.DossierTimestamps) -> None:
    message.evidence[2].renewed_evidence += bytes(64)


def certificate_twice(message: timestamps_pb2.DossierTimestamps) -> None:
    message.certificates.insert(0, message.certificates[0])


def no_certificate(message: timestamps_pb2.DossierTimestamps) -> None:
    message.certificates.insert(0, b"\x30\x00")


@pytest.mark.parametrize(
    "change",
    [
        swap,
        twice,
        without_proof,
        longer_proof,
        other_root,
        other_origin,
        other_note,
        exchanged_tokens,
        recorded_by_another,
        recorded_earlier,
        recorded_closed,
        stamp_with_renewal,
        renewal_of_other_entries,
        renewal_of_other_items,
        certificate_twice,
        no_certificate,
    ],
)
def test_forged_evidence_is_a_broken_link(ledger: StampedLedger, change: object) -> None:
    assert "TIME_INVALID" in forged(ledger, with_message(change))


def test_an_item_left_out_of_what_a_renewal_proves(ledger: StampedLedger) -> None:
    """The proof is for the very items that are given; with one less it is another."""

    def left_out(message: timestamps_pb2.DossierTimestamps) -> None:
        del message.evidence[0]

    assert "TIME_INVALID" in forged(ledger, with_message(left_out))


@pytest.mark.parametrize("raw", [b"\x00", b"\x0a", b"\x0a\x00", b"\x12\x00", b"\x18\x01"])
def test_bytes_that_are_no_evidence(ledger: StampedLedger, raw: bytes) -> None:
    assert "TIME_INVALID" in forged(ledger, lambda _: raw)


def test_a_bit_turned_shows_no_more(ledger: StampedLedger) -> None:
    """The operator turns one bit of the evidence and signs the manifest anew: it is refused, or shows no more."""
    anchor = ledger.anchor(*ledger.authorities)
    note = ledger.harness.ledger.checkpoint()
    kept: list[bytes] = []
    honest = verify_dossier(ledger.dossier_under(note, lambda raw: kept.append(raw) or raw), anchor)
    drawn = random.Random(2056)
    for _ in range(60):
        at = drawn.randrange(len(kept[0]) * 8)

        def turned(raw: bytes, at: int = at) -> bytes:
            changed = bytearray(raw)
            changed[at // 8] ^= 1 << at % 8
            return bytes(changed)

        try:
            report = verify_dossier(ledger.dossier_under(note, turned), anchor)
        except TimeInvalidError:
            continue
        for before, after in zip(honest.statements, report.statements, strict=True):
            # A token that is nobody's any more shows less, as if it had been left out; never more.
            assert after.not_before is None or (before.not_before and after.not_before <= before.not_before), at
            assert after.not_after is None or (before.not_after and after.not_after >= before.not_after), at
