"""What comes late or goes wrong, told by the people concerned through their clients to a running server."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from google.protobuf.message import Message
from tests.e2e.thirty_questions.story_making import Making
from tests.e2e.thirty_questions.story_people import unit

from cellcustody.clients.answers import Recorded
from cellcustody.clients.errors import NotFound, StatementRefused
from cellcustody.clients.inspections import CORRECTIONS, DEVIATIONS, HANDOFFS, HISTORY, HOLDINGS, Question
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.entries import read_entry, read_judgement
from cellcustody.ledger.statements import StreamKind, new_statement_id, new_stream_id, parse_statement
from cellcustody.v1 import common_pb2, facilities_pb2, harvest_pb2, quality_pb2, statement_pb2, transport_pb2
from demo.world import Person, World

A = TypeVar("A", bound=Message)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Making]:
    """A running server with everybody enrolled, and nothing told yet."""
    with World(tmp_path_factory.mktemp("late"), tell=lambda _: None) as world:
        world.start_server()
        story = Making(world)
        story.enrol_everyone()
        yield story


@pytest.fixture
def course(people: Making) -> Making:
    """A therapy of two collected bags in the cell laboratory."""
    story = copy.copy(people)
    story.therapy = new_stream_id(StreamKind.THERAPY, os.urandom)
    story.bags, story.dins = [], []
    story.harvest()
    return story


@pytest.fixture
def on_the_way(course: Making) -> tuple[Making, bytes, bytes]:
    """Both bags in a box, released to the driver: the consignment and the release."""
    stream = new_stream_id(StreamKind.CONSIGNMENT, os.urandom)
    course._open(course.technician, stream, course.operator, ["box-1"], (2, 8))
    for bag in course.bags:
        packing = harvest_pb2.MaterialPacked(
            material=bag, consignment=stream, container="box-1", unit=unit(course.technician), coi_read=course.coi
        )
        course.expect(course.say(course.technician, course.therapy, packing), Status.CONFORMING)
    course._seal(course.technician, stream, ["box-1"])
    return course, stream, course._release(course.technician, stream, course.driver, ["box-1"])


def codes(recorded: Recorded) -> set[str]:
    """Returns what was found."""
    return {one.code for one in recorded.findings}


_POSITION = [0]  # What everybody has heard of, as people tell each other.


def heard(recorded: Recorded) -> Recorded:
    """Lets whoever asks next ask for an answer that has this statement."""
    _POSITION[0] = max(_POSITION[0], recorded.position)
    return recorded


def asks(by: Person, question: Question[A], subject: str, **asked: object) -> A:
    """Asks a question of a view that has all that was heard of."""
    by.client.note_position(_POSITION[0])
    return by.client.inspections.ask(question, subject, **asked)  # type: ignore[arg-type]  # Options as they come.


def holds(course: Making, by: Person) -> bool:
    """Tells whether a hold stands in a therapy."""
    by.client.note_position(_POSITION[0])
    return bool(by.client.therapy(course.therapy).holds)


def stored(course: Making, place: str) -> harvest_pb2.MaterialMoved:
    """Returns the body of a bag's move to a place in the cell laboratory."""
    return harvest_pb2.MaterialMoved(
        material=course.bags[0], position=common_pb2.Position(unit=unit(course.technician), place=place)
    )


def says(by: Person, stream: bytes, body: object, **options: object) -> Recorded:
    """Has somebody who has read the stream say something; what others said a moment ago may still be on its way."""
    until = time.monotonic() + 30
    while True:
        try:
            by.client.refresh(stream)
            break
        except NotFound:
            assert time.monotonic() < until
            time.sleep(0.02)
    recorded = by.client.act(stream, body, **options)  # type: ignore[arg-type]  # Bodies and options as they come.
    return heard(recorded)


def holder(course: Making, by: Person, **asked: object) -> set[bytes]:
    """Returns who answers for the first bag."""
    answer = asks(by, HOLDINGS, f"bag:{course.bags[0].hex()}", **asked)
    return {one.custodian.site for one in answer.materials}


def test_a_late_entry_is_flagged_with_its_delay(course: Making) -> None:
    """Two days after it happened, and why."""
    body = stored(course, "rack-1")
    body.circumstances.mode = common_pb2.ENTRY_MODE_LATE
    body.circumstances.reason = "the tablet was at the workshop"
    told = says(course.technician, course.therapy, body, occurred_at=datetime.now(UTC) - timedelta(days=2))
    assert "LATE" in codes(told) and told.status is Status.CONFORMING
    answer = asks(course.technician, CORRECTIONS, course.coi)
    (late,) = [one for one in answer.late if one.statement.statement_digest == told.statement_digest]
    assert late.delay_seconds >= 2 * 86_400 and late.reason == "the tablet was at the workshop"


