"""The files inside: entries.bin, bodies.binpb, proof.bin, and the wire form of entries, under a lawful manifest."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from cellcustody.ledger.dossier import encode_entries
from cellcustody.ledger.dossier.layout import BODIES, ENTRIES, PROOF
from cellcustody.v1 import dossier_pb2, entry_pb2, harvest_pb2
from corpus.cases import Case, Family
from corpus.good import anchored
from corpus.world import World, flip, founded, lawful, sealed

__all__ = ["FAMILY", "appended"]

FAMILY = Family("files")


@FAMILY
def entries() -> Iterator[Case]:
    """entries.bin in another form, or with other entries."""
    world = lawful()
    files = world.files()
    raw = files[ENTRIES]
    given = [(one.leaf_index, one.entry) for one in world.leaves()]
    last, entry = given[-1]
    for name, bent in (
        ("entries-empty", b""),
        ("entries-cut-in-a-head", raw + b"\0\0\0"),
        ("entries-cut-in-an-entry", raw[:-1]),
        ("entries-byte-behind", raw + b"\0"),
        ("entries-descend", encode_entries([*given[:-2], given[-1], given[-2]])),
        ("entries-repeated", encode_entries([*given, given[-1]])),
        ("entry-of-no-bytes", encode_entries([*given[:-1], (last, b"")])),
        ("entry-index-beyond-64-bits-of-the-tree", encode_entries([*given[:-1], ((1 << 64) - 1, entry)])),
        ("entry-longer-than-told", raw[: -len(entry) - 2] + struct.pack(">H", len(entry) + 1) + entry),
        ("entries-swapped", encode_entries([*given[:-2], (given[-2][0], entry), (last, given[-2][1])])),
        ("entry-moved-to-a-leaf-of-others", encode_entries([*given[:-1], (last + 1, entry)])),
        ("first-entry-missing", encode_entries(given[1:])),
        ("entry-bit-flipped", encode_entries([*given[:-1], (last, flip(entry, -40))])),
        ("recorded-at-changed", encode_entries([*given[:-1], (last, _later(entry))])),
    ):
        yield anchored(world, name, sealed(world, files, entries_bin=bent))
    for number in range(1, len(given), 2):
        left = [*given[:number], *given[number + 1 :]]
        leaf = given[number][0]
        bodies = dossier_pb2.DossierBodies.FromString(files[BODIES])
        kept = [body for body in bodies.bodies if body.leaf_index != leaf]
        shown = dossier_pb2.DossierBodies(bodies=kept).SerializeToString(deterministic=True)
        bent_files = sealed(world, files, entries_bin=encode_entries(left), bodies_binpb=shown)
        yield anchored(world, f"entry-{leaf}-taken-out", bent_files)


def _later(raw: bytes) -> bytes:
    entry = entry_pb2.Entry.FromString(raw)
    entry.recorded_at_unix_micros += 1
    return entry.SerializeToString(deterministic=True)


@FAMILY
def bodies() -> Iterator[Case]:
    """bodies.binpb in another form, or with other records."""
    world = lawful()
    files = world.files()
    raw = files[BODIES]

    def bent(change: Callable[[dossier_pb2.DossierBodies], object]) -> bytes:
        message = dossier_pb2.DossierBodies.FromString(raw)
        change(message)
        return message.SerializeToString(deterministic=True)

    def swap(message: dossier_pb2.DossierBodies, first: int, second: int) -> None:
        kept = [dossier_pb2.DossierBody.FromString(one.SerializeToString()) for one in message.bodies]
        kept[first], kept[second] = kept[second], kept[first]
        del message.bodies[:]
        message.bodies.extend(kept)

    def exchange(message: dossier_pb2.DossierBodies, first: int, second: int) -> None:
        one, other = message.bodies[first], message.bodies[second]
        one.leaf_index, other.leaf_index = other.leaf_index, one.leaf_index
        swap(message, first, second)

    def records_swapped(message: dossier_pb2.DossierBodies) -> None:
        body = next(body for body in reversed(message.bodies) if len(body.openings) > 1)
        one, other = body.openings[0], body.openings[1]
        one.record, other.record = other.record, one.record

    def closes(message: dossier_pb2.DossierBodies, leaf_hash: bytes) -> None:
        body = message.bodies[-1]
        body.closed.add(index=body.openings[-1].index, leaf_hash=leaf_hash)
        del body.openings[-1]

    def last(message: dossier_pb2.DossierBodies) -> entry_pb2.Opening:
        return message.bodies[-1].openings[-1]

    changes: list[tuple[str, Callable[[dossier_pb2.DossierBodies], object]]] = [
        ("bodies-descend", lambda m: swap(m, 0, 1)),
        ("bodies-swapped", lambda m: exchange(m, -1, -2)),
        ("body-repeated", lambda m: m.bodies.add().CopyFrom(m.bodies[-1])),
        ("body-of-no-entry", lambda m: m.bodies.add(leaf_index=99_999).openings.add().CopyFrom(last(m))),
        ("empty-body-of-a-co-signature", lambda m: m.bodies.insert(1, dossier_pb2.DossierBody(leaf_index=1))),
        ("records-swapped", records_swapped),
        ("record-missing", lambda m: m.bodies[-1].openings.pop()),
        ("record-repeated", lambda m: m.bodies[-1].openings.add().CopyFrom(last(m))),
        ("record-beyond", lambda m: m.bodies[-1].openings.add(index=77, salt=bytes(32), record=b"\x08\x01")),
        ("record-changed", lambda m: setattr(last(m), "record", flip(last(m).record, -1))),
        ("record-empty", lambda m: setattr(last(m), "record", b"")),
        ("record-with-another-behind", lambda m: setattr(last(m), "record", last(m).record + b"\x08\x01")),
        ("record-with-a-long-varint", lambda m: setattr(last(m), "record", _long(last(m).record))),
        ("salt-changed", lambda m: setattr(last(m), "salt", flip(last(m).salt, 0))),
        ("salt-short", lambda m: setattr(last(m), "salt", last(m).salt[:31])),
        ("closed-by-another-hash", lambda m: closes(m, bytes(32))),
        ("closed-by-a-short-hash", lambda m: closes(m, bytes(31))),
        ("founding-body-missing", lambda m: m.bodies.pop(0)),
        ("enrolment-of-a-person-not-shown", lambda m: m.bodies.pop(3)),
        ("bodies-none", lambda m: m.ClearField("bodies")),
    ]
    for name, change in changes:
        yield anchored(world, name, sealed(world, files, bodies_binpb=bent(change)))
    for name, form in (
        ("bodies-unknown-field", raw + b"\x7a\x01x"),
        ("bodies-group", raw + b"\x0b\x0c"),
        ("bodies-cut", raw[:-1]),
        ("bodies-wire-type", raw + b"\x08\x01"),
        ("bodies-long-varint", raw + b"\x8a\x00\x00"),
        ("bodies-tag-zero", raw + b"\x00"),
        ("bodies-length-of-2-to-the-63", raw + b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
        ("bodies-varint-of-eleven-bytes", raw + b"\x0a" + b"\xff" * 10 + b"\x01"),
        ("bodies-random", bytes(n * 7 % 256 for n in range(1_000))),
    ):
        yield anchored(world, name, sealed(world, files, bodies_binpb=form))


def _long(record: bytes) -> bytes:
    return record[:1] + bytes([record[1] | 0x80, 0]) + record[2:]


@FAMILY
def proofs() -> Iterator[Case]:
    """proof.bin with hashes too many, too few, others."""
    world = lawful()
    files = world.files()
    raw = files[PROOF]
    for name, bent in (
        ("proof-empty", b""),
        ("proof-hash-missing", raw[:-32]),
        ("proof-hash-too-many", raw + bytes(32)),
        ("proof-half-a-hash", raw[:-16]),
        ("proof-hash-changed", flip(raw, 5)),
        ("proof-hashes-swapped", raw[32:64] + raw[:32] + raw[64:]),
        ("proof-of-a-million-hashes", raw + bytes(32) * 100_000),
    ):
        yield anchored(world, name, sealed(world, files, proof_bin=bent))


def appended(world: World, name: str, **how: object) -> Case:
    """Returns the case in which a further statement by the nurse is recorded in another form."""
    body = harvest_pb2.MaterialPacked(material=world.material, consignment=world.consignment, container="1")
    payload, kind, openings = world.payload_of(body, world.nurse, world.therapy)
    world.put(world.signed(payload, kind, world.nurse.signer), openings, **how)  # type: ignore[arg-type]  # pass through
    return anchored(world, name)


@FAMILY
def wire_form() -> Iterator[Case]:
    """Entries in the log itself that are in another form: the operator made the tree over them."""

    def enrolled() -> World:
        world = founded()
        world.enrols()
        world.opens_consignment()
        return world

    changes: list[tuple[str, Callable[[entry_pb2.Entry], object]]] = [
        ("entry-format-2", lambda e: setattr(e, "format_version", 2)),
        ("entry-format-absent", lambda e: e.ClearField("format_version")),
        ("entry-without-envelope", lambda e: e.ClearField("envelope")),
        ("entry-without-sequence", lambda e: e.ClearField("sequence")),
        ("entry-previous-hash-short", lambda e: setattr(e, "previous_leaf_hash", bytes(31))),
        ("entry-without-judgement", lambda e: e.ClearField("judgement")),
        ("entry-with-random-envelope", lambda e: setattr(e, "envelope", bytes(range(200)))),
    ]
    for name, change in changes:
        yield appended(enrolled(), name, entry=change)
    forms: list[tuple[str, Callable[[bytes], bytes]]] = [
        ("entry-unknown-field", lambda raw: raw + b"\x7a\x01x"),
        ("entry-field-twice", lambda raw: raw[:2] + raw),
        ("entry-long-varint", lambda raw: b"\x08\x81\x00" + raw[2:]),
        ("entry-default-encoded", lambda raw: raw[:2] + raw[2:].replace(b"\x28", b"\x22\x00\x28", 1)),
        ("entry-fields-descend", lambda raw: raw[2:] + raw[:2]),
        ("entry-cut", lambda raw: raw[:-1]),
        ("entry-of-random-bytes", lambda raw: bytes(n * 11 % 256 for n in range(300))),
        ("entry-judgement-status-packed-twice", lambda raw: raw + b"\x3a\x02\x18\x01"),
    ]
    for name, form in forms:
        yield appended(enrolled(), name, raw=form)
