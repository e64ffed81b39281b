"""One therapy from enrolment to closure through the real append core, with what goes wrong on its way."""

from __future__ import annotations

import pytest
from courses import DAY, Course, World, celsius, codes, status, volume

from cellcustody.ledger.custody.act import Outcome, Status, UnitRef
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.therapy_state import Life
from cellcustody.ledger.errors import AuthorisationRefusedError
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport


class Telling:
    """Notes the status that each act must have in the end, and checks the whole log after each."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.expected: dict[bytes, Status] = {}

    def expects(self, *told: Recorded, then: Status = Status.CONFORMING) -> None:
        """Holds acts to a status, now and at the end, and the log to its rules."""
        for one in told:
            self.expected[one.statement_digest] = then
        self.course.harness.check()

    def holds(self) -> None:
        """Holds every act told to its status by the latest judgement of the log."""
        log: dict[bytes, Status] = {}
        for stream in tuple(self.course.harness.last):
            log.update((digest, one.judged.status) for digest, one in self.course.harness.recorded(stream).items())
        assert {digest: log[digest] for digest in self.expected} == self.expected
        unexpected = {
            digest
            for digest, one in log.items()
            if one in (Status.NONCONFORMING, Status.AWAITING, Status.PENDING) and self.expected.get(digest) is not one
        }
        assert unexpected == set()


def _summary(box: str, tenths_max: int, first: int, last: int) -> common.LoggerSummary:
    """Returns a box's logger summary with the highest temperature in tenths of a degree, from the first to the last."""
    is_out = tenths_max > 80
    return common.LoggerSummary(
        logger=f"logger-{box}",
        temperature_min=celsius(21),
        temperature_max=celsius(tenths_max),
        out_of_band_seconds=600 if is_out else 0,
        readings=300,
        condition=common.CONDITION_OUT_OF_RANGE if is_out else common.CONDITION_IN_RANGE,
        file=common.Document(sha256=bytes([tenths_max]) * 32, kind="logger-file"),
        interval_seconds=300,
        first_reading_unix_micros=first,
        last_reading_unix_micros=last,
    )


