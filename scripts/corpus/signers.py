"""Signers who could not, or who lacked what the entry keeps silent about."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from cellcustody.ledger.custody.act import Finding, Judged, Status
from cellcustody.v1 import modification_pb2, registry_pb2, statement_pb2, transport_pb2
from corpus.cases import Case, Family
from corpus.envelopes import enrolled, hold
from corpus.good import anchored
from corpus.world import SECOND, Signatory, drawn, founded

__all__ = ["FAMILY"]

FAMILY = Family("signers")
_NONCONFORMING = Status.NONCONFORMING


@FAMILY
def keys_by_position() -> Iterator[Case]:
    """Keys that could not sign where they did."""
    world = enrolled()
    world.revokes(world.nurse)
    world.places_hold()
    yield anchored(world, "revoked-key")
    world = enrolled()
    world.records(registry_pb2.KeySuspended(key_id=world.nurse.signer.key_id), world.administrators[0])
    world.places_hold()
    yield anchored(world, "suspended-key")
    world = enrolled()
    world.records(registry_pb2.KeySuspended(key_id=world.nurse.signer.key_id), world.administrators[0])
    world.records(registry_pb2.KeyReinstated(key_id=world.nurse.signer.key_id), world.administrators[0])
    world.places_hold()
    yield anchored(world, "reinstated-key-is-good")
    for name, grace, back, judged in (
        ("retired-key-signed-after", 3600, 0, None),
        ("retired-key-late-and-not-told", 3600, 60, None),
        ("retired-key-without-grace", 0, 60, Judged(Status.CONFORMING, (Finding("LATE_AFTER_RETIREMENT"),))),
    ):
        world = enrolled()
        retired = registry_pb2.KeyRetired(key_id=world.nurse.signer.key_id, grace_seconds=grace)
        world.records(retired, world.administrators[0])
        payload, kind, openings = world.payload_of(hold(), world.nurse, world.therapy, change=partial(_earlier, back))
        world.put(world.signed(payload, kind, world.nurse.signer), openings, judged)
        yield anchored(world, name)
    world = enrolled()
    world.nurse = Signatory("elsewhere", "stranger", "collection_nurse")
    world.places_hold()
    yield anchored(world, "key-never-enrolled")
    world = founded()
    late = world.signatory("latecomer", "collection_nurse")
    world.enrols()
    payload, kind, openings = world.payload_of(hold(), late, world.therapy)
    world.put(world.signed(payload, kind, late.signer), openings)
    person = registry_pb2.PersonEnrolled(site=world.site, person=world.new_person(late))
    world.records(person, world.administrators[0])
    yield anchored(world, "key-enrolled-later")


def _earlier(seconds: int, header: statement_pb2.Header) -> None:
    header.signed_at.unix_micros -= seconds * SECOND


def _on(device: bytes, header: statement_pb2.Header) -> None:
    header.device = device


@FAMILY
def standing() -> Iterator[Case]:
    """Role, capability, training, device."""
    world = enrolled()
    world.nurse.role = "physician"
    world.places_hold()
    yield anchored(world, "role-not-held-and-not-told")
    for code in ("ROLE_NOT_HELD", "TRAINING_LAPSED", "CAPABILITY_MISSING", "DEVICE_UNKNOWN", "LATE_AFTER_RETIREMENT"):
        world = enrolled()
        status = Status.CONFORMING if code.startswith("LATE") else _NONCONFORMING
        world.places_hold(Judged(status, (Finding(code),)))
        yield anchored(world, f"told-without-cause-{code.lower().replace('_', '-')}")
    world = enrolled()
    body = modification_pb2.ActivationPerformed()
    payload, kind, openings = world.payload_of(body, world.nurse, world.therapy)
    world.put(world.signed(payload, kind, world.nurse.signer), openings)
    yield anchored(world, "capability-missing-and-not-told")
    world = founded()
    lapsed = world.signatory("lapsed", "collection_nurse")
    person = world.new_person(lapsed)
    person.roles[0].trained_until_unix_micros = world.now - SECOND
    world.records(registry_pb2.PersonEnrolled(site=world.site, person=person), world.administrators[0])
    world.enrols()
    world.nurse = lapsed
    world.places_hold()
    yield anchored(world, "training-lapsed-and-not-told")
    for name, device in (("device-unknown-and-not-told", drawn("no device", 16)),):
        world = enrolled()
        payload, kind, openings = world.payload_of(hold(), world.nurse, world.therapy, change=partial(_on, device))
        world.put(world.signed(payload, kind, world.nurse.signer), openings)
        yield anchored(world, name)
    world = enrolled()
    payload, kind, openings = world.payload_of(
        hold(), world.nurse, world.therapy, change=lambda h: setattr(h, "device", drawn("no device", 16))
    )
    told = Judged(_NONCONFORMING, (Finding("DEVICE_UNKNOWN"),))
    world.put(world.signed(payload, kind, world.nurse.signer), openings, told)
    yield anchored(world, "device-unknown-and-told-is-no-break")
    world = enrolled()
    world.places_hold(Judged(_NONCONFORMING, (Finding("EMERGENCY_CREDENTIAL"),)))
    yield anchored(world, "emergency-told-without-a-credential")
    world = enrolled()
    world.nurse.role = "physician"
    world.establishes_custody()
    yield anchored(world, "authorisation-by-who-may-not")
    world = enrolled()
    body_of_release = transport_pb2.CustodyEstablished(materials=[world.material])
    payload, kind, openings = world.payload_of(
        body_of_release, world.nurse, world.therapy, change=lambda h: setattr(h, "device", drawn("no device", 16))
    )
    world.put(world.signed(payload, kind, world.nurse.signer), openings, Judged(Status.PENDING))
    yield anchored(world, "authorisation-on-an-unknown-device")


@FAMILY
def ledger() -> Iterator[Case]:
    """What the ledger says, and what it may not."""
    world = enrolled()
    world.revises(world.places_hold(), Judged(Status.CONFORMING), by=world.nurse)
    yield anchored(world, "re-judged-by-a-nurse")
    world = enrolled()
    payload, kind, openings = world.payload_of(hold(), world.service, world.therapy)
    world.put(world.signed(payload, kind, world.service.signer), openings)
    yield anchored(world, "custody-said-by-the-ledger")
    world = enrolled()
    digest = world.establishes_custody()
    payload, kind, _ = world.payload_of(None, world.service, world.therapy, joins=digest)
    world.put(world.signed(payload, kind, world.service.signer), (), Judged(Status.RECORDED))
    yield anchored(world, "joined-by-the-ledger")
