"""Dossiers that are in order, each lawful in another way; and what is told without being a broken link."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.custody.act import Finding, Judged, Status
from cellcustody.ledger.custody.policy import sample_pack_bytes
from cellcustody.ledger.dossier.layout import PAGE, SCRIPT
from cellcustody.ledger.registry import Anchor, enrolled_key
from cellcustody.ledger.statements import KeyAlgorithm, MlDsa65Signer, P256Signer, Signer, StreamKind, single_stream_id
from cellcustody.v1 import options_pb2, quality_pb2, registry_pb2
from corpus.cases import Case, Family
from corpus.world import ALL_CLASSES, ORIGIN, SECOND, World, drawn, founded, lawful, sealed

__all__ = ["FAMILY", "anchored", "proven", "revise_registrars", "rotated", "rotated_service_key"]

FAMILY = Family("good")


def anchored(world: World, name: str, data: bytes | None = None) -> Case:
    """Returns a case under the world's own anchor."""
    return Case(name, world.data() if data is None else data, world.anchor)


@FAMILY
def plain() -> Iterator[Case]:
    """The same history, opened to different readers."""
    world = lawful()
    yield anchored(world, "lawful")
    yield Case("lawful-without-anchor", world.data(), None)
    for classes in ((), (DisclosureClass.CUSTODY,), (DisclosureClass.QUALITY, DisclosureClass.CLINICAL)):
        name = "-".join(one.name.lower() for one in classes) or "public-alone"
        yield anchored(world, f"open-to-{name}", world.dossier(classes).data)
    for withheld in sorted(ALL_CLASSES - {DisclosureClass.PUBLIC}):
        data = world.dossier(ALL_CLASSES - {withheld}).data
        yield anchored(world, f"all-but-{withheld.name.lower()}", data)
    yield anchored(founded(), "empty-but-for-an-enrolment", _enrolled(founded()))
    post_quantum = lawful(is_post_quantum=True)
    yield anchored(post_quantum, "log-signs-with-ml-dsa-44-too")
    yield Case("forged-whole-ledger-without-anchor", lawful("elsewhere").data(), None)
    files = world.files()
    yield anchored(world, "another-verify-py-inside", sealed(world, files, **{SCRIPT: b"print('fine')\n"}))
    yield anchored(world, "another-page-inside", sealed(world, files, **{PAGE: b"<p>fine</p>\n"}))


def _enrolled(world: World) -> bytes:
    world.enrols()
    return world.data()


@FAMILY
def older_checkpoints() -> Iterator[Case]:
    """A dossier of an earlier size, and one behind thousands of other entries."""
    world = lawful()
    size = len(world.entries)
    world.places_hold()
    early = [one for one in world.leaves() if one.leaf_index < size]
    yield anchored(world, "as-of-an-earlier-size", world.data(given=early, size=size))
    crowded = lawful()
    for _ in range(300):
        crowded.records_elsewhere()
    crowded.places_hold()
    yield anchored(crowded, "among-hundreds-of-others")


@FAMILY
def erased() -> Iterator[Case]:
    """A body of which a record is gone."""
    world = lawful()
    leaf = next(one.leaf_index for one in reversed(world.leaves()) if world.shown[one.leaf_index])
    world.shown[leaf] = ()
    yield anchored(world, "body-not-shown")


@FAMILY
def signers() -> Iterator[Case]:
    """Keys of other algorithms, and findings that the entry tells."""
    for name, signer in (
        ("p-256", P256Signer(drawn("p-256 scalar"), deterministic=True)),
        ("ml-dsa-65", MlDsa65Signer(drawn("ml-dsa seed"))),
    ):
        world = World()
        world.nurse.signer = signer  # type: ignore[assignment]  # any signer
        world.founds()
        world.lives()
        yield anchored(world, f"signed-with-{name}")
    world = founded()
    world.enrols()
    world.nurse.role = "physician"
    world.places_hold(Judged(Status.NONCONFORMING, (Finding("ROLE_NOT_HELD"),)))
    yield anchored(world, "role-not-held-and-told")
    world = founded()
    world.enrols()
    since = len(world.entries)
    world.places_hold()
    world.revokes(world.nurse, since=since)
    yield anchored(world, "suspect-key")
    world = founded()
    world.enrols()
    since = len(world.entries)
    hold = world.places_hold()
    world.revokes(world.nurse, since=since)
    affirmed = registry_pb2.StatementsAffirmed(key_id=world.nurse.signer.key_id, statement_digests=[hold])
    digest = world.records(affirmed, world.administrators[0], judged=Judged(Status.PENDING))
    world.joins(digest, world.administrators[1], completes=True)
    yield anchored(world, "suspect-key-affirmed")
    world = founded()
    world.enrols()
    retired = registry_pb2.KeyRetired(key_id=world.nurse.signer.key_id, grace_seconds=3600)
    world.records(retired, world.administrators[0])
    world.now -= 60 * SECOND
    late = Finding("LATE_AFTER_RETIREMENT")
    world.places_hold(Judged(Status.CONFORMING, (late,)))
    yield anchored(world, "retired-key-late-within-grace")