def test_what_did_not_happen_is_retracted_and_stays_to_be_seen(course: Making) -> None:
    """What followed from it is judged again, by an entry of the ledger's own."""
    wrong = says(
        course.nurse, course.therapy, harvest_pb2.ConsentWithdrawn(scopes=[harvest_pb2.CONSENT_SCOPE_MANUFACTURE])
    )
    assert codes(wrong) == {"CONSENT_WITHDRAWN"} and wrong.holds_opened
    body = quality_pb2.StatementRetracted(retracted=wrong.statement_digest)
    body.circumstances.reason = "another patient's form"
    retraction = says(course.nurse, course.therapy, body)
    assert retraction.status is Status.IN_EFFECT
    history = asks(course.nurse, HISTORY, course.coi)
    (kept,) = [one for one in history.items if one.statement_digest == wrong.statement_digest]
    judged = read_judgement(kept.judgement).judged
    assert {one.code for one in judged.findings} == {"RETRACTED"}
    assert not holds(course, course.nurse)
    revision = read_entry(course.nurse.client.entry(leaf_index=retraction.leaf_index + 1).entry)
    body_type = parse_statement(revision.envelope).header.body_type
    assert body_type.endswith("JudgementsRevised")


def test_the_same_statement_twice_is_one_entry_and_another_under_its_id_is_refused(course: Making) -> None:
    """The second delivery gets the first one's position; the conflict is kept for people, and refused."""
    identity = bytes(new_statement_id(int(datetime.now(UTC).timestamp() * 1000), os.urandom))
    client = course.technician.client
    first, other = (
        client.session.sign(client.session.draft(course.therapy, stored(course, place), {"statement_id": identity}), {})
        for place in ("rack-2", "rack-3")
    )
    recorded, again = client.resubmit(first), client.resubmit(first)
    assert (recorded.already_recorded, again.already_recorded) == (False, True)
    assert again.position == recorded.position
    with pytest.raises(StatementRefused) as refused:
        client.resubmit(other)
    assert refused.value.refusal_reason == "STATEMENT_ID_TAKEN"


def test_one_donation_number_in_two_therapies_is_disputed_until_quality_settles_it(
    people: Making, course: Making
) -> None:
    """Both are held; two persons of quality give it to one, and the other corrects its claim."""
    other = copy.copy(people)
    other.therapy = new_stream_id(StreamKind.THERAPY, os.urandom)
    other.bags, other.dins = [], []
    other.harvest()
    checked = says(
        other.nurse,
        other.therapy,
        harvest_pb2.IdentityChecked(
            point=harvest_pb2.IDENTITY_POINT_CHAIRSIDE, patient_identifiers=other.patient, coi_read=other.coi
        ),
    )
    other.join(other.second_nurse, other.therapy, checked.statement_digest, statement_pb2.MEANING_VERIFIED)
    claim = says(
        other.nurse,
        other.therapy,
        harvest_pb2.CollectionStarted(day=3, din=course.dins[0], unit=unit(other.nurse), equipment="apheresis-2"),
    )
    assert "DIN_CLAIMED_TWICE" in codes(claim)
    assert holds(course, course.nurse)
    rightful = next(
        one for one in asks(course.nurse, HISTORY, course.coi).items if one.body_type.endswith("CollectionStarted")
    )
    settled = says(
        course.reviewer,
        course.therapy,
        facilities_pb2.DonationNumberSettled(
            din=course.dins[0][:13], claim=rightful.statement_digest, grounds="the label archive"
        ),
    )
    assert settled.status is Status.PENDING
    course.head_of_quality.client.refresh(course.therapy)
    joined = heard(
        course.join(course.head_of_quality, course.therapy, settled.statement_digest, statement_pb2.MEANING_APPROVED)
    )
    assert joined.puts_in_effect == settled.statement_digest
    assert not holds(course, course.nurse)
    assert holds(other, other.nurse)


def test_a_delivery_to_the_wrong_site_leaves_custody_with_who_released(on_the_way: tuple[Making, bytes, bytes]) -> None:
    """They have it and do not answer for it; the last custodian's quality unit establishes custody, by two."""
    course, stream, release = on_the_way
    accepted = course._accepted(course.driver, release, {"box-1": 1})
    course.expect(says(course.driver, stream, accepted), Status.CONFORMING)
    handover = course._release(course.driver, stream, course.operator, ["box-1"])
    wrong = says(course.analyst, stream, course._accepted(course.analyst, handover, {"box-1": 1}))
    assert "WRONG_RECEIVER" in codes(wrong) and wrong.status is Status.NONCONFORMING
    assert holder(course, course.technician) == {course.driver.site}
    back = says(
        course.driver,
        stream,
        transport_pb2.PossessionReported(possessor=unit(course.driver), containers=["box-1"], place="back on the van"),
    )
    assert back.status is Status.CONFORMING
    right = says(course.operator, stream, course._accepted(course.operator, handover, {"box-1": 1}))
    assert right.status is Status.CONFORMING
    assert holder(course, course.technician) == {course.operator.site}


