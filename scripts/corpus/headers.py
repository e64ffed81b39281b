"""Headers that no statement may have, signed as they are."""

from __future__ import annotations

from collections.abc import Iterator

from cellcustody.ledger.custody.act import Judged, Status
from cellcustody.v1 import statement_pb2
from corpus.cases import Case, Family
from corpus.envelopes import enrolled, hold
from corpus.good import anchored
from corpus.world import HeaderChange, drawn

__all__ = ["FAMILY"]

FAMILY = Family("headers")
Header = statement_pb2.Header


def _seen(header: Header, *pairs: tuple[bytes, bytes]) -> None:
    for stream, digest in pairs:
        header.seen.add(stream=stream, statement_digest=digest)


_CHANGES: list[tuple[str, HeaderChange]] = [
    ("ledger-of-15-bytes", lambda h: setattr(h, "ledger_id", h.ledger_id[:15])),
    ("ledger-absent", lambda h: h.ClearField("ledger_id")),
    ("another-ledger", lambda h: setattr(h, "ledger_id", bytes(15) + b"\x01")),
    ("statement-id-short", lambda h: setattr(h, "statement_id", h.statement_id[:15])),
    ("statement-id-version-4", lambda h: setattr(h, "statement_id", _with(h.statement_id, 6, 0x40))),
    ("statement-id-variant", lambda h: setattr(h, "statement_id", _with(h.statement_id, 8, 0xC0))),
    ("stream-short", lambda h: setattr(h, "stream", h.stream[:16])),
    ("stream-kind-0", lambda h: setattr(h, "stream", b"\0" + h.stream[1:])),
    ("stream-kind-11", lambda h: setattr(h, "stream", b"\x0b" + h.stream[1:])),
    ("stream-of-zeros", lambda h: setattr(h, "stream", b"\x01" + bytes(16))),
    ("stream-of-the-registry-drawn", lambda h: setattr(h, "stream", b"\x06" + h.stream[1:])),
    ("stream-of-an-equipment", lambda h: setattr(h, "stream", b"\x0a" + h.stream[1:])),
    ("seen-descends", lambda h: _seen(h, (b"\x02" + bytes(15) + b"\x01", bytes(32)), (h.stream, bytes(32)))),
    ("seen-twice", lambda h: _seen(h, (h.stream, bytes(32)), (h.stream, bytes(32)))),
    ("seen-digest-short", lambda h: _seen(h, (h.stream, bytes(31)))),
    ("seen-no-stream", lambda h: _seen(h, (b"", bytes(32)))),
    ("body-type-absent", lambda h: h.ClearField("body_type")),
    ("body-type-unknown", lambda h: setattr(h, "body_type", "cellcustody.v1.GiftMade")),
    ("body-type-of-no-act", lambda h: setattr(h, "body_type", "cellcustody.v1.Header")),
    ("body-type-of-another-stream", lambda h: setattr(h, "body_type", "cellcustody.v1.ConsignmentOpened")),
    ("body-type-too-long", lambda h: setattr(h, "body_type", "a" * 129)),
    ("body-type-not-ascii", lambda h: setattr(h, "body_type", "cellcustody.v1.Höld")),
    ("role-absent", lambda h: h.signer.ClearField("role")),
    ("role-with-control-character", lambda h: setattr(h.signer, "role", "a\tb")),
    ("meaning-absent", lambda h: h.signer.ClearField("meaning")),
    ("meaning-unknown", lambda h: setattr(h.signer, "meaning", 99)),
    ("authentication-absent", lambda h: h.signer.ClearField("authentication")),
    ("signer-absent", lambda h: h.ClearField("signer")),
    ("signer-id-short", lambda h: setattr(h.signer, "signer_id", h.signer.signer_id[:15])),
    ("no-key-id", lambda h: h.signer.ClearField("key_ids")),
    ("key-id-short", lambda h: h.signer.key_ids.__setitem__(0, h.signer.key_ids[0][:31])),
    ("key-ids-twice", lambda h: h.signer.key_ids.append(h.signer.key_ids[0])),
    ("another-key-declared-too", lambda h: h.signer.key_ids.append(b"\xff" * 32)),
    ("another-key-declared-instead", lambda h: h.signer.key_ids.__setitem__(0, b"\xff" * 32)),
    ("device-absent", lambda h: h.ClearField("device")),
    ("schema-digest-short", lambda h: setattr(h, "schema_digest", h.schema_digest[:31])),
    ("schema-digest-absent", lambda h: h.ClearField("schema_digest")),
    ("schema-never-published", lambda h: setattr(h, "schema_digest", drawn("no schema"))),
    ("policy-digest-short", lambda h: setattr(h, "policy_digest", bytes(31))),
    ("policy-never-published", lambda h: setattr(h, "policy_digest", drawn("no policy"))),
    ("occurred-at-absent", lambda h: h.ClearField("occurred_at")),
    ("occurred-at-zero", lambda h: h.occurred_at.ClearField("start_unix_micros")),
    ("occurred-before-1970", lambda h: setattr(h.occurred_at, "start_unix_micros", -5)),
    ("occurred-after-9999", lambda h: setattr(h.occurred_at, "start_unix_micros", 1 << 60)),
    ("interval-ends-before-it-starts", lambda h: setattr(h.occurred_at, "end_unix_micros", 1)),
    ("signed-at-absent", lambda h: h.ClearField("signed_at")),
    ("signed-at-zero", lambda h: h.signed_at.ClearField("unix_micros")),
    ("offset-of-19-hours", lambda h: setattr(h.signed_at, "offset_minutes", 19 * 60)),
    ("offset-of-minus-19-hours", lambda h: setattr(h.occurred_at, "offset_minutes", -19 * 60)),
    ("zone-absent", lambda h: h.signed_at.ClearField("zone")),
    ("clock-source-absent", lambda h: h.occurred_at.ClearField("clock_source")),
    ("clock-source-unknown", lambda h: setattr(h.signed_at, "clock_source", 7)),
    ("joins-without-being-a-co-signature", lambda h: setattr(h.co_signature, "statement_digest", bytes(32))),
]


