"""Rows 9 to 12, 23 and 24 of the process page: packed, handed over, on the way, received."""

from __future__ import annotations

import pytest
from courses import DAY, codes, status
from eu_world import LOGGER, SHIPPER, EuCourse, EuWorld, conforms, exact

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.therapy_state import custody_of
from cellcustody.ledger.statements import StreamKind
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import transport_pb2 as transport


def test_row_9_shipper_and_logger_are_in_date_when_they_are_used(course: EuCourse, eu: EuWorld) -> None:
    """A shipper whose qualification has lapsed, a logger out of calibration, a bag that is another's."""
    course.to_the_collection()
    eu.register("DEWAR-OLD", "shipper", eu.driver, eu.van, valid=60_000_000)
    eu.register("LOGGER-OLD", "logger", eu.driver, eu.van, valid=60_000_000)
    course.harness.tick(600)
    stream = course.consignment_to(eu.nurse, eu.apheresis, eu.suite, shipper="DEWAR-OLD", logger="LOGGER-OLD")
    packed = course.say(eu.nurse, course.packing("apheresis", stream, eu.apheresis, shipper="DEWAR-OLD"))
    assert codes(packed) >= {"SHIPPER_QUALIFICATION_MISSING", "LOGGER_CALIBRATION_MISSING"}

    other = eu.new_course().to_the_collection()
    own = other.consignment_to(eu.nurse, eu.apheresis, eu.suite)
    body = other.packing("apheresis", own, eu.apheresis)
    body.coi_read = course.coi
    assert "IDENTITY_MISMATCH" in codes(other.say(eu.nurse, body))


def test_row_9_containers_are_counted_and_seals_are_of_one_container(course: EuCourse, eu: EuWorld) -> None:
    """Number n of N, each once; documents and weights are kept with the consignment."""
    course.to_the_collection()
    stream = course.consignment_to(eu.nurse, eu.apheresis, eu.suite)
    state = course.harness.case(stream).state
    assert state.containers[SHIPPER].declared_logger == LOGGER  # type: ignore[union-attr]  # A consignment's.
    misnumbered = transport.ConsignmentOpened(
        unit=eu.apheresis,
        containers=[common.Container(container="a", number=1, number_of=2)],
        destination=eu.suite,
        carrier=eu.courier,
    )
    other = course.harness.new_stream(StreamKind.CONSIGNMENT)
    assert "CONTAINERS_MISNUMBERED" in codes(course.harness.say(eu.nurse, other, misnumbered))


def test_row_10_only_who_answers_releases_and_only_who_is_named_accepts(course: EuCourse, eu: EuWorld) -> None:
    """A phantom release moves nothing; a wrong receiver has the box and does not come to answer for it."""
    course.to_the_collection()
    bag = ("apheresis",)
    stream = course.leaves(bag, (eu.nurse, eu.apheresis), eu.suite, "fresh")
    seals = course.seal_readings()
    phantom = course.releases(eu.nurse, stream, eu.apheresis, eu.suite, [SHIPPER], seals)
    assert "NOT_CUSTODIAN" in codes(phantom)
    release = course.releases(eu.driver, stream, eu.van, eu.suite, [SHIPPER], seals)
    taken = course.accepts(
        eu.stranger, stream, release, common.Unit(site=eu.other_hospital, unit="ward"), [SHIPPER], (), seals
    )
    assert "WRONG_RECEIVER" in codes(taken)
    custodian, possessor = custody_of(course.state, course.material("apheresis"))
    assert custodian is not None
    assert possessor is not None
    assert (custodian.site, possessor.site) == (eu.courier, eu.other_hospital)


def test_row_10_an_acceptance_comes_in_time_and_a_late_one_still_counts(course: EuCourse, eu: EuWorld) -> None:
    """Shown, and custody never waits for it: an acceptance is never held up."""
    course.to_the_collection()
    stream = course.leaves(("apheresis",), (eu.nurse, eu.apheresis), eu.suite, "fresh")
    release = course.releases(eu.driver, stream, eu.van, eu.suite, [SHIPPER], course.seal_readings())
    course.harness.tick(2 * 86_400)
    accepted = course.accepts(eu.operator, stream, release, eu.suite, [SHIPPER], (), course.seal_readings())
    assert (status(accepted), codes(accepted)) == (Status.CONFORMING, {"ACCEPTED_LATE"})
    assert custody_of(course.state, course.material("apheresis"))[0].site == eu.plant  # type: ignore[union-attr]


def test_row_11_what_happens_on_the_way_moves_no_custody(course: EuCourse, eu: EuWorld) -> None:
    """Checkpoint, delay, re-icing, customs, alarm and shock; the last two hold, and all are recorded."""
    course.to_the_collection()
    stream = course.leaves(("apheresis",), (eu.nurse, eu.apheresis), eu.suite, "fresh")
    say = course.harness.say
    clock = course.harness.clock
    seals = course.seal_readings()
    for body in (
        transport.TransitCheckpointPassed(place="hub", containers=[SHIPPER], seals=seals),
        transport.DelayReported(place="airport", expected_seconds=7200),
        transport.CoolantReplenished(
            container=SHIPPER, coolant="liquid nitrogen", mass=exact(4, "kg"), coolant_until_unix_micros=clock + 9 * DAY
        ),
    ):
        conforms(say(eu.driver, stream, body))
    kept = conforms(say(eu.driver, stream, transport.CustomsHeld(place="border", containers=[SHIPPER])))
    opened = say(eu.driver, stream, transport.CustomsCleared(held=kept.statement_digest, opened_or_irradiated=True))
    alarmed = say(
        eu.driver, stream, transport.ExcursionAlarmed(container=SHIPPER, logger=LOGGER, temperature=exact(12, "Cel"))
    )
    shaken = say(
        eu.driver,
        stream,
        transport.ShockRecorded(
            container=SHIPPER, kind=transport.SHOCK_KIND_IMPACT, reading=exact(60, "[g]"), limit=exact(25, "[g]")
        ),
    )
    assert all(status(one) is Status.NONCONFORMING for one in (opened, alarmed, shaken))
    assert "EXCURSION_ALARMED" in codes(alarmed)
    custodian, _ = custody_of(course.state, course.material("apheresis"))
    assert custodian is not None
    assert custodian.site == eu.courier
    course.hands(stream, (eu.driver, eu.van), (eu.operator, eu.suite))  # A hold never blocks an acceptance.


