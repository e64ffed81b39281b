"""Acts of the registry that its rules refuse, recorded all the same by a ledger that lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Judged, Status
from cellcustody.ledger.custody.policy import sample_pack_bytes
from cellcustody.ledger.registry import enrolled_key, ledger_id_of
from cellcustody.ledger.statements import StreamKind, parse_statement, single_stream_id
from cellcustody.v1 import options_pb2, registry_pb2
from corpus.cases import Case, Family
from corpus.envelopes import enrolled, hold
from corpus.good import anchored
from corpus.world import SECOND, Signatory, World, drawn, founded, lawful

__all__ = ["FAMILY"]

FAMILY = Family("registry")
_POLICIES = single_stream_id(StreamKind.POLICY)
_SCHEMAS = single_stream_id(StreamKind.SCHEMA)
_PENDING = Judged(Status.PENDING)


def _site(world: World, **changed: object) -> registry_pb2.SiteEnrolled:
    others = [world.signatory(f"other administrator {n}", "administrator") for n in range(2)]
    members: dict[str, object] = {
        "site": drawn("other site", 16),
        "name": "Other Hospital",
        "capabilities": [options_pb2.CAPABILITY_COLLECT],
        "units": ["ward"],
        "tls_key_ids": [drawn("other tls")],
        "administrators": [world.new_person(one) for one in others],
    }
    return registry_pb2.SiteEnrolled(**{**members, **changed})  # type: ignore[arg-type]  # members by name


def _person(world: World, **changed: object) -> registry_pb2.NewPerson:
    person = world.new_person(world.signatory("somebody new", "collection_nurse"))
    for name, value in changed.items():
        person.ClearField(name)  # type: ignore[arg-type]  # a field's name
        person.MergeFrom(registry_pb2.NewPerson(**{name: value}))  # type: ignore[arg-type]  # a field's name
    return person


def _key_of(world: World, label: str, holder: bytes, *, ledger: bytes | None = None) -> registry_pb2.EnrolledKey:
    signer = Signatory(world.world, label, "").signer
    ledger_id = world.ledger_id if ledger is None else ledger
    return enrolled_key(signer, ledger_id=ledger_id, holder=holder, signed_at=world.now)


def _added(world: World, holder: bytes, key: registry_pb2.EnrolledKey) -> registry_pb2.KeyAdded:
    added = registry_pb2.KeyAdded(holder=holder)
    added.key.CopyFrom(key)
    return added


_Q = "quorum"
_A = "administrator"


def _cases(world: World) -> Iterator[tuple[str, str, Callable[[], Message]]]:
    """Yields name, who signs (a quorum of registrars, or one administrator), and the act."""
    nurse = world.nurse
    site = world.site
    yield "site-twice", _Q, lambda: _site(world, site=site)
    yield "site-id-short", _Q, lambda: _site(world, site=bytes(15))
    yield "site-without-name", _Q, lambda: _site(world, name="")
    yield "site-name-with-newline", _Q, lambda: _site(world, name="Other\nHospital")
    yield "site-name-too-long", _Q, lambda: _site(world, name="x" * 201)
    yield "site-without-capability", _Q, lambda: _site(world, capabilities=[])
    yield "site-capability-twice", _Q, lambda: _site(world, capabilities=[1, 1])
    yield "site-unit-twice", _Q, lambda: _site(world, units=["ward", "ward"])
    yield "site-facility-malformed", _Q, lambda: _site(world, facility="O9999")
    yield (
        "site-with-one-administrator",
        _Q,
        lambda: _site(world, administrators=[world.new_person(world.signatory("alone", "administrator"))]),
    )
    yield (
        "site-with-administrators-who-are-none",
        _Q,
        lambda: _site(
            world,
            administrators=[world.new_person(world.signatory(f"nurse {n}", "collection_nurse")) for n in range(2)],
        ),
    )
    yield "site-with-a-tls-key-of-another", _Q, lambda: _site(world, tls_key_ids=[drawn(f"{world.world}: tls")])
    yield "site-with-a-signing-key-for-tls", _Q, lambda: _site(world, tls_key_ids=[nurse.signer.key_id])
    yield (
        "site-changed-that-is-not-there",
        _Q,
        lambda: registry_pb2.SiteChanged(
            site=bytes(16), capabilities=[options_pb2.CAPABILITY_COLLECT], tls_key_ids=[drawn("tls 9")]
        ),
    )
    yield "person-twice", _A, lambda: registry_pb2.PersonEnrolled(site=site, person=world.new_person(nurse))
    yield "person-id-short", _A, lambda: registry_pb2.PersonEnrolled(site=site, person=_person(world, person=b"x"))
    yield "person-without-key", _A, lambda: registry_pb2.PersonEnrolled(site=site, person=_person(world, keys=[]))
    yield (
        "person-of-an-unknown-site",
        _A,
        lambda: registry_pb2.PersonEnrolled(site=bytes(15) + b"\x01", person=_person(world)),
    )
    yield (
        "person-as-registrar",
        _A,
        lambda: registry_pb2.PersonEnrolled(
            site=site, person=_person(world, roles=[registry_pb2.RoleGrant(role="registrar")])
        ),
    )
    yield (
        "person-in-a-unit-of-no-site",
        _A,
        lambda: registry_pb2.PersonEnrolled(site=site, person=_person(world, units=["moon"])),
    )
    yield (
        "administrator-enrolled-by-one",
        _A,
        lambda: registry_pb2.PersonEnrolled(
            site=site, person=_person(world, roles=[registry_pb2.RoleGrant(role="administrator")])
        ),
    )
    yield (
        "key-proven-for-another-ledger",
        _A,
        lambda: _added(world, nurse.id, _key_of(world, "k", nurse.id, ledger=bytes(15) + b"\x01")),
    )
    yield "key-proven-for-another-holder", _A, lambda: _added(world, nurse.id, _key_of(world, "k", site))
    yield (
        "key-without-proof",
        _A,
        lambda: _added(world, nurse.id, registry_pb2.EnrolledKey(spki=_key_of(world, "k", nurse.id).spki)),
    )
    yield (
        "key-proven-by-another-key",
        _A,
        lambda: _added(
            world,
            nurse.id,
            registry_pb2.EnrolledKey(
                spki=_key_of(world, "k", nurse.id).spki, possession=_key_of(world, "other", nurse.id).possession
            ),
        ),
    )
    yield (
        "key-of-somebody-else",
        _A,
        lambda: _added(
            world,
            nurse.id,
            enrolled_key(world.second_nurse.signer, ledger_id=world.ledger_id, holder=nurse.id, signed_at=world.now),
        ),
    )
    yield "key-for-nobody", _A, lambda: _added(world, bytes(16), _key_of(world, "k", bytes(16)))
    yield (
        "key-for-the-service-device",
        _A,
        lambda: _added(world, world.service.id, _key_of(world, "k", world.service.id)),
    )
    yield "key-retired-that-is-not-there", _A, lambda: registry_pb2.KeyRetired(key_id=bytes(32))
    yield (
        "key-retired-with-two-years-of-grace",
        _A,
        lambda: registry_pb2.KeyRetired(key_id=nurse.signer.key_id, grace_seconds=2 * 366 * 86_400),
    )
    yield "key-reinstated-that-is-active", _A, lambda: registry_pb2.KeyReinstated(key_id=nurse.signer.key_id)
    yield (
        "key-compromised-since-the-future",
        _A,
        lambda: registry_pb2.KeyRevoked(key_id=nurse.signer.key_id, compromised_since_leaf=10_000),
    )
    yield "service-key-suspended", _Q, lambda: registry_pb2.KeySuspended(key_id=world.service.signer.key_id)
    yield (
        "registrars-key-revoked-by-administrator",
        _A,
        lambda: registry_pb2.KeyRevoked(key_id=world.registrars[0].signer.key_id),
    )
    yield (
        "affirmed-though-not-compromised",
        _Q,
        lambda: registry_pb2.StatementsAffirmed(key_id=nurse.signer.key_id, statement_digests=[bytes(32)]),
    )
    yield (
        "emergency-for-two-days",
        _A,
        lambda: registry_pb2.EmergencyCredentialGranted(
            person=nurse.id, roles=["physician"], valid_from_unix_micros=world.now, valid_seconds=2 * 86_400
        ),
    )
    yield (
        "emergency-by-one-administrator",
        _A,
        lambda: registry_pb2.EmergencyCredentialGranted(
            person=nurse.id, roles=["physician"], valid_from_unix_micros=world.now, valid_seconds=3600
        ),
    )
    yield "log-keys-without-ed25519", _Q, lambda: registry_pb2.LogKeysRotated(log_keys=[])
    yield "log-keys-the-same", _Q, lambda: registry_pb2.LogKeysRotated(log_keys=[one.vkey for one in world.log_signers])
    yield (
        "log-key-of-another-origin",
        _Q,
        lambda: registry_pb2.LogKeysRotated(log_keys=[world.note_signer("k", "elsewhere.example").vkey]),
    )
    yield (
        "log-keys-overlap-in-the-past",
        _Q,
        lambda: registry_pb2.LogKeysRotated(log_keys=[world.note_signer("k").vkey], overlap_until_size=1),
    )
    yield (
        "lost-log-key-that-was-none",
        _Q,
        lambda: registry_pb2.LogKeysRotated(
            log_keys=[world.note_signer("k").vkey], lost_keys=[world.note_signer("other").vkey]
        ),
    )
    yield "registrars-threshold-zero", _Q, lambda: _registrars(world, 0)
    yield "registrars-threshold-beyond", _Q, lambda: _registrars(world, 4)
    yield "registrars-descend", _Q, lambda: _registrars(world, 2, descends=True)
    yield "device-twice", _A, lambda: registry_pb2.DeviceEnrolled(site=site, device=nurse.id, description="tablet")
    yield "device-without-description", _A, lambda: registry_pb2.DeviceEnrolled(site=site, device=drawn("d", 16))


def _registrars(world: World, threshold: int, *, descends: bool = False) -> registry_pb2.RegistrarsChanged:
    act = registry_pb2.RegistrarsChanged(threshold=threshold)
    for one in sorted(world.registrars, key=lambda one: one.id, reverse=descends):
        act.registrars.add(person=one.id, key=world.key(one), organisation="organisation")
    return act


@FAMILY
def refused() -> Iterator[Case]:
    """Each act with all the persons that its form needs, and something in it that the rules refuse."""
    for number, (name, _, _) in enumerate(_cases(founded())):
        world = founded()
        _, who, make = list(_cases(world))[number]
        if who == _Q:
            world.quorum(make())
        else:
            world.records(make(), world.administrators[0])
        world.enrols()
        yield anchored(world, name)


@FAMILY
def policies_and_schemas() -> Iterator[Case]:
    """Packs and schemas that cannot be published."""
    pack = sample_pack_bytes()
    for name, act in (
        (
            "policy-of-version-2-first",
            registry_pb2.PolicyPublished(product="P", jurisdiction="EU", version=2, pack=pack),
        ),
        ("policy-without-product", registry_pb2.PolicyPublished(jurisdiction="EU", version=1, pack=pack)),
        (
            "policy-with-spaces",
            registry_pb2.PolicyPublished(product="P", jurisdiction="EU", version=1, pack=pack + b" "),
        ),
        ("policy-no-json", registry_pb2.PolicyPublished(product="P", jurisdiction="EU", version=1, pack=b"{")),
        ("policy-a-list", registry_pb2.PolicyPublished(product="P", jurisdiction="EU", version=1, pack=b"[]")),
        ("policy-empty", registry_pb2.PolicyPublished(product="P", jurisdiction="EU", version=1, pack=b"{}")),
    ):
        world = founded()
        world.quorum(act, _POLICIES)
        world.enrols()
        yield anchored(world, name)
    for name, raw in (("schema-twice", None), ("schema-of-no-bytes", b""), ("schema-random", b"\x0a\x05hello")):
        world = founded()
        first = world.shown[3][0].record
        content = first[first.index(b"\x0a", 1) :] if raw is None else raw
        schema = registry_pb2.SchemaPublished(descriptor_set=content)
        if raw is None:
            schema = registry_pb2.SchemaPublished.FromString(first)
        world.quorum(schema, _SCHEMAS)
        world.enrols()
        yield anchored(world, name)


@FAMILY
def quorum() -> Iterator[Case]:
    """The persons that an act needs."""
    change = registry_pb2.SiteChanged(
        site=founded().site, capabilities=[options_pb2.CAPABILITY_AUDIT], tls_key_ids=[drawn("tls 2")]
    )
    world = founded()
    world.records(change, world.registrars[0])
    world.enrols()
    yield anchored(world, "one-registrar-alone")
    world = founded()
    digest = world.records(change, world.registrars[0], judged=_PENDING)
    world.joins(digest, world.registrars[0], completes=True)
    world.enrols()
    yield anchored(world, "the-same-registrar-twice")
    world = founded()
    digest = world.records(change, world.registrars[0], judged=_PENDING)
    world.joins(digest, world.administrators[0], completes=True)
    world.enrols()
    yield anchored(world, "joined-by-an-administrator")
    world = founded()
    digest = world.records(change, world.registrars[0], judged=_PENDING)
    world.joins(digest, world.registrars[1])
    world.enrols()
    yield anchored(world, "joined-and-not-put-in-effect")
    world = founded()
    digest = world.records(change, world.registrars[0], judged=_PENDING)
    world.joins(digest, world.registrars[1], completes=True)
    world.joins(digest, world.registrars[2], completes=True)
    world.enrols()
    yield anchored(world, "put-in-effect-twice")
    world = founded()
    world.joins(drawn("nothing"), world.registrars[1])
    world.enrols()
    yield anchored(world, "joins-nothing")
    world = founded()
    digest = world.records(change, world.registrars[0], judged=_PENDING)
    world.quorum(registry_pb2.KeySuspended(key_id=world.registrars[0].signer.key_id))
    world.joins(digest, world.registrars[2], completes=True)
    world.enrols()
    yield anchored(world, "signers-key-suspended-meanwhile")
    for name, by, role in (
        ("enrolled-by-a-nurse", "nurse", "administrator"),
        ("enrolled-by-an-administrator-as-registrar", "administrator", "registrar"),
        ("enrolled-by-a-registrar-as-administrator", "registrar", "administrator"),
    ):
        world = founded()
        signer = {"nurse": world.nurse, "administrator": world.administrators[0], "registrar": world.registrars[0]}[by]
        act = registry_pb2.PersonEnrolled(site=world.site, person=_person(world))
        world.records(act, signer, role=role)
        world.enrols()
        yield anchored(world, name)
    world = founded()
    world.revokes(world.administrators[0])
    world.records(registry_pb2.PersonEnrolled(site=world.site, person=_person(world)), world.administrators[0])
    world.enrols()
    yield anchored(world, "enrolled-with-a-revoked-key")
    world = enrolled()
    payload, kind, openings = world.payload_of(hold(), world.administrators[0])
    world.put(world.signed(payload, kind, world.administrators[0].signer), openings, stream=payload_stream())
    yield anchored(world, "custody-act-in-the-registry")


def payload_stream() -> bytes:
    """Returns the registry's stream."""
    return single_stream_id(StreamKind.REGISTRY)