def test_a_box_that_is_lost_and_found_at_a_hub_goes_on(on_the_way: tuple[Making, bytes, bytes]) -> None:
    """Nobody has it; then somebody says so; the deviation stays."""
    course, stream, release = on_the_way
    says(course.driver, stream, course._accepted(course.driver, release, {"box-1": 1}))
    lost = says(course.driver, stream, transport_pb2.ContainersLost(containers=["box-1"], last_place="hub south"))
    assert "CONTAINERS_LOST" in codes(lost) or lost.holds_opened
    found = says(
        course.night_driver,
        stream,
        transport_pb2.PossessionReported(possessor=unit(course.night_driver), containers=["box-1"], place="hub south"),
    )
    assert found.status is Status.CONFORMING
    history = asks(course.technician, HISTORY, f"consignment:{stream.hex()}")
    assert [one.summary for one in history.items if one.statement_digest == found.statement_digest] == [
        "Courier/road reports to have box-1 at hub south"
    ]
    handover = course._release(course.night_driver, stream, course.operator, ["box-1"])
    course.expect(
        course.say(course.operator, stream, course._accepted(course.operator, handover, {"box-1": 1})),
        Status.CONFORMING,
    )


def test_drivers_swap_on_the_way_by_renaming_the_receiver(on_the_way: tuple[Making, bytes, bytes]) -> None:
    """The one who was named stays away; the releaser names another, who accepts."""
    course, stream, release = on_the_way
    renamed = says(
        course.technician,
        stream,
        transport_pb2.ReceiverRenamed(release=release, receiver=common_pb2.Unit(site=course.driver.site, unit="road")),
    )
    assert renamed.status is Status.CONFORMING
    accepted = says(course.night_driver, stream, course._accepted(course.night_driver, release, {"box-1": 1}))
    assert accepted.status is Status.CONFORMING
    (handoff, *_) = asks(course.technician, HANDOFFS, f"consignment:{stream.hex()}").handoffs
    assert handoff.answered.statement_digest == accepted.statement_digest


def test_who_answers_is_told_as_it_was_and_as_it_was_known(on_the_way: tuple[Making, bytes, bytes]) -> None:
    """At a time the courier had it, though the ledger knew it only later; at an earlier position it did not."""
    course, stream, release = on_the_way
    before = datetime.now(UTC)
    known = asks(course.technician, HISTORY, course.coi).position
    accepted = says(course.driver, stream, course._accepted(course.driver, release, {"box-1": 1}))
    course.technician.client.note_position(accepted.position)
    assert holder(course, course.technician) == {course.driver.site}
    assert holder(course, course.technician, at=before) == {course.technician.site}
    assert holder(course, course.technician, known_at_position=known) == {course.technician.site}


def test_a_receiver_without_a_key_is_attested_for(on_the_way: tuple[Making, bytes, bytes]) -> None:
    """By name digest, badge and waybill, with a second person; it is shown as unsigned by the receiver."""
    course, stream, release = on_the_way
    body = course._accepted(course.driver, release, {"box-1": 1})
    body.attestation.name_sha256 = b"\x09" * 32
    body.attestation.badge = "B-17"
    body.attestation.waybill = "WB-1"
    attested = says(course.technician, stream, body)
    assert "UNSIGNED_BY_RECEIVER" in codes(attested)
    heard(course.join(course.nurse, stream, attested.statement_digest, statement_pb2.MEANING_WITNESSED))
    (handoff,) = asks(course.technician, HANDOFFS, f"consignment:{stream.hex()}").handoffs
    assert handoff.unsigned_by_receiver
    assert holder(course, course.technician) == {course.driver.site}


def test_a_deviation_shows_with_what_was_found(on_the_way: tuple[Making, bytes, bytes]) -> None:
    """An alarm on the way is an excursion among the deviations of the therapy's consignment."""
    course, stream, release = on_the_way
    says(course.driver, stream, course._accepted(course.driver, release, {"box-1": 1}))
    alarm = says(
        course.driver,
        stream,
        transport_pb2.ExcursionAlarmed(
            container="box-1",
            logger="LOGGER-box-1",
            temperature=common_pb2.Quantity(
                mantissa=12,
                unit="Cel",
                comparator=common_pb2.COMPARATOR_EQUAL,
                basis=common_pb2.QUANTITY_BASIS_MEASURED,
            ),
        ),
    )
    answer = asks(course.technician, DEVIATIONS, f"consignment:{stream.hex()}")
    assert [one.statement.statement_digest for one in answer.deviations if one.kind == "excursion"] == [
        alarm.statement_digest
    ]


def test_a_stranger_cannot_undo_what_another_site_said(course: Making) -> None:
    """Only the site that stated a fact retracts it."""
    told = says(course.technician, course.therapy, stored(course, "rack-9"))
    body = quality_pb2.StatementRetracted(retracted=told.statement_digest)
    body.circumstances.reason = "not ours"
    with pytest.raises(StatementRefused):
        says(course.operator, course.therapy, body)
