"""Stories of how a ledger begins."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.registry import RegistryEntry, RegistryJudgement, ledger_id_of, verify_registry
from cellcustody.ledger.registry.errors import (
    AlreadyFoundedError,
    CoSignatureRepeatedError,
    DifferentPersonNeededError,
    FoundingIncompleteError,
    KeyTakenError,
    KeyUnknownError,
    LedgerMismatchError,
    NotRegistrarError,
    PossessionNotProvenError,
    QuorumUnreachableError,
    RegistryFieldInvalidError,
    RegistryReplayError,
    RegistryRoleError,
)
from cellcustody.v1 import registry_pb2

if TYPE_CHECKING:
    from tests.unit.registry.conftest import RegistryWorld


def test_a_ledger_is_founded_by_all_registrars_and_the_first_schema(world: RegistryWorld) -> None:
    """Leaf 0 waits for every other registrar, whatever the threshold; then comes the schema it names."""
    founding = world.does(world.founding(threshold=2), world.registrars[0])
    assert founding.status is Status.PENDING
    assert founding.judged.co_signers_needed == 2

    # Co-signatures come in any order; the last puts the founding in effect.
    second = world.joins(founding, world.registrars[2])
    assert second.judged == RegistryJudgement(Status.RECORDED, 1)
    third = world.joins(founding, world.registrars[1])
    assert third.judged.puts_in_effect == founding.digest
    assert not world.state.latest.is_founded

    schema = world.does(world.schema(), world.registrars[0])
    assert schema.status is Status.IN_EFFECT
    assert schema.leaf_index == 3
    assert world.state.latest.is_founded


def test_a_single_registrar_founds_alone(world: RegistryWorld) -> None:
    """With one registrar there is nobody to wait for."""
    world.registrars = world.registrars[:1]

    founding = world.does(world.founding(threshold=1), world.registrars[0])

    assert founding.status is Status.IN_EFFECT
    world.does(world.schema(), world.registrars[0])


def test_the_ledger_id_comes_from_the_founding_payload(world: RegistryWorld) -> None:
    """Nobody chooses the id of a ledger."""
    payload = b"the payload's exact bytes"
    assert ledger_id_of(payload) == hashlib.sha256(payload).digest()[:16]

    founding = world.does(world.founding(), world.registrars[0])
    assert world.state.latest.ledger_id == founding.entry.statement.payload_sha256[:16]


def test_nothing_else_comes_before_the_first_schema(world: RegistryWorld) -> None:
    """A site cannot slip in between founding and schema, nor the schema before every registrar has joined."""
    founding = world.does(world.founding(), world.registrars[0])
    world.joins(founding, world.registrars[1])

    with pytest.raises(FoundingIncompleteError):
        world.does(world.schema(), world.registrars[0])

    world.joins(founding, world.registrars[2])
    with pytest.raises(FoundingIncompleteError):
        world.does(world.site_enrolled(), world.registrars[0])


def test_nothing_at_all_comes_before_the_founding(world: RegistryWorld) -> None:
    """Without a founding no key is known."""
    with pytest.raises(KeyUnknownError):
        world.does(world.schema(), world.registrars[0], ledger_id=bytes(range(16)))


def test_the_first_registrar_signs_the_founding_and_publishes_the_schema(world: RegistryWorld) -> None:
    """First means the lowest person id, so that nobody argues about it."""
    with pytest.raises(NotRegistrarError):
        world.does(world.founding(), world.registrars[1])

    founding = world.does(world.founding(), world.registrars[0])
    world.joins(founding, world.registrars[1])
    world.joins(founding, world.registrars[2])
    with pytest.raises(NotRegistrarError):
        world.does(world.schema(), world.registrars[1])


def test_a_registrar_joins_the_founding_once_and_never_their_own(world: RegistryWorld) -> None:
    """Two signatures by one registrar are one registrar."""
    founding = world.does(world.founding(), world.registrars[0])
    with pytest.raises(DifferentPersonNeededError):
        world.joins(founding, world.registrars[0])

    world.joins(founding, world.registrars[1])
    with pytest.raises(CoSignatureRepeatedError):
        world.joins(founding, world.registrars[1])


def test_a_ledger_is_founded_once(world: RegistryWorld) -> None:
    """A second founding is refused, at any position."""
    world.founds()
    world.ledger_id = b""
    again = world.founding()

    with pytest.raises(AlreadyFoundedError):
        world.does(again, world.registrars[0])


def test_the_founding_names_no_ledger_and_everything_else_names_this_one(world: RegistryWorld) -> None:
    """The id is not known before, and nothing of another ledger is taken after."""
    with pytest.raises(LedgerMismatchError):
        world.does(world.founding(), world.registrars[0], ledger_id=bytes(range(16)))

    world.founds()
    with pytest.raises(LedgerMismatchError):
        world.does(world.site_enrolled(), world.registrars[0], ledger_id=bytes(range(16)))


def test_the_first_schema_is_the_one_that_the_founding_names(world: RegistryWorld) -> None:
    """Another schema cannot be put in its place."""
    body = world.founding()
    body.schema_digest = bytes(32)
    founding = world.does(body, world.registrars[0])
    world.joins(founding, world.registrars[1])
    world.joins(founding, world.registrars[2])

    with pytest.raises(RegistryFieldInvalidError) as refusal:
        world.does(world.schema(), world.registrars[0])

    assert refusal.value.field == "descriptor_set"


@pytest.mark.parametrize("threshold", [0, 4])
def test_a_threshold_can_be_reached(world: RegistryWorld, threshold: int) -> None:
    """A quorum is at least one registrar and at most all of them."""
    with pytest.raises(QuorumUnreachableError):
        world.does(world.founding(threshold=threshold), world.registrars[0])


def test_registrars_come_in_order_and_each_once(world: RegistryWorld) -> None:
    """One order, so that the first registrar is who everybody thinks it is."""
    for arranged in (list(reversed(world.registrars)), [world.registrars[0], *world.registrars]):
        body = world.founding()
        del body.registrars[:]
        body.registrars.extend(world.registrar(party) for party in arranged)
        with pytest.raises(RegistryFieldInvalidError):
            world.does(body, world.registrars[0])


def test_every_key_of_the_founding_is_proven_and_stands_once(world: RegistryWorld) -> None:
    """A registrar's key does not serve as the service key, nor the proof of one for the other."""
    body = world.founding()
    first = world.registrars[0]
    body.service_key.CopyFrom(world.key(first))
    with pytest.raises(PossessionNotProvenError):
        world.does(body, first)

    world.service.signers = first.signers
    with pytest.raises(KeyTakenError):
        world.does(world.founding(), first)