@FAMILY
def whose() -> Iterator[Case]:
    """A whole ledger that is somebody else's."""
    here, elsewhere = lawful(), lawful("elsewhere")
    yield Case("forged-whole-ledger", elsewhere.data(), here.anchor)
    thief = lawful()
    thief.log_signers = [thief.note_signer("a thief's key")]
    yield Case("log-signed-with-a-key-of-ones-own", thief.data(), here.anchor)
    yield Case(
        "anchor-with-other-log-keys",
        here.data(),
        here.anchor.__class__(here.anchor.founding_digest, here.anchor.log_origin, (here.note_signer("k").vkey,)),
    )
    yield Case(
        "anchor-of-another-founding",
        here.data(),
        here.anchor.__class__(drawn("another founding"), here.anchor.log_origin, here.anchor.log_keys),
    )
    other = here.note_signer("k", "other.example/log")
    yield Case(
        "anchor-of-another-origin",
        here.data(),
        here.anchor.__class__(here.anchor.founding_digest, "other.example/log", (other.vkey,)),
    )


@FAMILY
def foundings() -> Iterator[Case]:
    """Ledgers that were not founded as they must be."""
    for name, judged, joined in (
        ("founding-in-effect-alone", Status.IN_EFFECT, 0),
        ("founding-of-one-of-three", Status.PENDING, 1),
    ):
        world = World()
        _begin(world, judged)
        for one in range(1, joined + 1):
            world.joins(world_digest(world), world.registrars[one], completes=False)
        world.records(_first_schema(), world.registrars[0], _SCHEMAS)
        world.enrols()
        yield anchored(world, name)
    world = World()
    _begin(world, Status.PENDING)
    world.joins(world_digest(world), world.registrars[1])
    world.joins(world_digest(world), world.registrars[2], completes=True)
    world.enrols()
    yield anchored(world, "founding-without-a-schema")
    world = World()
    _begin(world, Status.PENDING)
    world.joins(world_digest(world), world.registrars[1])
    world.joins(world_digest(world), world.registrars[2], completes=True)
    world.records(_first_schema(), world.registrars[1], _SCHEMAS)
    world.enrols()
    yield anchored(world, "first-schema-by-another-registrar")
    for name, change in (
        ("founding-threshold-zero", lambda b: setattr(b, "threshold", 0)),
        ("founding-of-another-schema", lambda b: setattr(b, "schema_digest", bytes(32))),
        ("founding-without-log-keys", lambda b: b.ClearField("log_keys")),
        ("founding-origin-with-a-space", lambda b: setattr(b, "log_origin", "a b")),
        ("founding-service-device-short", lambda b: setattr(b, "service_device", b"x")),
        ("founding-without-service-key", lambda b: b.ClearField("service_key")),
        ("founding-registrar-twice", lambda b: b.registrars.add().CopyFrom(b.registrars[0])),
    ):
        world = World()
        _begin(world, Status.PENDING, change)
        for one, completes in ((1, False), (2, True)):
            world.joins(world_digest(world), world.registrars[one], completes=completes)
        world.records(_first_schema(), world.registrars[0], _SCHEMAS)
        world.now += SECOND
        world.enrols()
        yield anchored(world, name)


def world_digest(world: World) -> bytes:
    """Returns the statement digest of leaf 0."""
    return world.anchor.founding_digest


def _first_schema() -> registry_pb2.SchemaPublished:
    return registry_pb2.SchemaPublished.FromString(founded().shown[3][0].record)


def _begin(world: World, status: Status, change: Callable[[registry_pb2.LedgerFounded], object] | None = None) -> None:
    lawful_body = registry_pb2.LedgerFounded.FromString(b"".join(one.record for one in founded().shown[0]))
    if change is not None:
        change(lawful_body)
    envelope, openings = world.statement(lawful_body, world.registrars[0])
    world.ledger_id = ledger_id_of(parse_statement(envelope).envelope.payload)
    world.enter(envelope, openings, Judged(status))
