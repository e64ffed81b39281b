"""From a logger's file to quality's word on the cells, through the append core."""

from __future__ import annotations

import pytest
from courses import BOX, Course, World, codes, status
from journeys import LOGGER, Journey

from cellcustody.ledger.condition import unreadable_logger
from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.ledger.recording.planning import RuleRefusedError, RuleRefusedRetryableError
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

STUDY = common.Document(sha256=b"\x07" * 32, kind="stability-study")


def _uses(course: Course) -> Recorded:
    course.accessions("day-1")
    course.checks_process("day-1")
    return course.performs(modification.SelectionPerformed, ["day-1"], "selected", 90)


def test_a_file_in_range_lets_the_cells_be_used(world: World) -> None:
    """Nothing is found from the file to the first step."""
    course = world.course()
    journey = Journey(world, course)
    summary = journey.summary()
    assert summary.condition == common.CONDITION_IN_RANGE
    assert codes(journey.inspects(summary)) == set()
    assert codes(journey.takes_out(course)) == set()
    assert "CONDITION_UNKNOWN" not in codes(_uses(course))
    assert journey.held(course) == set()
    world.harness.check()


def test_an_excursion_is_accepted_for_one_therapy_and_holds_the_other(world: World) -> None:
    """Two patients' bags in one box, twenty minutes warm: each therapy's quality decides about its own."""
    one, other = world.course(), world.course()
    journey = Journey(world, one, other)
    before = journey.harness.all_seen(one.stream, journey.stream)
    summary = journey.summary(30, 35)
    assert (summary.condition, summary.longest_out_of_band_seconds) == (common.CONDITION_OUT_OF_RANGE, 900)
    inspected = journey.inspects(summary)
    assert (status(inspected), codes(inspected)) == (Status.NONCONFORMING, {"EXCURSION"})
    hold = hold_id(inspected.statement_digest, "EXCURSION")
    assert inspected.holds_opened == (hold,)
    for course in (one, other):
        journey.takes_out(course)
        assert journey.held(course) == {"EXCURSION"}

    lifting = quality.HoldLifted(holds=[hold], disposition="looks fine", support=STUDY)
    with pytest.raises(RuleRefusedError, match="DISPOSITION_NEEDED"):
        journey.harness.say(world.reviewer, journey.stream, lifting)
    body = transport.ConditionDisposed(
        materials=[one.material("day-1")],
        holds=[hold],
        inspection=inspected.statement_digest,
        decision=transport.CONDITION_DECISION_ACCEPTED,
    )
    with pytest.raises(RuleRefusedError, match="STUDY_MISSING"):
        one.say(world.reviewer, body)
    body.study_reference = "STAB-7"
    body.study.CopyFrom(STUDY)
    with pytest.raises(RuleRefusedError, match="UNSEEN_DECISION"):
        one.say(world.reviewer, body, seen=before)
    with pytest.raises(RuleRefusedError, match="LIFTING_NOT_PERMITTED"):
        one.say(world.operator, body)
    assert status(one.say(world.reviewer, body)) is Status.IN_EFFECT
    assert journey.held(one) == set()
    assert journey.held(other) == {"EXCURSION"}
    assert "HOLD_OPEN" not in codes(_uses(one))
    assert "HOLD_OPEN" in codes(_uses(other))
    world.harness.check()


def test_a_rejected_bag_stays_held_in_the_therapy(world: World) -> None:
    """No study is needed to reject; the container's hold gives way to one that only the bag's end frees."""
    course = world.course()
    journey = Journey(world, course)
    inspected = journey.inspects(unreadable_logger(LOGGER))
    assert codes(inspected) == {"CONDITION_UNKNOWN"}
    journey.takes_out(course)
    decided = course.say(
        world.reviewer,
        transport.ConditionDisposed(
            materials=[course.material("day-1")],
            holds=[hold_id(inspected.statement_digest, "CONDITION_UNKNOWN")],
            decision=transport.CONDITION_DECISION_REJECTED,
            rationale="the logger had stopped",
        ),
    )
    assert status(decided) is Status.IN_EFFECT
    assert journey.held(course) == {"CONDITION_REJECTED"}
    rejection = hold_id(decided.statement_digest, "CONDITION_REJECTED")
    with pytest.raises(RuleRefusedError, match="DISPOSITION_NEEDED"):
        course.say(world.reviewer, quality.HoldLifted(holds=[rejection]))
    course.say(
        world.operator,
        transport.MaterialReturned(
            material=course.material("day-1"),
            unit=world.suite,
            reason=transport.RETURN_REASON_CONDITION_REJECTED,
        ),
    )
    assert status(course.say(world.reviewer, quality.HoldLifted(holds=[rejection]))) is Status.IN_EFFECT
    world.harness.check()


def test_a_decision_waits_for_the_inspection_that_it_names(world: World) -> None:
    """It may come again unchanged once the inspection is in the log."""
    course = world.course()
    Journey(world, course)
    body = transport.ConditionDisposed(
        materials=[course.material("day-1")],
        inspection=bytes(32),
        decision=transport.CONDITION_DECISION_ACCEPTED,
        study_reference="STAB-7",
        study=STUDY,
    )
    with pytest.raises(RuleRefusedRetryableError):
        course.say(world.reviewer, body)
    world.harness.check()


def test_cells_used_before_their_logger_was_read_are_judged_again_when_it_is(world: World) -> None:
    """The read-out reaches the ledger after the step; what was unknown is known, and the hold of it falls."""
    course = world.course()
    journey = Journey(world, course)
    journey.harness.tick()
    inspection = transport.ReceiptInspected(unit=world.suite, containers=[BOX], loggers=[journey.summary()])
    late = journey.harness.statement(world.operator, journey.stream, inspection)
    assert codes(journey.takes_out(course)) == set()
    used = _uses(course)
    assert "CONDITION_UNKNOWN" in codes(used)
    assert status(used) is Status.NONCONFORMING
    journey.harness.submit(late)
    judged = journey.harness.recorded(course.stream)[used.statement_digest].judged
    assert "CONDITION_UNKNOWN" not in {finding.code for finding in judged.findings}
    assert "CONDITION_UNKNOWN" not in {
        hold.code for hold in journey.harness.therapy(course.stream).state.holds.values()
    }
    world.harness.check()