@pytest.mark.parametrize("log_keys", ["none", "another name", "no key"])
def test_the_log_has_an_ed25519_key_named_by_its_origin(world: RegistryWorld, log_keys: str) -> None:
    """What an auditor's tools would not accept is not founded on."""
    body = world.founding()
    del body.log_keys[:]
    if log_keys == "another name":
        body.log_keys.append(world.log_key(name="elsewhere.example.org/log"))
    elif log_keys == "no key":
        body.log_keys.append("not a verifier key")

    with pytest.raises(RegistryFieldInvalidError) as refusal:
        world.does(body, world.registrars[0])

    assert refusal.value.field == "log_keys"


def test_a_forged_founding_status_is_noticed_by_an_audit(world: RegistryWorld) -> None:
    """An operator who records the founding as in effect before all have joined is found out."""
    world.founds()
    first = world.entries[0]
    forged = RegistryEntry(first.statement, 0, first.recorded_at, RegistryJudgement(Status.IN_EFFECT))

    with pytest.raises(RegistryReplayError) as failure:
        verify_registry([forged, *world.entries[1:]])

    assert failure.value.values["leaf_index"] == "0"


def test_an_audit_starts_from_the_founding_that_the_anchor_names(world: RegistryWorld) -> None:
    """A whole other ledger, consistent in itself, is not this one."""
    world.founds()
    verify_registry(world.entries, founding_digest=world.entries[0].statement.digest)

    with pytest.raises(RegistryReplayError):
        verify_registry(world.entries, founding_digest=bytes(32))
    with pytest.raises(RegistryReplayError):
        verify_registry(world.entries[1:])
    with pytest.raises(RegistryReplayError):
        verify_registry([])


def test_a_site_enrolled_without_its_quorum_is_noticed_by_an_audit(world: RegistryWorld) -> None:
    """The operator cannot wave a site through: an audit asks for the co-signatures."""
    world.founds()
    lone = world.statement(world.site_enrolled(), world.registrars[0])
    waved = RegistryEntry(lone, world.position, world.now, RegistryJudgement(Status.IN_EFFECT))

    with pytest.raises(RegistryReplayError) as failure:
        verify_registry([*world.entries, waved])

    assert failure.value.values["said"] == "IN_EFFECT"
    assert failure.value.values["expected"] == "PENDING"


def test_an_unknown_body_in_the_stream_is_refused(hospital: RegistryWorld) -> None:
    """Only acts of the registry are judged here."""
    with pytest.raises(AlreadyFoundedError):
        body = hospital.founding()
        hospital.does(body, hospital.registrars[0], ledger_id=hospital.ledger_id)
    with pytest.raises(RegistryRoleError):
        hospital.does(registry_pb2.ExportMade(purpose="curiosity"), hospital.registrars[0])
