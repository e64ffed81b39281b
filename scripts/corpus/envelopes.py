"""Envelopes and payloads in another form than the one that is signed, and signatures that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cellcustody.ledger.dossier.layout import BODIES
from cellcustody.ledger.statements import Opening, PayloadType
from cellcustody.ledger.statements.commitment import leaf_hash
from cellcustody.ledger.transparency import root_of
from cellcustody.v1 import dossier_pb2, envelope_pb2, quality_pb2, statement_pb2
from corpus.cases import Case, Family
from corpus.good import anchored
from corpus.world import World, drawn, flip, founded, sealed

__all__ = ["FAMILY", "hold"]

FAMILY = Family("envelopes")


def hold(grounds: str = "for the corpus") -> quality_pb2.HoldPlaced:
    """Returns a body that a nurse may sign."""
    return quality_pb2.HoldPlaced(scope=quality_pb2.Scope(kind=quality_pb2.SCOPE_KIND_THERAPY), grounds=grounds)


def enrolled() -> World:
    """Returns a ledger with an enrolled therapy."""
    world = founded()
    world.enrols()
    return world


@FAMILY
def forms() -> Iterator[Case]:
    """The envelope, changed after it was signed."""
    changes: list[tuple[str, Callable[[envelope_pb2.Envelope], object]]] = [
        ("without-payload", lambda e: e.ClearField("payload")),
        ("without-payload-type", lambda e: e.ClearField("payload_type")),
        ("payload-type-unknown", lambda e: setattr(e, "payload_type", "application/vnd.cellcustody.gift.v1+protobuf")),
        ("payload-type-not-logged", lambda e: setattr(e, "payload_type", PayloadType.READ_TOKEN.value)),
        ("payload-type-other-case", lambda e: setattr(e, "payload_type", e.payload_type.upper())),
        ("payload-type-of-another-kind", lambda e: setattr(e, "payload_type", PayloadType.REGISTRY.value)),
        ("without-signature", lambda e: e.ClearField("signatures")),
        ("signature-empty", lambda e: setattr(e.signatures[0], "sig", b"")),
        ("five-signatures", lambda e: e.signatures.extend([e.signatures[0]] * 4)),
        ("signed-twice-by-one-key", lambda e: e.signatures.add().CopyFrom(e.signatures[0])),
        ("hint-absent", lambda e: e.signatures[0].ClearField("keyid")),
        ("hint-of-nobody", lambda e: setattr(e.signatures[0], "keyid", "00" * 32)),
        ("hint-in-capitals", lambda e: setattr(e.signatures[0], "keyid", e.signatures[0].keyid.upper())),
        ("hint-with-a-space", lambda e: setattr(e.signatures[0], "keyid", e.signatures[0].keyid + " ")),
        ("signature-flipped-in-r", lambda e: setattr(e.signatures[0], "sig", flip(e.signatures[0].sig, 3))),
        ("signature-flipped-in-s", lambda e: setattr(e.signatures[0], "sig", flip(e.signatures[0].sig, 40))),
        ("signature-short", lambda e: setattr(e.signatures[0], "sig", e.signatures[0].sig[:63])),
        ("signature-long", lambda e: setattr(e.signatures[0], "sig", e.signatures[0].sig + b"\0")),
        ("payload-flipped", lambda e: setattr(e, "payload", flip(e.payload, -3))),
    ]
    for name, change in changes:
        world = enrolled()
        payload, kind, openings = world.payload_of(hold(), world.nurse, world.therapy)
        message = envelope_pb2.Envelope.FromString(world.signed(payload, kind, world.nurse.signer))
        change(message)
        world.put(message.SerializeToString(deterministic=True), openings)
        yield anchored(world, name)
    bytewise: list[tuple[str, Callable[[bytes], bytes]]] = [
        ("unknown-field", lambda raw: raw + b"\x22\x01x"),
        ("payload-twice", lambda raw: raw[: 3 + int.from_bytes(raw[1:2], "big")] * 0 + b"\x0a\x01x" + raw),
        ("cut", lambda raw: raw[:-1]),
        ("larger-than-48-KiB", lambda raw: raw[:-1] + b"\0" * 49_152),
        ("of-one-byte", lambda raw: raw[:1]),
    ]
    for name, form in bytewise:
        world = enrolled()
        payload, kind, openings = world.payload_of(hold(), world.nurse, world.therapy)
        world.put(form(world.signed(payload, kind, world.nurse.signer)), openings)
        yield anchored(world, name)


@FAMILY
def payloads() -> Iterator[Case]:
    """Payloads that were signed as they are, in another form."""
    forms: list[tuple[str, Callable[[bytes], bytes]]] = [
        ("payload-unknown-field", lambda raw: raw + b"\x22\x01x"),
        ("payload-cut", lambda raw: raw[:-1]),
        ("payload-random", lambda raw: bytes(n * 13 % 256 for n in range(200))),
        ("payload-without-header", lambda raw: raw[raw.index(b"\x12\x20") :]),
        ("payload-fields-unpacked", lambda raw: raw + b"\x18\x63"),
    ]
    for name, form in forms:
        world = enrolled()
        payload, kind, openings = world.payload_of(hold(), world.nurse, world.therapy)
        world.put(world.signed(form(payload), kind, world.nurse.signer), openings)
        yield anchored(world, name)
    changes: list[tuple[str, Callable[[statement_pb2.Payload], object]]] = [
        ("root-short", lambda p: setattr(p, "body_root", p.body_root[:31])),
        ("root-absent", lambda p: p.ClearField("body_root")),
        ("root-of-another-body", lambda p: setattr(p, "body_root", drawn("another root"))),
        ("field-numbers-descend", lambda p: p.body_fields.append(1)),
        ("field-number-zero", lambda p: p.body_fields.insert(0, 0)),
        ("field-number-too-large", lambda p: p.body_fields.append(1 << 29)),
        ("field-numbers-absent", lambda p: p.ClearField("body_fields")),
        ("field-number-too-many", lambda p: p.body_fields.append(60)),
        ("field-number-of-another-field", lambda p: p.body_fields.__setitem__(-1, p.body_fields[-1] + 1)),
    ]
    for name, change in changes:
        world = enrolled()
        payload, kind, openings = world.payload_of(hold(), world.nurse, world.therapy)
        message = statement_pb2.Payload.FromString(payload)
        change(message)
        changed = message.SerializeToString(deterministic=True)
        world.put(world.signed(changed, kind, world.nurse.signer), openings)
        yield anchored(world, name)


@FAMILY
def closed() -> Iterator[Case]:
    """Records that are closed, or half open, of which the body could not be what it says."""
    for name, field, record in (
        ("closed-record-of-an-unknown-field", 99, None),
        ("open-record-of-an-unknown-field-among-closed", 99, b"\x9a\x06\x01x"),
        ("open-record-of-another-wire-type-among-closed", 51, b"\x98\x03\x05"),
        ("open-record-that-is-not-utf8-among-closed", 53, b"\xaa\x03\x01\xff"),
        ("open-record-with-an-inner-default-among-closed", 51, b"\x9a\x03\x02\x08\x00"),
    ):
        world = enrolled()
        salts = [drawn(f"salt {n}") for n in range(2)]
        first = Opening(0, salts[0], b"\x0a\x02\x08\x01")
        leaves = [first.leaf_hash, drawn("closed") if record is None else leaf_hash(salts[1], record)]
        payload, kind, _ = world.payload_of(hold(), world.nurse, world.therapy)
        message = statement_pb2.Payload.FromString(payload)
        message.body_root = root_of(leaves)
        del message.body_fields[:]
        message.body_fields.extend([1, field])
        raw = message.SerializeToString(deterministic=True)
        leaf = world.put(world.signed(raw, kind, world.nurse.signer), (first,))
        files = world.files()
        bodies = dossier_pb2.DossierBodies.FromString(files[BODIES])
        body = next(one for one in bodies.bodies if one.leaf_index == leaf)
        if record is None:
            body.closed.add(index=1, leaf_hash=leaves[1])
        else:
            del body.openings[:]
            body.openings.add(index=1, salt=salts[1], record=record)
            body.closed.add(index=0, leaf_hash=leaves[0])
        bent = sealed(world, files, bodies_binpb=bodies.SerializeToString(deterministic=True))
        yield anchored(world, name, bent)


@FAMILY
def kinds() -> Iterator[Case]:
    """Right bytes under a payload type that is not theirs."""
    for kind in (PayloadType.REGISTRY, PayloadType.JUDGEMENT, PayloadType.POLICY, PayloadType.ERASURE):
        world = enrolled()
        payload, _, openings = world.payload_of(hold(), world.nurse, world.therapy)
        world.put(world.signed(payload, kind, world.nurse.signer), openings)
        yield anchored(world, f"custody-signed-as-{kind.name.lower()}")
    world = enrolled()
    payload, _, openings = world.payload_of(hold(), world.nurse, world.therapy)
    envelope = world.signed(payload, PayloadType.CUSTODY, world.nurse.signer)
    message = envelope_pb2.Envelope.FromString(envelope)
    message.payload_type = PayloadType.EXPORT.value
    world.put(message.SerializeToString(deterministic=True), openings)
    yield anchored(world, "payload-type-changed-after-signing")
