"""A hospital and a courier hand a shipper over, through the wire, with and without a network."""

from pathlib import Path

import pytest
from tests.e2e.clients.client_world import World

from cellcustody.clients import Recorded, StatementRefused, deliver_statements, read_relay
from cellcustody.ledger.custody.act import Status
from cellcustody.v1 import common_pb2, registry_pb2, statement_pb2, transport_pb2


def unit(world: World, site: str) -> common_pb2.Unit:
    """The unit in which everybody of a site works."""
    return common_pb2.Unit(site=world.desks[f"{site}/administrator"].site, unit="main")


def opened(world: World) -> transport_pb2.ConsignmentOpened:
    """One shipper from the hospital."""
    return transport_pb2.ConsignmentOpened(
        unit=unit(world, "hospital"),
        consignment_number="A9999-1",
        containers=[common_pb2.Container(container="shipper-1", kind="dry_shipper")],
        destination=unit(world, "courier"),
    )


def released(world: World) -> transport_pb2.CustodyReleased:
    """The shipper handed to the courier."""
    return transport_pb2.CustodyReleased(
        releaser=unit(world, "hospital"), receiver=unit(world, "courier"), containers=["shipper-1"], count=1
    )


def accepted(world: World, release: bytes) -> transport_pb2.CustodyAccepted:
    """The courier's answer to a release."""
    line = common_pb2.HandoffLine(container="shipper-1", outcome=common_pb2.LINE_OUTCOME_ACCEPTED)
    return transport_pb2.CustodyAccepted(release=release, receiver=unit(world, "courier"), lines=[line], count=1)


def test_custody_passes_from_hospital_to_courier(world: World) -> None:
    """Both halves are recorded conforming, and both sites see who answers now."""
    consignment = world.new_consignment()
    with world.site("hospital/cell_lab_technician") as hospital, world.site("courier/driver") as courier:
        hospital.open_consignment(consignment, opened(world))
        release = hospital.release_custody(consignment, released(world))
        courier.note_position(release.position)  # As read from the QR code that travels with the shipper.
        courier.consignment(consignment)
        acceptance = courier.accept_custody(consignment, accepted(world, release.statement_digest))

        (container,) = courier.consignment(consignment).containers

    assert (release.status, acceptance.status) == (Status.CONFORMING, Status.CONFORMING), acceptance.findings
    assert container.custodian == unit(world, "courier")


def test_the_same_statement_is_recorded_once(world: World) -> None:
    """Sending signed bytes again gives the first position."""
    consignment = world.new_consignment()
    with world.site("hospital/cell_lab_technician") as hospital:
        signed = hospital.session.sign(hospital.session.draft(consignment, opened(world), {}), {})
        first, again = hospital.resubmit(signed), hospital.resubmit(signed)

    assert again.already_recorded and not first.already_recorded
    assert again.position == first.position


def test_the_ledger_says_beforehand_what_it_would_find(world: World) -> None:
    """Assessing writes nothing: the acceptance of a release that is not there is said to await it."""
    consignment = world.new_consignment()
    with world.site("courier/driver") as courier:
        found = courier.assess(consignment, accepted(world, b"\x01" * 32))
        again = courier.assess(consignment, accepted(world, b"\x01" * 32))

    assert found.status is Status.AWAITING
    assert again.position == found.position


def test_a_driver_signs_offline_and_the_hospital_delivers(world: World) -> None:
    """What another site delivers is judged as if the driver had; delivering again changes nothing."""
    consignment = world.new_consignment()
    with world.site("hospital/cell_lab_technician") as hospital, world.site("courier/driver", outbox=True) as courier:
        hospital.open_consignment(consignment, opened(world))
        release = hospital.release_custody(consignment, released(world))
        courier.queued.accept_custody(consignment, accepted(world, release.statement_digest))
        courier.queued.pass_checkpoint(consignment, transport_pb2.TransitCheckpointPassed(place="depot"))
        assert courier.outbox is not None
        relayed = courier.outbox.relay("told by telephone", cost_log2=10)

        by_hospital = deliver_statements(hospital.connection, read_relay(relayed, "told by telephone"))
        by_driver = courier.deliver()

    assert all(isinstance(each, Recorded) and each.status is Status.CONFORMING for each in by_hospital), by_hospital
    assert all(isinstance(each, Recorded) and each.already_recorded for each in by_driver)


def test_an_authorisation_that_breaks_a_rule_names_it(world: World) -> None:
    """A nurse enrols nobody: the refusal carries reason and values through the wire, and nothing is written."""
    with world.site("hospital/collection_nurse") as nurse, pytest.raises(StatementRefused) as refusal:
        before = nurse.registry().position
        nurse.suspend_key(
            registry_key(world),
        )

    with world.site("hospital/collection_nurse") as nurse:
        assert nurse.registry().position == before
    assert refusal.value.refusal_reason
    assert refusal.value.statement is not None


def registry_key(world: World) -> registry_pb2.KeySuspended:
    """The suspension of the driver's key."""
    return registry_pb2.KeySuspended(key_id=world.desks["courier/driver"].signer.key_id)


def test_an_auditor_takes_nobodys_word(world: World, tmp_path: Path) -> None:
    """Every entry is hashed up to the signed root, and the next visit demands that the log only grew."""
    memory = tmp_path / "believed.checkpoint"
    with world.auditor("hospital/collection_nurse", memory) as auditor:
        first = auditor.verify_all()
        assert auditor.receipt(leaf_index=0).proof.index == 0
    with world.site("hospital/cell_lab_technician") as hospital:
        hospital.open_consignment(world.new_consignment(), opened(world))
    with world.auditor("hospital/collection_nurse", memory) as auditor:
        second, _ = auditor.checkpoint()

    assert second.size > first.size


def test_a_co_signature_by_the_same_person_is_refused(world: World) -> None:
    """Two persons are two persons, whatever keys they hold."""
    consignment = world.new_consignment()
    with world.site("hospital/cell_lab_technician") as hospital:
        recorded = hospital.open_consignment(consignment, opened(world))
        with pytest.raises(StatementRefused) as refusal:
            hospital.co_sign(recorded.statement_digest, consignment, statement_pb2.MEANING_WITNESSED)

    assert "DIFFERENT_PERSON_NEEDED" in refusal.value.values.values(), refusal.value
