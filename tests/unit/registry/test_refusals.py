"""Stories of small lies: each is refused for its own reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.registry import verify_registry
from cellcustody.ledger.registry.errors import (
    CoSignerNotPermittedError,
    DeviceUnknownError,
    FoundingIncompleteError,
    IdTakenError,
    KeySuspendedError,
    NotRegisteredError,
    RegistryFieldInvalidError,
    RegistryReplayError,
    RegistryRoleError,
    SignerMismatchError,
    TlsKeyTakenError,
)
from cellcustody.ledger.registry.history import History
from cellcustody.ledger.registry.judging import judge
from cellcustody.v1 import options_pb2, registry_pb2

if TYPE_CHECKING:
    from tests.unit.registry.conftest import RegistryWorld


def test_the_founding_is_signed_as_registrar_on_the_own_device_with_the_named_key(world: RegistryWorld) -> None:
    """Role, device and key are those of the first registrar."""
    first, second, _ = world.registrars
    with pytest.raises(RegistryRoleError):
        world.does(world.founding(), first, role="administrator")
    with pytest.raises(DeviceUnknownError):
        world.does(world.founding(), first, device=second.id)
    with pytest.raises(SignerMismatchError):
        world.does(world.founding(), first, signers=second.signers)
    world.service.id = second.id
    with pytest.raises(RegistryFieldInvalidError):
        world.does(world.founding(), first)


def test_the_founding_is_joined_by_registrars_as_such(world: RegistryWorld) -> None:
    """The role that a co-signature names is the registrar's."""
    founding = world.does(world.founding(), world.registrars[0])

    with pytest.raises(CoSignerNotPermittedError):
        world.joins(founding, world.registrars[1], role="administrator")


def test_a_statement_without_any_founding_is_judged_incomplete(world: RegistryWorld) -> None:
    """Even for a caller who admits nobody."""
    world.founds()
    statement = world.entries[-1].statement
    world.state.rewind(0)

    with pytest.raises(FoundingIncompleteError):
        judge(world.state, statement, 3)


def test_an_audit_takes_entries_in_the_order_of_the_log(hospital: RegistryWorld) -> None:
    """Each once, ascending."""
    with pytest.raises(RegistryReplayError) as failure:
        verify_registry([*hospital.entries, hospital.entries[-1]])

    assert "expected" in failure.value.values
    assert "defect" not in failure.value.values


def test_names_and_keys_of_persons_are_their_own(hospital: RegistryWorld) -> None:
    """A name for somebody else, or a person without a key, is refused."""
    nurse = hospital.party("nurse", "collection_nurse")
    named = hospital.person_enrolled(nurse)
    named.name.person = hospital.administrators[0].id
    named.name.printed_name = "Somebody Else"
    keyless = hospital.person_enrolled(nurse)
    keyless.person.ClearField("keys")
    foreign = hospital.person_enrolled(hospital.party("nurse", "Krankenschwester für Apherese"))
    foreign.person.roles[0].role = "für"
    for body in (named, keyless, foreign):
        with pytest.raises(RegistryFieldInvalidError):
            hospital.does(body, hospital.administrators[0])


def test_a_site_names_no_strangers_and_no_signing_key_for_tls(hospital: RegistryWorld) -> None:
    """Nor is a site enrolled a second time."""
    a, b = hospital.party("a", "administrator"), hospital.party("b", "administrator")
    body = hospital.site_enrolled(bytes(range(16)), [a, b], tls=[a.key_id])
    with pytest.raises(TlsKeyTakenError):
        hospital.does(body, hospital.registrars[0])
    body = hospital.site_enrolled(bytes(range(16)), [a, b], tls=[bytes(32)])
    body.names.append(registry_pb2.PersonName(person=bytes(16), printed_name="Nobody Here"))
    with pytest.raises(RegistryFieldInvalidError):
        hospital.does(body, hospital.registrars[0])
    with pytest.raises(IdTakenError):
        hospital.does(hospital.site_enrolled(hospital.site, [a, b], tls=[bytes(32)]), hospital.registrars[0])
    unknown = registry_pb2.SiteChanged(site=bytes(range(16)), capabilities=[options_pb2.CAPABILITY_STORE])
    with pytest.raises(NotRegisteredError):
        hospital.does(unknown, hospital.registrars[0])


def test_a_device_is_no_registrar(hospital: RegistryWorld) -> None:
    """Persons permit things."""
    tablet = hospital.party("tablet", "device")
    hospital.does(hospital.device_enrolled(tablet), hospital.administrators[0])
    body = registry_pb2.RegistrarsChanged(registrars=[hospital.registrar(tablet)], threshold=1)

    with pytest.raises(IdTakenError):
        hospital.does(body, hospital.registrars[0])


def test_a_registrar_who_works_at_a_site_stays_the_registrars_business(hospital: RegistryWorld) -> None:
    """From the change on, an administrator of the site cannot touch the key."""
    nurse = hospital.party("nurse", "collection_nurse")
    hospital.does(hospital.person_enrolled(nurse), hospital.administrators[0])
    members = sorted([*hospital.registrars, nurse], key=lambda party: party.id)
    hospital.quorum_does(
        registry_pb2.RegistrarsChanged(registrars=[hospital.registrar(party) for party in members], threshold=2)
    )

    with pytest.raises(RegistryRoleError):
        hospital.does(registry_pb2.KeySuspended(key_id=nurse.key_id), hospital.administrators[0])
    change = hospital.does(registry_pb2.KeySuspended(key_id=nurse.key_id), hospital.registrars[0])
    assert change.status is Status.PENDING


def test_an_act_signed_with_a_key_suspended_meanwhile_does_not_take_effect(hospital: RegistryWorld) -> None:
    """Nor does it after a revocation."""
    one, other = hospital.administrators
    enrolled = hospital.does(hospital.person_enrolled(hospital.party("third", "administrator")), one)
    hospital.does(registry_pb2.KeySuspended(key_id=one.key_id), other)

    with pytest.raises(KeySuspendedError):
        hospital.joins(enrolled, other)


def test_histories_are_written_forward() -> None:
    """A change before the last one would alter the past."""
    history: History[str] = History()
    history.add(5, "first")
    history.add(5, "second")
    with pytest.raises(ValueError, match="order of the log"):
        history.add(4, "earlier")

    assert [history.at(position) for position in (0, 5, 6)] == [None, None, "second"]