def _with(raw: bytes, at: int, value: int) -> bytes:
    return raw[:at] + bytes([value | raw[at] & 0x0F]) + raw[at + 1 :]


@FAMILY
def changed() -> Iterator[Case]:
    """A statement of the nurse with one thing in its header changed before it was signed."""
    for name, change in _CHANGES:
        world = enrolled()
        payload, kind, openings = world.payload_of(hold(), world.nurse, world.therapy, change=change)
        world.put(world.signed(payload, kind, world.nurse.signer), openings)
        yield anchored(world, name)
    world = enrolled()
    many = [(b"\x04" + n.to_bytes(16, "big"), bytes(32)) for n in range(1, 258)]
    payload, kind, openings = world.payload_of(
        hold(), world.nurse, world.therapy, change=lambda header: _seen(header, *many)
    )
    world.put(world.signed(payload, kind, world.nurse.signer), openings)
    yield anchored(world, "seen-in-257-streams")


@FAMILY
def co_signatures() -> Iterator[Case]:
    """Co-signatures with a body type, with records, joining nothing."""
    changes: list[tuple[str, HeaderChange]] = [
        ("co-signature-with-a-body-type", lambda h: setattr(h, "body_type", "cellcustody.v1.HoldPlaced")),
        ("co-signature-of-nothing", lambda h: h.ClearField("co_signature")),
        ("co-signature-digest-short", lambda h: setattr(h.co_signature, "statement_digest", bytes(31))),
    ]
    for name, change in changes:
        world = enrolled()
        digest = world.places_hold()
        payload, kind, _ = world.payload_of(None, world.second_nurse, world.therapy, joins=digest, change=change)
        world.put(world.signed(payload, kind, world.second_nurse.signer), (), Judged(Status.RECORDED))
        yield anchored(world, name)
    world = enrolled()
    digest = world.places_hold()
    body, _, openings = world.payload_of(hold(), world.second_nurse, world.therapy)
    empty, kind, _ = world.payload_of(None, world.second_nurse, world.therapy, joins=digest)
    message = statement_pb2.Payload.FromString(empty)
    other = statement_pb2.Payload.FromString(body)
    message.body_root = other.body_root
    message.body_fields.extend(other.body_fields)
    raw = message.SerializeToString(deterministic=True)
    world.put(world.signed(raw, kind, world.second_nurse.signer), openings, Judged(Status.RECORDED))
    yield anchored(world, "co-signature-with-a-body")