def test_row_12_receipt_reads_logger_seals_and_bag(course: EuCourse, eu: EuWorld) -> None:
    """An excursion, a broken seal, another's number on the bag, a breached bag: each holds, none stops the receipt."""
    course.to_the_collection()
    stream = course.leaves(("apheresis",), (eu.nurse, eu.apheresis), eu.suite, "fresh")
    course.hands(stream, (eu.driver, eu.van), (eu.operator, eu.suite))
    course.harness.tick()
    body = course.inspection(eu.suite, course.summary(course.began, "fresh", outside=1800))
    body.seals[0].intact = False
    inspected = course.harness.say(eu.operator, stream, body)
    assert codes(inspected) >= {"EXCURSION", "SEAL_BROKEN"}
    receipt = course.receipt("apheresis", stream, eu.suite)
    receipt.din_read = eu.new_course().new_din()
    receipt.intact = False
    received = course.say(eu.operator, receipt)
    assert codes(received) >= {"IDENTITY_MISMATCH", "BAG_BREACHED"}
    state = course.state
    assert state.identity_broken
    assert custody_of(state, course.material("apheresis"))[0].site == eu.plant  # type: ignore[union-attr]
    assert codes(course.say(eu.operator, course.accession("apheresis"))) >= {"IDENTITY_BROKEN"}


def test_row_23_the_way_back_is_qualified_and_only_what_is_released_goes(course: EuCourse, eu: EuWorld) -> None:
    """A bag that quality has not released, or that is held, is not packed towards the patient."""
    course.to_the_product()
    stream = course.consignment_to(eu.operator, eu.suite, eu.cell_lab)
    assert codes(course.say(eu.operator, course.packing("bag-1", stream, eu.suite))) == {"NOT_RELEASED"}
    elsewhere = common.Unit(site=eu.other_hospital, unit="ward")
    unknown = course.consignment_to(eu.operator, eu.suite, elsewhere)
    assert "LANE_NOT_QUALIFIED" in codes(course.say(eu.operator, course.packing("bag-2", unknown, eu.suite)))


def test_row_23_a_lane_withdrawn_stops_what_is_packed_from_then_on(course: EuCourse, eu: EuWorld) -> None:
    """Not what was packed before."""
    course.to_the_collection("first", "second")
    stream = course.consignment_to(eu.nurse, eu.apheresis, eu.suite)
    before = course.does(eu.nurse, course.packing("first", stream, eu.apheresis))
    site = bytes([4]) + eu.courier
    kind = facilities.QUALIFICATION_KIND_COURIER
    clock = course.harness.clock
    withdrawn = facilities.QualificationWithdrawn(
        qualification=eu.qualifications["courier"].statement_digest, withdrawn_from_unix_micros=clock + 1
    )
    stream_of = next(one for one in course.harness.last if one[1:] == eu.courier)
    assert stream_of[1:] == site[1:]
    conforms(course.harness.say(eu.reviewer, stream_of, withdrawn))
    after = course.say(eu.nurse, course.packing("second", stream, eu.apheresis))
    assert codes(after) == {"COURIER_NOT_QUALIFIED"}
    told = course.harness.recorded(course.stream)
    assert told[before.statement_digest].judged.status is Status.CONFORMING
    eu.qualifications["courier"] = conforms(course.harness.say(eu.reviewer, stream_of, eu.qualification(kind)))


@pytest.mark.parametrize("missing", ["logger", "din"])
def test_row_24_what_comes_to_the_site_is_inspected_and_put_away(course: EuCourse, eu: EuWorld, missing: str) -> None:
    """A logger that was not read out is unknown; a bag whose label cannot be read is held."""
    course.to_the_release()
    sender, receiver = (eu.operator, eu.suite), (eu.technician, eu.cell_lab)
    stream = course.leaves(("bag-1",), sender, eu.cell_lab, "frozen")
    course.hands(stream, (eu.driver, eu.van), receiver)
    course.harness.tick()
    summaries = [] if missing == "logger" else [course.summary(course.began, "frozen")]
    inspected = course.harness.say(eu.technician, stream, course.inspection(eu.cell_lab, *summaries))
    assert codes(inspected) == ({"CONDITION_UNKNOWN"} if missing == "logger" else set())
    body = course.receipt("bag-1", stream, eu.cell_lab)
    if missing == "din":
        body.din_read = body.coi_read = ""
    received = course.say(eu.technician, body)
    assert codes(received) == ({"BAG_UNREADABLE"} if missing == "din" else set())
    assert course.state.holds_on(course.material("bag-1"))
    stored = harvest.MaterialStored(
        material=course.material("bag-1"), position=common.Position(unit=eu.cell_lab, place="tank")
    )
    course.does(eu.technician, stored)  # A hold never blocks storage.
    course.conditions()
    assert "HOLD_OPEN" in codes(course.say(eu.technician, course.issue("bag-1")))
