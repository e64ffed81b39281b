"""What is signed is what was shown, and says truly what was seen."""

from datetime import timedelta
from pathlib import Path

import pytest

from cellcustody.clients import LocalStore, Session, Showing, SigningDeclined
from cellcustody.clients.session import schema_digest, unix_micros
from cellcustody.ledger.statements import parse_public_key, read_statement
from cellcustody.ledger.statements.statement import open_body
from cellcustody.v1 import common_pb2, modification_pb2, quality_pb2, statement_pb2, transport_pb2

SITE, CONSIGNMENT, THERAPY = b"s" * 16, b"\x02" + b"c" * 16, b"\x01" + b"t" * 16
DIGEST, LATER = b"\x11" * 32, b"\x22" * 32


def released() -> transport_pb2.CustodyReleased:
    """A release of one container to a ward."""
    return transport_pb2.CustodyReleased(
        releaser=common_pb2.Unit(site=SITE, unit="cell-lab"),
        receiver=common_pb2.Unit(site=b"r" * 16),
        containers=["shipper-1"],
        count=1,
        seals=[common_pb2.SealReading(container="shipper-1", seal="S-77", intact=True)],
    )


def header_of(
    session: Session, stream: bytes, body: transport_pb2.CustodyReleased | modification_pb2.BatchReleased
) -> statement_pb2.Header:
    """The header that a body would get now."""
    return session.draft(stream, body, {}).header


def test_a_signed_statement_is_what_a_ledger_reads(session: Session) -> None:
    """Envelope, header and openings verify as a stranger would verify them."""
    key = parse_public_key(session.signers[0].public_key_spki)
    signed = session.sign(session.draft(CONSIGNMENT, released(), {}), {})

    statement = read_statement(signed.envelope, {key.key_id: key}.get)

    assert statement.digest == signed.digest
    assert open_body(statement, signed.openings, transport_pb2.CustodyReleased) == released()
    assert statement.header.schema_digest == schema_digest()
    assert statement.header.signer.meaning == statement_pb2.MEANING_RELEASED
    assert statement.header.occurred_at.offset_minutes == 120


def test_the_signer_is_shown_every_field_in_words(session: Session) -> None:
    """Name, role, meaning, time with zone, and each field of the body stand in the showing."""
    session.names = {SITE: "Hospital A9999"}

    text = session.draft(CONSIGNMENT, released(), {}).showing.text

    assert "Custody released (fact)" in text
    assert "Collection nurse" in text and "collection_nurse" in text
    assert "2026-05-01 10:30:00 +02:00 (Europe/Berlin)" in text
    assert f"Hospital A9999 [{SITE.hex()}], unit cell-lab" in text
    assert "container: shipper-1; seal: S-77; intact: yes" in text


def test_quantities_are_shown_with_digits_unit_and_basis(session: Session) -> None:
    """No digit is lost or added between the body and the words."""
    body = transport_pb2.ExcursionAlarmed(
        container="shipper-1",
        temperature=common_pb2.Quantity(
            mantissa=-1205,
            exponent=-1,
            unit="Cel",
            comparator=common_pb2.COMPARATOR_GREATER,
            basis=common_pb2.QUANTITY_BASIS_MEASURED,
        ),
    )

    assert "> -120.5 Cel (measured)" in session.draft(CONSIGNMENT, body, {}).showing.text


def test_what_is_not_confirmed_is_not_signed(session: Session) -> None:
    """Whoever declines sees the statement, and no signature is made."""
    shown: list[Showing] = []

    def decline(showing: Showing) -> bool:
        shown.append(showing)
        return False

    with pytest.raises(SigningDeclined):
        session.sign(session.draft(CONSIGNMENT, released(), {}), {"confirm": decline})

    assert [showing.act for showing in shown] == ["Custody released"]


def test_a_fact_has_seen_what_came_last(session: Session, store: LocalStore) -> None:
    """An own statement in the outbox is seen by the next fact."""
    store.note_read(CONSIGNMENT, DIGEST)
    store.note_written(CONSIGNMENT, LATER)

    assert [seen.statement_digest for seen in header_of(session, CONSIGNMENT, released()).seen] == [LATER]


def test_an_authorisation_has_seen_only_what_was_read(session: Session, store: LocalStore) -> None:
    """An own statement does not prove that what others wrote before it was read."""
    store.note_read(THERAPY, DIGEST)
    store.note_written(THERAPY, LATER)
    store.note_links(THERAPY, (CONSIGNMENT,))
    store.note_read(CONSIGNMENT, LATER)

    header = header_of(session, THERAPY, modification_pb2.BatchReleased(batch=b"b" * 16))

    assert [(seen.stream, seen.statement_digest) for seen in header.seen] == [(THERAPY, DIGEST), (CONSIGNMENT, LATER)]


def test_a_consignment_never_shows_whose_therapy_travels(session: Session, store: LocalStore) -> None:
    """Streams of therapies are left out of what a consignment's statement has seen."""
    store.note_read(THERAPY, DIGEST)
    store.note_links(CONSIGNMENT, (THERAPY,))

    assert not header_of(session, CONSIGNMENT, released()).seen


def test_the_devices_counter_survives_a_restart(session: Session, tmp_path: Path) -> None:
    """No number is used twice, though the program ended in between."""
    path = tmp_path / "device.sqlite"
    used = []
    for _ in range(2):
        store = LocalStore(path)
        session.store = store
        used += [header_of(session, CONSIGNMENT, released()).device_counter for _ in range(2)]
        store.close()

    assert used == [1, 2, 3, 4]


def test_an_interval_in_the_past_is_signed_now(session: Session) -> None:
    """When it happened and when it was signed are two times."""
    start = session.clock() - timedelta(hours=3)

    header = session.draft(
        CONSIGNMENT, released(), {"occurred_at": start, "occurred_until": start + timedelta(hours=1)}
    ).header

    assert header.occurred_at.start_unix_micros == unix_micros(start)
    assert header.occurred_at.end_unix_micros == unix_micros(start) + 3_600_000_000
    assert header.signed_at.unix_micros == unix_micros(session.clock())


def test_a_co_signature_joins_a_digest_with_its_own_meaning(session: Session) -> None:
    """It has no body; what it joins and what it means are shown."""
    draft = session.draft_co_signature(THERAPY, DIGEST, statement_pb2.MEANING_VERIFIED, {}, act="Batch released")

    signed = session.sign(draft, {})

    assert draft.header.co_signature.statement_digest == DIGEST
    assert not draft.header.body_type and not signed.openings
    assert "Batch released" in draft.showing.text and "verified" in draft.showing.text


def test_every_body_can_be_shown_and_signed(session: Session) -> None:
    """An empty quality act stands for the others: the table of bodies decides, not a list of our own."""
    draft = session.draft(THERAPY, quality_pb2.StatementRetracted(retracted=DIGEST), {})

    assert draft.header.signer.meaning == statement_pb2.MEANING_APPROVED
    assert draft.showing.kind == "authorisation"