def _tells_a_whole_therapy(world: World) -> None:
    course = world.course()
    telling = Telling(course)
    harness = course.harness
    nurse, operator, driver = world.nurse, world.operator, world.driver

    # Harvest on two days.
    enrolled = course.enrols()
    telling.expects(enrolled, then=Status.IN_EFFECT)
    telling.expects(course.consents())
    telling.expects(*course.collects("day-1"))
    harness.tick(86_400 - 3_600)
    telling.expects(*course.collects("day-2", day=2))

    # Two boxes, sealed and logged; the courier finds one missing, and it comes to light.
    outward = course.opens_consignment(nurse, world.apheresis, world.suite, "box-1", "box-2")
    telling.expects(course.packs(nurse, world.apheresis, outward, "day-1", "box-1"))
    telling.expects(course.packs(nurse, world.apheresis, outward, "day-2", "box-2"))
    telling.expects(*(course.starts_logger(nurse, outward, box) for box in ("box-1", "box-2")))
    started_at = harness.clock
    telling.expects(course.seals(nurse, outward, "S-1", "box-1"), course.seals(nurse, outward, "S-2", "box-2"))
    both = [common.SealReading(container=f"box-{n}", seal=f"S-{n}", intact=True) for n in (1, 2)]
    release = course.releases(nurse, outward, world.apheresis, world.van, ["box-1", "box-2"], both)
    telling.expects(release)
    accepted = course.accepts(driver, outward, release, world.van, ["box-1"], ["box-2"], both[:1])
    telling.expects(accepted, then=Status.NONCONFORMING)
    assert codes(accepted) == {"CONTAINER_NOT_PRESENT"}
    assert accepted.holds_opened == (hold_id(accepted.statement_digest, "CONTAINER_NOT_PRESENT"),)
    state = harness.case(outward).state
    assert isinstance(state, ConsignmentState)
    assert state.containers["box-1"].custodian == UnitRef(world.courier)
    assert state.containers["box-2"].custodian == UnitRef(world.hospital, "apheresis")

    found = harness.say(
        nurse, outward, transport.PossessionReported(possessor=world.apheresis, containers=["box-2"], place="dock")
    )
    telling.expects(found)
    lifted = harness.say(
        world.reviewer, outward, quality.HoldLifted(holds=accepted.holds_opened, disposition="found on the dock")
    )
    telling.expects(lifted, then=Status.IN_EFFECT)
    second = course.releases(nurse, outward, world.apheresis, world.van, ["box-2"], both[1:])
    telling.expects(second, course.accepts(driver, outward, second, world.van, ["box-2"], seals=both[1:]))
    third = course.releases(driver, outward, world.van, world.suite, ["box-1", "box-2"], both)
    telling.expects(third, course.accepts(operator, outward, third, world.suite, ["box-1", "box-2"], seals=both))

    # The logger tells of an excursion; quality accepts the bag on a study, and lifts no hold without one.
    inspected = harness.say(
        operator,
        outward,
        transport.ReceiptInspected(
            unit=world.suite,
            containers=["box-1", "box-2"],
            seals=both,
            loggers=[
                _summary("box-1", 95, started_at, harness.clock),
                _summary("box-2", 62, started_at, harness.clock),
            ],
        ),
    )
    telling.expects(inspected, then=Status.NONCONFORMING)
    assert codes(inspected) == {"EXCURSION"}
    telling.expects(*(course.receives(operator, world.suite, outward, f"day-{n}", f"box-{n}") for n in (1, 2)))
    held = harness.therapy(course.stream).state.holds_on(course.material("day-1"))
    assert [hold.hold for hold in held] == list(inspected.holds_opened)
    with pytest.raises(AuthorisationRefusedError, match="DISPOSITION_NEEDED"):
        harness.say(
            world.reviewer, outward, quality.HoldLifted(holds=inspected.holds_opened, disposition="within stability")
        )
    accepted = course.say(
        world.reviewer,
        transport.ConditionDisposed(
            materials=[course.material("day-1")],
            holds=inspected.holds_opened,
            inspection=inspected.statement_digest,
            decision=transport.CONDITION_DECISION_ACCEPTED,
            study_reference="STAB-7",
            study=common.Document(sha256=b"\x07" * 32, kind="stability-study"),
        ),
    )
    telling.expects(accepted, then=Status.IN_EFFECT)
    assert harness.therapy(course.stream).state.holds_on(course.material("day-1")) == ()

    # Manufacture, testing, release.
    telling.expects(*course.makes_product("day-1", "day-2"))
    telling.expects(*course.is_tested())
    archived = returned.MaterialArchived(
        material=course.material("retain"),
        position=common.Position(unit=world.suite, place="vault-7"),
        kept_until_unix_micros=harness.clock + 365 * DAY,
    )
    telling.expects(course.say(operator, archived))
    pending = course.say(world.reviewer, course.release_of_batch("bag-1", "bag-2"))
    assert status(pending) is Status.PENDING
    completing = course.join(world.second_reviewer, pending)
    assert completing.judgement is not None
    assert completing.judgement.puts_in_effect == pending.statement_digest
    telling.expects(pending, then=Status.IN_EFFECT)

    # Return, issue, thaw, bedside, infusion: one bag in part, one whole.
    course.travels(["bag-1", "bag-2"], (operator, world.suite), (nurse, world.cell_lab))
    telling.expects()
    for bag, outcome, left in (
        ("bag-1", returned.INFUSION_OUTCOME_PARTIAL, 20),
        ("bag-2", returned.INFUSION_OUTCOME_COMPLETE, 0),
    ):
        telling.expects(course.issues(bag), course.thaws(bag))
        check = course.checks_bedside(bag)
        assert check.judgement is not None
        assert {one.outcome for one in check.judgement.comparisons} == {Outcome.MATCH}
        started = course.starts_infusion(bag, check)
        telling.expects(check, started, course.stops_infusion(bag, started, outcome, left))
    reaction = returned.ReactionObserved(
        reaction=returned.REACTION_KIND_CRS, grade=2, description="fever", materials=[course.material("bag-1")]
    )
    telling.expects(course.say(nurse, reaction))
    destroyed = course.say(
        nurse,
        returned.MaterialDestroyed(
            material=course.material("bag-1"), unit=world.ward, method="incineration", quantity=volume(20)
        ),
    )
    course.join(world.second_nurse, destroyed)
    telling.expects(destroyed, course.say(nurse, returned.FollowUpRecorded(visit="month-1", observations="well")))
    closed = course.say(nurse, returned.TherapyClosed(kept_until_unix_micros=harness.clock + 30 * 365 * DAY))
    telling.expects(closed, then=Status.IN_EFFECT)

    telling.holds()
    ended = harness.therapy(course.stream).state
    assert ended.closed
    assert not ended.holds
    assert ended.materials[course.material("bag-1")].life is Life.DESTROYED
    assert ended.materials[course.material("bag-2")].life is Life.INFUSED
    assert ended.materials[course.material("retain")].life is Life.ARCHIVED

    before = {stream: harness.recorded(stream) for stream in harness.last}
    harness.reopen()
    assert {stream: harness.recorded(stream) for stream in harness.last} == before
    harness.check()


def test_a_whole_therapy_is_recorded_as_it_was_lived(world: World) -> None:
    """Every status is as intended, every step leaves a log that verifies, and a restart finds the same."""
    _tells_a_whole_therapy(world)


def test_a_whole_therapy_is_recorded_on_postgresql(postgres_world: World) -> None:
    """The same on the other back end."""
    _tells_a_whole_therapy(postgres_world)