def rotated(world: World, *, overlap: int = 0, lost: bool = False) -> World:
    """Rotates the log's keys by two registrars; up to `overlap` more entries the former ones sign too."""
    former = [signer.vkey for signer in world.log_signers]
    own = world.note_signer("second log key")
    act = registry_pb2.LogKeysRotated(log_keys=[own.vkey], lost_keys=former if lost else [])
    if overlap:
        act.overlap_until_size = len(world.entries) + overlap
    world.quorum(act)
    world.log_signers = [own, *(world.log_signers if overlap else [])]
    return world


@FAMILY
def log_keys() -> Iterator[Case]:
    """The log's keys rotate, and an anchor made before leads on."""
    for name, how in (
        ("log-keys-rotated", {}),
        ("log-keys-overlap", {"overlap": 100}),
        ("log-key-lost", {"lost": True}),
    ):
        world = lawful()
        old = world.anchor
        rotated(world, **how)
        world.places_hold()
        data = world.data()
        yield Case(f"{name}-old-anchor", data, old)
        new = Anchor(old.founding_digest, ORIGIN, (world.log_signers[0].vkey,))
        yield Case(f"{name}-new-anchor", data, new)


@FAMILY
def registry() -> Iterator[Case]:
    """Acts of the registry that a lawful ledger records."""
    world = lawful()
    rotated_service_key(world)
    yield anchored(world, "service-key-rotated")
    world = lawful()
    revise_registrars(world)
    world.places_hold()
    yield anchored(world, "registrars-changed")
    world = lawful()
    pack = sample_pack_bytes()
    act_of_policy = registry_pb2.PolicyPublished(product="EXAMPLE-CAR", jurisdiction="EU", version=1, pack=pack)
    world.quorum(act_of_policy, single_stream_id(StreamKind.POLICY))
    envelope, openings = world.statement(quality_pb2.HoldPlaced(grounds="known"), world.nurse, world.therapy)
    untrained = Judged(Status.NONCONFORMING, (Finding("TRAINING_NOT_RECORDED"),))
    world.enter(envelope, openings, untrained, policy_digest=hashlib.sha256(pack).digest())
    yield anchored(world, "policy-published-and-judged-under")
    world = lawful()
    device = drawn("a tablet", 16)
    world.records(
        registry_pb2.DeviceEnrolled(site=world.site, device=device, description="tablet"), world.administrators[0]
    )
    payload, kind, shown = world.payload_of(
        quality_pb2.HoldPlaced(grounds="on a tablet"),
        world.nurse,
        world.therapy,
        change=lambda header: setattr(header, "device", device),
    )
    world.put(world.signed(payload, kind, world.nurse.signer), shown)
    yield anchored(world, "signed-on-a-registered-device")
    world = lawful()
    change = registry_pb2.SiteChanged(
        site=world.site,
        capabilities=[options_pb2.CAPABILITY_COLLECT, options_pb2.CAPABILITY_RELEASE, options_pb2.CAPABILITY_STORE],
        units=["apheresis", "cryo"],
        tls_key_ids=[drawn("another tls key")],
    )
    world.quorum(change)
    world.places_hold()
    yield anchored(world, "site-changed")
    world = lawful()
    hybrid = MlDsa65Signer(drawn("second key of the nurse"))
    added = registry_pb2.KeyAdded(holder=world.nurse.id)
    added.key.CopyFrom(proven(world, world.nurse.id, hybrid))
    world.records(added, world.administrators[0])
    both: list[Signer] = [world.nurse.signer, hybrid]
    payload, kind, shown = world.payload_of(
        quality_pb2.HoldPlaced(grounds="twice"),
        world.nurse,
        world.therapy,
        key_ids=[one.key_id for one in both],
    )
    world.put(world.signed(payload, kind, *both), shown)
    yield anchored(world, f"hybrid-with-{KeyAlgorithm.ML_DSA_65.name.lower().replace('_', '-')}")


def proven(world: World, holder: bytes, signer: object) -> registry_pb2.EnrolledKey:
    """Returns a key with the proof that its holder has it."""
    return enrolled_key(signer, ledger_id=world.ledger_id, holder=holder, signed_at=world.now)  # type: ignore[arg-type]  # any


def rotated_service_key(world: World) -> None:
    """Gives the ledger another service key, by two registrars."""
    act = registry_pb2.ServiceKeyRotated()
    new = world.signatory("second service key", "ledger")
    new.id = world.service.id
    act.service_key.CopyFrom(world.key(new))
    world.quorum(act)
    world.service = new


def revise_registrars(world: World) -> None:
    """Takes the third registrar out."""
    remaining = world.registrars[:2]
    act = registry_pb2.RegistrarsChanged(threshold=2)
    for number, one in enumerate(remaining):
        act.registrars.add(person=one.id, key=world.key(one), organisation=f"organisation {number}")
    world.quorum(act)
