"""Dossiers by the thousand that nobody thought of: bent at random, or told by a ledger that does anything at all.

The rules:

* Everything is drawn from one seed and a number: the same two give the same dossier again, but for what ML-DSA draws.
* Four ways: bytes of the file; bytes of a file inside, under a manifest and a ZIP made anew; an entry bent and
  recorded, in a tree and under a checkpoint made anew; a history of acts in which each is drawn, and so are its signer,
  role, second persons, judgement and what it says it had seen.
* What is asked of a verifier is a verdict, and the same of both.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Finding, Judged, Status
from cellcustody.ledger.custody.policy import canonical_json, sample_pack_bytes
from cellcustody.ledger.dossier.layout import BODIES, CHECKPOINT, ENTRIES, HEADS, MANIFEST, PROOF, README
from cellcustody.ledger.statements import (
    Ed25519Signer,
    P256Signer,
    Signer,
    StreamKind,
    parse_statement,
    single_stream_id,
)
from cellcustody.v1 import options_pb2, registry_pb2, statement_pb2, transport_pb2
from corpus.cases import Case
from corpus.envelopes import hold
from corpus.good import proven
from corpus.heads import mapped
from corpus.world import REGISTRY, SECOND, Signatory, World, drawn, founded, lawful, sealed, zipped

__all__ = ["mutant", "mutants"]

_BENT_FILES = (CHECKPOINT, ENTRIES, BODIES, PROOF, HEADS)
_CAPABILITIES = options_pb2.Capability.values()[1:]
_ROLES = ("collection_nurse", "physician", "administrator", "registrar", "device", "ledger")
_CODES = ("LATE", "ROLE_NOT_HELD", "CAPABILITY_MISSING", "DEVICE_UNKNOWN", "NOT_CUSTODIAN", "SEEN_MISSING", "RETRACTED")
_QUORUM, _ONE, _TWO = range(3)  # Registrars; one administrator; two.
Said = tuple[bytes, bytes]  # A stream, and the digest of a statement in it.


def mutants(seed: int, count: int) -> Iterator[Case]:
    """Yields this many dossiers of a seed."""
    for number in range(count):
        yield mutant(seed, number)


def mutant(seed: int, number: int) -> Case:
    """Returns one dossier of a seed, named so that it can be made again."""
    draw = random.Random(f"{seed}/{number}")
    way = _WAYS[number % len(_WAYS)]
    return way(draw, f"{seed}/{number}")


@lru_cache(maxsize=1)
def _bases() -> tuple[tuple[World, dict[str, bytes]], ...]:
    world, maps = mapped()
    shown = maps.shows().SerializeToString(deterministic=True)
    crowded = lawful()
    for _ in range(9):
        crowded.records_elsewhere()
    return ((world, world.files(heads=shown)), (crowded, crowded.files()))


def bent(draw: random.Random, raw: bytes) -> bytes:
    """Returns bytes that were changed at some places: turned, replaced, left out, put in, repeated."""
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        at = draw.randrange(len(raw) + 1)
        length = draw.choice((1, 1, 2, 8, 32, 200))
        piece = draw.choice((draw.randbytes(length), bytes(length), b"\xff" * length, raw[at : at + length]))
        match draw.randrange(4):
            case 0 if raw:
                at = draw.randrange(len(raw))
                raw = raw[:at] + bytes([raw[at] ^ 1 << draw.randrange(8)]) + raw[at + 1 :]
            case 1:
                raw = raw[:at] + piece + raw[at + length :]
            case 2:
                raw = raw[:at] + piece + raw[at:]
            case _:
                raw = raw[:at] + raw[at + length :]
    return raw


def _bent_bytes(draw: random.Random, name: str) -> Case:
    world, files = draw.choice(_bases())
    return Case(name, bent(draw, zipped(files)), world.anchor)


def _bent_file(draw: random.Random, name: str) -> Case:
    world, files = draw.choice(_bases())
    if draw.randrange(10) == 0:
        return Case(name, zipped({**files, MANIFEST: bent(draw, files[MANIFEST])}), world.anchor)
    which = draw.choice((*_BENT_FILES, *_BENT_FILES, README))
    return Case(name, sealed(world, files, **{which: bent(draw, files[which])}), world.anchor)


def _bent_entry(draw: random.Random, name: str) -> Case:
    """Bends an entry, its envelope, or a payload that is signed as it is; the tree is made over it."""
    world = founded()
    world.enrols()
    by = draw.choice((world.nurse, world.second_nurse, world.service, world.registrars[0]))
    payload, kind, openings = world.payload_of(hold(), by, world.therapy)
    level = draw.randrange(4)
    if level == 0:
        payload = bent(draw, payload)
    envelope = world.signed(payload, kind, by.signer)
    if level == 1:
        envelope = bent(draw, envelope)
    raw = partial(bent, draw) if level == 2 else None
    world.put(envelope, openings, raw=raw)
    if level == 3:
        world.put(world.signed(*world.payload_of(hold("more"), by, world.therapy)[:2], by.signer), openings)
    return Case(name, world.data(), draw.choice((world.anchor, world.anchor, None)))


def _history(draw: random.Random, name: str) -> Case:
    """Records a history in which every act, and everything about it, is drawn."""
    world = World()
    if draw.randrange(4) == 0:
        world.nurse.signer = P256Signer(drawn("p-256 scalar"), deterministic=True)  # type: ignore[assignment]  # any signer
    world.founds()
    if draw.randrange(4):
        world.enrols()
    people: list[Signatory] = [
        world.nurse,
        world.second_nurse,
        *world.administrators,
        *world.registrars,
        world.service,
        world.signatory("stranger", "collection_nurse"),
    ]
    said: list[Said] = []
    if draw.randrange(3) == 0:
        world.pack = _published(draw, world)
    for _ in range(draw.randrange(1, 7)):
        step = draw.choice(_STEPS)
        step(draw, world, people, said)
        if draw.randrange(12) == 0:
            world.now += draw.choice((60, 3600, 86_400 * 400)) * SECOND
    return Case(name, world.data(), world.anchor)


def _published(draw: random.Random, world: World) -> bytes:
    """Publishes a pack that asks for whatever is drawn, and returns its digest."""
    pack = json.loads(sample_pack_bytes())
    roles = draw.sample(_ROLES[:2], draw.randrange(3))
    joined = {
        "number": draw.randrange(1, 3),
        "roles": sorted(draw.sample(_ROLES[:2], draw.randrange(3))),
        "window_seconds": draw.choice((1, 600, 86_400)),
    }
    pack |= {
        "training_roles": sorted(roles),
        "training_validity_days": {role: draw.choice((1, 365)) for role in sorted(roles) if draw.randrange(2)},
        "hybrid_roles": draw.sample(_ROLES[:1], draw.randrange(2)),
        "co_signing": {"CustodyEstablished": joined} if draw.randrange(2) else {},
        "co_signature_window_seconds": draw.choice((2, 900)),
        "emergency_seconds": draw.choice((1, 3600, 86_400)),
    }
    raw = canonical_json(pack)
    act = registry_pb2.PolicyPublished(product="EXAMPLE-CAR", jurisdiction="EU", version=1, pack=raw)
    world.quorum(act, single_stream_id(StreamKind.POLICY))
    return hashlib.sha256(raw).digest()


def _judged(draw: random.Random, lawful_status: Status) -> Judged:
    if draw.randrange(5):
        return Judged(lawful_status)
    codes = sorted(draw.sample(_CODES, draw.randrange(3)))
    return Judged(draw.choice(tuple(Status)), tuple(Finding(code) for code in codes))


def _changes(
    draw: random.Random, world: World, said: Sequence[tuple[bytes, bytes]]
) -> Callable[[statement_pb2.Header], None]:
    role = draw.choice(_ROLES) if draw.randrange(6) == 0 else ""
    device = drawn("no device", 16) if draw.randrange(10) == 0 else b""
    back = draw.choice((0, 0, 0, 0, 30, -30)) * SECOND
    seen = draw.choice(said) if said and draw.randrange(3) == 0 else None
    moved = draw.randrange(10) == 0

    def change(header: statement_pb2.Header) -> None:
        if role:
            header.signer.role = role
        if device:
            header.device = device
        header.signed_at.unix_micros -= back
        if seen is not None:
            stream, digest = seen
            header.seen.add(stream=world.therapy if moved else stream, statement_digest=digest)

    return change


def _record(
    draw: random.Random,
    world: World,
    by: Signatory,
    body: Message | None,
    stream: bytes,
    judged: Judged,
    said: list[Said],
    joins: bytes | None = None,
    puts_in_effect: bytes = b"",
) -> bytes:
    change = _changes(draw, world, said)
    payload, kind, openings = world.payload_of(body, by, stream, joins=joins, change=change)
    envelope = world.signed(payload, kind, by.signer)
    policy = world.pack if world.pack and stream[0] == StreamKind.THERAPY and draw.randrange(8) else None
    world.put(envelope, openings, judged, stream=stream, puts_in_effect=puts_in_effect, policy_digest=policy)
    digest = bytes(parse_statement(envelope).digest)
    said.append((stream, digest))
    return digest


def _fact(draw: random.Random, world: World, people: list[Signatory], said: list[Said]) -> None:
    by = draw.choice(people[:2] if draw.randrange(3) else people)
    _record(draw, world, by, hold(), world.therapy, _judged(draw, Status.CONFORMING), said)


def _authorisation(draw: random.Random, world: World, people: list[Signatory], said: list[Said]) -> None:
    by = draw.choice(people[:2] if draw.randrange(3) else people)
    body = transport_pb2.CustodyEstablished(materials=[world.material])
    digest = _record(draw, world, by, body, world.therapy, _judged(draw, Status.PENDING), said)
    for _ in range(draw.randrange(3)):
        _join(draw, world, people, said, digest)


def _join(draw: random.Random, world: World, people: list[Signatory], said: list[Said], digest: bytes = b"") -> None:
    joins = digest or (draw.choice(said)[1] if said else drawn("nothing"))
    by = draw.choice(people[:2] if draw.randrange(3) else people)
    puts = joins if draw.randrange(2) else b""
    stream = REGISTRY if draw.randrange(12) == 0 else world.therapy
    _record(draw, world, by, None, stream, _judged(draw, Status.RECORDED), said, joins, puts)


def _revision(draw: random.Random, world: World, people: list[Signatory], said: list[Said]) -> None:
    if said:
        by = world.service if draw.randrange(5) else draw.choice(people)
        world.revises(draw.choice(said)[1], _judged(draw, Status.CONFORMING), by=by)


def _consignment(draw: random.Random, world: World, people: list[Signatory], said: list[Said]) -> None:
    said.append((world.consignment, world.opens_consignment()))
    if draw.randrange(2):
        said.append((world.therapy, world.packs()))


def _hybrid(draw: random.Random, world: World, people: list[Signatory], said: list[Said]) -> None:
    """Gives a nurse a second key, and lets both sign."""
    second = Ed25519Signer(drawn("second key of the nurse"))
    added = registry_pb2.KeyAdded(holder=world.nurse.id)
    added.key.CopyFrom(proven(world, world.nurse.id, second))
    world.records(added, world.administrators[0])
    both: list[Signer] = [world.nurse.signer, second]
    payload, kind, openings = world.payload_of(
        hold("twice"), world.nurse, world.therapy, key_ids=[one.key_id for one in both]
    )
    world.put(world.signed(payload, kind, *both[: draw.choice((1, 2, 2, 2))]), openings)


def _trained(draw: random.Random, world: World, people: list[Signatory], said: list[Said]) -> None:
    """Tells of the training of a nurse."""
    grant = registry_pb2.RoleGrant(role="collection_nurse")
    if draw.randrange(2):
        grant.trained_at_unix_micros = world.now - draw.choice((-60, 60, 86_400 * 30)) * SECOND
    if draw.randrange(2):
        grant.trained_until_unix_micros = world.now + draw.choice((-60, 60, 86_400 * 30)) * SECOND
    body = registry_pb2.PersonChanged(person=draw.choice(people[:2]).id, roles=[grant])
    _of_registry(draw, world, people, said, body, fitting=_ONE)


def _about_keys(draw: random.Random, world: World, people: list[Signatory], said: list[Said]) -> None:
    key_id = draw.choice(people[:2] if draw.randrange(6) else people).signer.key_id
    since = draw.randrange(len(world.entries) + 2)
    body: Message = draw.choice(
        (
            registry_pb2.KeyRetired(key_id=key_id, grace_seconds=draw.choice((0, 60, 86_400))),
            registry_pb2.KeySuspended(key_id=key_id),
            registry_pb2.KeyReinstated(key_id=key_id),
            registry_pb2.KeyRevoked(key_id=key_id),
            registry_pb2.KeyRevoked(key_id=key_id, compromised_since_leaf=since),
        )
    )
    _of_registry(draw, world, people, said, body, fitting=_ONE)


def _about_persons(draw: random.Random, world: World, people: list[Signatory], said: list[Said]) -> None:
    person = world.signatory(f"person {draw.randrange(9)}", draw.choice(_ROLES[:2]))
    grants = [registry_pb2.RoleGrant(role=role) for role in draw.sample(_ROLES[:2], draw.randrange(1, 3))]
    body: Message
    body, fitting = draw.choice(
        (
            (registry_pb2.PersonEnrolled(site=world.site, person=world.new_person(person)), _ONE),
            (registry_pb2.PersonChanged(person=draw.choice(people[:2]).id, roles=grants), _ONE),
            (
                registry_pb2.SiteChanged(
                    site=world.site, capabilities=draw.sample(_CAPABILITIES, draw.randrange(1, 8)), units=["apheresis"]
                ),
                _QUORUM,
            ),
            (
                registry_pb2.EmergencyCredentialGranted(
                    person=draw.choice(people[:2] if draw.randrange(6) else people).id,
                    roles=["physician"],
                    valid_from_unix_micros=world.now,
                    valid_seconds=draw.choice((1, 3600, 86_400, 90_000)),
                ),
                _TWO,
            ),
            (
                registry_pb2.StatementsAffirmed(
                    key_id=draw.choice(people[:2]).signer.key_id,
                    statement_digests=sorted({digest for _, digest in said[-2:]}),
                ),
                _TWO,
            ),
        )
    )
    people.append(person)
    _of_registry(draw, world, people, said, body, fitting=fitting)


def _of_registry(
    draw: random.Random, world: World, people: list[Signatory], said: list[Said], body: Message, *, fitting: int
) -> None:
    """Records an act by the persons that it asks for, more often than not, so that histories go on."""
    kind = fitting if draw.randrange(10) else draw.randrange(4)
    if kind == _QUORUM:
        world.quorum(body)
    elif kind == _ONE:
        world.records(body, world.administrators[0])
    elif kind == _TWO:
        digest = world.records(body, world.administrators[0], judged=Judged(Status.PENDING))
        world.joins(digest, world.administrators[1], completes=True)
        said.append((REGISTRY, digest))
    else:
        by = draw.choice(people)
        _record(draw, world, by, body, REGISTRY, _judged(draw, Status.IN_EFFECT), said)


_STEPS = (
    _fact,
    _fact,
    _authorisation,
    _authorisation,
    _join,
    _revision,
    _consignment,
    _about_keys,
    _about_persons,
    _hybrid,
    _trained,
)
_WAYS = (_bent_bytes, _bent_file, _history, _bent_entry, _history, _bent_file, _history, _bent_entry)
