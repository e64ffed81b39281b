"""Stories of emergencies: two administrators grant roles for a day, and every act under the grant says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.registry.admission import Asked, competence, emergency_grant
from cellcustody.ledger.registry.errors import (
    CoSignerNotPermittedError,
    NotRegisteredError,
    RegistryFieldInvalidError,
    RegistryRoleError,
)
from cellcustody.v1 import registry_pb2

if TYPE_CHECKING:
    from tests.unit.registry.conftest import Party, Recorded, RegistryWorld

SECOND = 1_000_000
DAY = 86_400 * SECOND
COLLECTED = "cellcustody.v1.CollectionStarted"


def nurse_of(world: RegistryWorld) -> Party:
    """Returns a nurse enrolled at the hospital, for one unit of it."""
    nurse = world.party("nurse", "ward_nurse")
    enrolled = registry_pb2.PersonEnrolled(
        site=world.site, person=world.new_person(nurse, "ward_nurse", units=["ward"])
    )
    world.does(enrolled, world.administrators[0])
    return nurse


def grant(
    world: RegistryWorld,
    nurse: Party,
    *roles: str,
    seconds: int = 86_400,
    begins_after: int = 0,
) -> registry_pb2.EmergencyCredentialGranted:
    """Returns the body of a grant signed now."""
    return registry_pb2.EmergencyCredentialGranted(
        person=nurse.id,
        roles=roles or ("collection_nurse",),
        valid_from_unix_micros=world.now + begins_after,
        valid_seconds=seconds,
        grounds="flu",
    )


def granted(world: RegistryWorld, nurse: Party) -> Recorded:
    """Lets both administrators grant a nurse the role of the other."""
    first = world.does(grant(world, nurse), world.administrators[0])
    world.joins(first, world.administrators[1])
    return first


def found(
    world: RegistryWorld,
    nurse: Party,
    *,
    role: str = "collection_nurse",
    at: int | None = None,
    position: int | None = None,
    unit: str = "",
    asked: Asked | None = None,
) -> list[str]:
    """Returns what is found when the nurse collects."""
    findings = competence(
        world.state,
        signer=nurse.id,
        body_type=COLLECTED,
        role=role,
        signed_at=world.now if at is None else at,
        position=world.position if position is None else position,
        unit=unit,
        asked=asked or Asked(),
    )
    return [finding.code for finding in findings]


def test_two_administrators_let_a_nurse_act_and_each_act_says_so(hospital: RegistryWorld) -> None:
    """Pending with one, in effect with the other; roles held anyway say nothing."""
    nurse = nurse_of(hospital)
    assert found(hospital, nurse) == ["ROLE_NOT_HELD"]
    first = hospital.does(grant(hospital, nurse), hospital.administrators[0])
    assert found(hospital, nurse) == ["ROLE_NOT_HELD"]
    hospital.joins(first, hospital.administrators[1])
    assert found(hospital, nurse) == ["EMERGENCY_CREDENTIAL"]
    assert found(hospital, nurse, unit="apheresis") == ["EMERGENCY_CREDENTIAL"]
    assert found(hospital, nurse, role="ward_nurse") == []
    assert found(hospital, nurse, role="surgeon") == ["ROLE_NOT_HELD"]


def test_the_grant_names_who_said_so(hospital: RegistryWorld) -> None:
    """It is found by its digest, by the person and by the site, once in effect."""
    nurse = nurse_of(hospital)
    first = hospital.does(grant(hospital, nurse), hospital.administrators[0])
    assert hospital.state.latest.emergency_grant(first.digest) is None
    hospital.joins(first, hospital.administrators[1])
    view = hospital.state.latest
    known = view.emergency_grant(first.digest)
    assert known is not None
    assert known.granted_by == tuple(one.id for one in hospital.administrators[:2])
    assert view.emergency_grants(nurse.id) == view.emergency_grants_of_site(hospital.site) == (known,)
    assert view.emergency_grants_of_site(bytes(16)) == ()


def test_a_grant_counts_for_its_time_and_from_its_position(hospital: RegistryWorld) -> None:
    """First and last moment included; not before it was in the log; not beyond what the pack lets it last."""
    nurse = nurse_of(hospital)
    begins = hospital.now
    before = hospital.position
    first = granted(hospital, nurse)
    assert found(hospital, nurse, at=begins) == ["EMERGENCY_CREDENTIAL"]
    assert found(hospital, nurse, at=begins - 1) == ["ROLE_NOT_HELD"]
    assert found(hospital, nurse, at=begins + DAY) == ["EMERGENCY_CREDENTIAL"]
    assert found(hospital, nurse, at=begins + DAY + 1) == ["ROLE_NOT_HELD"]
    assert found(hospital, nurse, at=begins, position=before + 1) == ["ROLE_NOT_HELD"]
    hour = Asked(emergency_seconds=3600)
    assert found(hospital, nurse, at=begins + 3600 * SECOND, asked=hour) == ["EMERGENCY_CREDENTIAL"]
    assert found(hospital, nurse, at=begins + 3600 * SECOND + 1, asked=hour) == ["ROLE_NOT_HELD"]
    used = emergency_grant(
        hospital.state,
        signer=nurse.id,
        role="collection_nurse",
        signed_at=begins,
        position=hospital.position,
        seconds_max=86_400,
    )
    assert used is not None
    assert used.digest == first.digest


def test_lapsed_training_is_bridged_for_a_day(hospital: RegistryWorld) -> None:
    """The role is held, its training has lapsed, and two administrators let the nurse act."""
    nurse = hospital.party("nurse", "collection_nurse")
    hospital.does(hospital.person_enrolled(nurse, trained_until=hospital.now), hospital.administrators[0])
    hospital.passes(DAY)
    assert found(hospital, nurse) == ["TRAINING_LAPSED"]
    granted(hospital, nurse)
    assert found(hospital, nurse) == ["EMERGENCY_CREDENTIAL"]


def test_one_administrator_does_not_grant_and_nobody_grants_themselves(hospital: RegistryWorld) -> None:
    """The other administrator joins; the person neither signs nor joins."""
    nurse = nurse_of(hospital)
    pending = hospital.does(grant(hospital, nurse), hospital.administrators[0])
    assert pending.entry.judged.status is Status.PENDING
    own = grant(hospital, hospital.administrators[0])
    with pytest.raises(RegistryFieldInvalidError):
        hospital.does(own, hospital.administrators[0])
    theirs = hospital.does(grant(hospital, hospital.administrators[1]), hospital.administrators[0])
    with pytest.raises(CoSignerNotPermittedError):
        hospital.joins(theirs, hospital.administrators[1])
    with pytest.raises(RegistryRoleError):
        hospital.does(grant(hospital, nurse), nurse)


@pytest.mark.parametrize(
    ("roles", "seconds", "begins_after"),
    [
        (("administrator",), 3600, 0),
        (("registrar",), 3600, 0),
        ((), 0, 0),
        (("collection_nurse",), 86_401, 0),
        (("collection_nurse",), 3600, -1),
        (("collection_nurse",), 3600, DAY + 1),
    ],
)
def test_a_grant_is_for_a_day_at_most_from_now_in_an_ordinary_role(
    hospital: RegistryWorld, roles: tuple[str, ...], seconds: int, begins_after: int
) -> None:
    """No administrator, no registrar, no longer, not for yesterday, not for the day after tomorrow."""
    nurse = nurse_of(hospital)
    with pytest.raises(RegistryFieldInvalidError):
        hospital.does(
            grant(hospital, nurse, *roles, seconds=seconds, begins_after=begins_after), hospital.administrators[0]
        )


def test_a_stranger_is_granted_nothing(hospital: RegistryWorld) -> None:
    """Nobody of that id is registered."""
    with pytest.raises(NotRegisteredError):
        hospital.does(grant(hospital, hospital.party("stranger", "x")), hospital.administrators[0])


def test_what_was_not_committed_is_taken_back(hospital: RegistryWorld) -> None:
    """A grant applied for an entry that was lost is none."""
    nurse = nurse_of(hospital)
    position = hospital.position
    granted(hospital, nurse)
    hospital.state.rewind(position)
    assert hospital.state.latest.emergency_grants(nurse.id) == ()


# Training. ----------------------------------------------------------------------------------------------------------


def trained(world: RegistryWorld, at: int | None, until: int | None = None) -> Party:
    """Returns a nurse whose training was passed at a time."""
    nurse = world.party("nurse", "collection_nurse")
    person = world.new_person(nurse, "collection_nurse", trained_until=until)
    if at is not None:
        person.roles[0].trained_at_unix_micros = at
    world.does(registry_pb2.PersonEnrolled(site=world.site, person=person), world.administrators[0])
    return nurse


TWO_DAYS = Asked(
    training_roles=frozenset(("collection_nurse",)), training_valid_until=lambda role, trained_at: trained_at + 2 * DAY
)


def test_training_holds_as_long_as_the_policy_says_after_it_was_passed(hospital: RegistryWorld) -> None:
    """To its last moment; under a policy that sets no end, for good."""
    passed = hospital.now
    nurse = trained(hospital, passed)
    assert found(hospital, nurse, at=passed + 2 * DAY, asked=TWO_DAYS) == []
    assert found(hospital, nurse, at=passed + 2 * DAY + 1, asked=TWO_DAYS) == ["TRAINING_LAPSED"]
    assert found(hospital, nurse, at=passed + 2 * DAY + 1) == []
    assert found(hospital, nurse, at=passed - 1, asked=TWO_DAYS) == ["TRAINING_NOT_RECORDED"]
    assert found(hospital, nurse, at=passed - 1) == []


def test_the_earlier_of_the_two_ends_counts(hospital: RegistryWorld) -> None:
    """What the site says, and what the policy says."""
    passed = hospital.now
    nurse = trained(hospital, passed, until=passed + DAY)
    assert found(hospital, nurse, at=passed + DAY + 1, asked=TWO_DAYS) == ["TRAINING_LAPSED"]


def test_training_that_the_policy_asks_for_is_recorded(hospital: RegistryWorld) -> None:
    """Nothing recorded is no training; where it is not asked for, none is needed."""
    nurse = trained(hospital, None)
    assert found(hospital, nurse, asked=TWO_DAYS) == ["TRAINING_NOT_RECORDED"]
    assert found(hospital, nurse) == []
