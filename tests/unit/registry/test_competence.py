"""Stories of who is competent: site, role, training, unit. Findings are gates, made once at entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cellcustody.ledger.contract import required_capabilities
from cellcustody.ledger.custody.findings import Family, FindingRule, Strength, rule_of
from cellcustody.ledger.registry import codes, competence
from cellcustody.v1 import options_pb2, registry_pb2

if TYPE_CHECKING:
    from tests.unit.registry.conftest import Party, RegistryWorld

COLLECTED = "cellcustody.v1.CollectionStarted"
PROCESSED = "cellcustody.v1.MaterialAccessioned"
REGISTRY = "cellcustody.v1.PersonEnrolled"


def found(
    world: RegistryWorld,
    party: Party,
    body_type: str,
    *,
    role: str | None = None,
    unit: str = "",
    position: int | None = None,
) -> list[str]:
    findings = competence(
        world.state,
        signer=party.id,
        body_type=body_type,
        role=role or party.role,
        signed_at=world.now,
        position=position if position is not None else world.position,
        unit=unit,
    )
    return [finding.code for finding in findings]


def test_a_nurse_collects_and_does_not_process(hospital: RegistryWorld) -> None:
    """The hospital is enrolled to collect; one of the capabilities that an act asks for is enough."""
    nurse = hospital.party("nurse", "collection_nurse")
    hospital.does(hospital.person_enrolled(nurse), hospital.administrators[0])

    assert len(required_capabilities("cellcustody.v1.TherapyEnrolled")) > 1
    assert found(hospital, nurse, "cellcustody.v1.TherapyEnrolled") == []
    assert found(hospital, nurse, COLLECTED) == []
    assert found(hospital, nurse, PROCESSED) == ["CAPABILITY_MISSING"]


def test_a_capability_counts_by_position(hospital: RegistryWorld) -> None:
    """What the site may do is read as of the entry, not as of now."""
    nurse = hospital.party("nurse", "collection_nurse")
    hospital.does(hospital.person_enrolled(nurse), hospital.administrators[0])
    before = hospital.position
    site = hospital.state.latest.site(hospital.site)
    assert site is not None
    body = registry_pb2.SiteChanged(
        site=site.site,
        capabilities=[options_pb2.CAPABILITY_PROCESS],
        units=site.units,
        tls_key_ids=site.tls_key_ids,
    )
    hospital.quorum_does(body)

    assert found(hospital, nurse, COLLECTED) == ["CAPABILITY_MISSING"]
    assert found(hospital, nurse, PROCESSED) == []
    assert found(hospital, nurse, COLLECTED, position=before) == []


def test_a_role_is_held_while_training_lasts(hospital: RegistryWorld) -> None:
    """The last moment counts; one microsecond later does not."""
    nurse = hospital.party("nurse", "collection_nurse")
    until = hospital.now + hospital.DAY
    hospital.does(hospital.person_enrolled(nurse, trained_until=until), hospital.administrators[0])

    assert found(hospital, nurse, COLLECTED, role="apheresis_physician") == ["ROLE_NOT_HELD"]
    hospital.now = until
    assert found(hospital, nurse, COLLECTED) == []
    hospital.passes(1)
    assert found(hospital, nurse, COLLECTED) == ["TRAINING_LAPSED"]

    grants = [registry_pb2.RoleGrant(role="collection_nurse", trained_until_unix_micros=until + hospital.DAY)]
    hospital.does(registry_pb2.PersonChanged(person=nurse.id, roles=grants), hospital.administrators[0])
    assert found(hospital, nurse, COLLECTED) == []


def test_work_limited_to_units_is_for_these(hospital: RegistryWorld) -> None:
    """Without units a person works for all of the site; an act that names no unit asks for none."""
    nurse, floating = hospital.party("nurse", "collection_nurse"), hospital.party("floating", "collection_nurse")
    body = hospital.person_enrolled(nurse)
    body.person.units.append("apheresis")
    hospital.does(body, hospital.administrators[0])
    hospital.does(hospital.person_enrolled(floating), hospital.administrators[0])

    assert found(hospital, nurse, COLLECTED, unit="apheresis") == []
    assert found(hospital, nurse, COLLECTED, unit="ward") == ["UNIT_NOT_HELD"]
    assert found(hospital, nurse, COLLECTED) == []
    assert found(hospital, floating, COLLECTED, unit="ward") == []


def test_several_things_are_found_at_once(hospital: RegistryWorld) -> None:
    """The answer names all of them, in order of code."""
    nurse = hospital.party("nurse", "collection_nurse")
    body = hospital.person_enrolled(nurse)
    body.person.units.append("apheresis")
    hospital.does(body, hospital.administrators[0])

    assert found(hospital, nurse, PROCESSED, role="operator", unit="ward") == [
        "CAPABILITY_MISSING",
        "ROLE_NOT_HELD",
        "UNIT_NOT_HELD",
    ]


def test_devices_registrars_and_the_ledger_have_one_role_each(hospital: RegistryWorld) -> None:
    """Nobody grants these roles, and they go with no capability."""
    logger = hospital.party("logger", "device")
    hospital.does(hospital.device_enrolled(logger), hospital.administrators[0])

    assert found(hospital, logger, COLLECTED) == []
    assert found(hospital, logger, COLLECTED, role="collection_nurse") == ["ROLE_NOT_HELD"]
    registrar = hospital.registrars[0]
    assert found(hospital, registrar, REGISTRY) == []
    assert found(hospital, registrar, COLLECTED) == ["CAPABILITY_MISSING"]
    assert found(hospital, registrar, REGISTRY, role="administrator") == ["ROLE_NOT_HELD"]
    assert found(hospital, hospital.administrators[0], REGISTRY, role="registrar") == ["ROLE_NOT_HELD"]
    assert found(hospital, hospital.service, COLLECTED) == ["CAPABILITY_MISSING"]
    assert found(hospital, hospital.service, REGISTRY, role="device") == ["ROLE_NOT_HELD"]


@pytest.mark.parametrize("rule", codes.RULES, ids=lambda rule: rule.code)
def test_every_code_stands_in_the_table(rule: FindingRule) -> None:
    """All are made at entry; all but the flags of lateness and of the other's device are gates."""
    assert rule_of(rule.code) == rule
    assert rule.family is Family.ENTRY
    is_flag = rule in (codes.LATE_AFTER_RETIREMENT, codes.DEVICE_OF_COUNTERPARTY)
    assert rule.strength is (Strength.ADVISORY if is_flag else Strength.GATE)


def test_what_is_no_body_needs_no_capability() -> None:
    """Neither a message without the option nor a name that the contract does not have."""
    assert required_capabilities("cellcustody.v1.Header") == frozenset()
    assert required_capabilities("cellcustody.v1.Nothing") == frozenset()
    assert required_capabilities(REGISTRY) == frozenset()
