"""Many submitters at once: each is answered once, in order, and only for what is durable."""

from __future__ import annotations

import threading

import pytest
from courses import BOX, COLLECTION, World, codes

from cellcustody.ledger.errors import RefusedError
from cellcustody.ledger.recording.ledger import OutcomeUnknownError, Recorded, Submission
from cellcustody.ledger.transparency import parse_checkpoint
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import transport_pb2 as transport

THREADS = 16
EACH = 12


def _consent(world: World, stream: bytes) -> Submission:
    return world.harness.statement(world.nurse, stream, harvest.ConsentRecorded(scopes=COLLECTION))


def test_sixteen_submitters_are_each_answered_for_what_is_theirs(world: World) -> None:
    """All positions are distinct and gapless, every receipt's head covers its position, and the log verifies."""
    courses = [world.course() for _ in range(THREADS)]
    for course in courses:
        course.enrols()
    size = world.harness.ledger.checkpoint_size()
    made: list[list[Submission]] = []
    for course in courses:
        own = []
        for _ in range(EACH):
            world.harness.tick(1)
            own.append(_consent(world, course.stream))
        made.append(own)
    told: list[list[Recorded]] = [[] for _ in courses]

    def submits(index: int) -> None:
        for submission in made[index]:
            recorded = world.harness.ledger.submit(submission, timeout_seconds=30)
            assert world.harness.ledger.checkpoint_size() >= recorded.position
            told[index].append(recorded)

    threads = [threading.Thread(target=submits, args=(index,)) for index in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    positions = [[one.position for one in own] for own in told]
    assert all(own == sorted(own) and len(own) == EACH for own in positions)
    assert sorted(position for own in positions for position in own) == list(range(size + 1, size + 1 + THREADS * EACH))
    for one in (one for own in told for one in own):
        assert one.receipt is not None
        note = one.receipt.split(b"\n\n", 1)[1]
        assert parse_checkpoint(note).size >= one.position
    world.harness.check()


def test_the_same_statement_from_many_submitters_is_recorded_once(world: World) -> None:
    """Retries get the same position, whether the first is recorded already, in the same group or in the same call."""
    course = world.course()
    course.enrols()
    one = _consent(world, course.stream)
    size = world.harness.store.head().size
    told: list[Recorded] = []

    def submits() -> None:
        told.append(world.harness.ledger.submit(one, timeout_seconds=30))

    threads = [threading.Thread(target=submits) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = world.harness.ledger.submit_many([one, one], timeout_seconds=30)
    told.extend(one for one in again if isinstance(one, Recorded))
    assert {recorded.position for recorded in told} == {size + 1}
    assert [recorded.already_recorded for recorded in told].count(False) == 1
    assert world.harness.store.head().size == size + 1
    world.harness.check()


def test_statements_of_one_call_are_judged_in_its_order(world: World) -> None:
    """An enrolment, a fact and an authorisation that has seen it go in one call; the other way round it waits."""
    harness = world.harness
    first, second = world.course(), world.course()
    calls = []
    for course in (first, second):
        enrolment = harness.statement(world.nurse, course.stream, course.enrolment())
        digest = harness.ledger.prepare(enrolment).statement.digest
        withdrawal = harness.statement(world.nurse, course.stream, harvest.ConsentWithdrawn(scopes=COLLECTION))
        withdrawn = harness.ledger.prepare(withdrawal).statement.digest
        retraction = harness.statement(
            world.nurse,
            course.stream,
            quality.StatementRetracted(retracted=withdrawn),
            seen={course.stream: withdrawn},
        )
        calls.append((enrolment, withdrawal, retraction))
        assert digest != withdrawn
    in_order = harness.ledger.submit_many(calls[0], timeout_seconds=10)
    assert all(isinstance(one, Recorded) for one in in_order)
    backwards = harness.ledger.submit_many(calls[1][::-1], timeout_seconds=10)
    assert [isinstance(one, Recorded) for one in backwards] == [False, True, True]
    assert isinstance(backwards[0], RefusedError)
    assert backwards[0].reason == "SEEN_UNKNOWN"
    harness.check()


def test_a_refusal_is_told_only_once_what_it_rests_on_is_durable(world: World) -> None:
    """Two enrolments under one identifier in one group: when the second hears of the first, the first is committed."""
    harness = world.harness
    first, second = world.course(), world.course()
    second.coi = first.coi
    size = harness.store.head().size
    steps: list[int] = []
    harness.faults.during, harness.faults.at = lambda: steps.append(harness.store.head().size), "before:commit"
    told = harness.ledger.submit_many(
        [harness.statement(world.nurse, one.stream, one.enrolment()) for one in (first, second)], timeout_seconds=10
    )
    assert steps == [size]
    assert isinstance(told[1], RefusedError)
    assert harness.store.head().size == size + 1


def test_a_case_that_is_not_in_memory_tells_what_changes(world: World) -> None:
    """A consignment's news reaches a therapy that was never read since the start."""
    harness = world.harness
    course = world.course().to_the_collection()
    consignment = course.opens_consignment(world.nurse, world.apheresis, world.suite)
    course.packs(world.nurse, world.apheresis, consignment, "apheresis")
    received = course.receives(world.operator, world.suite, consignment, "apheresis")
    assert "NOT_CUSTODIAN" in codes(received)
    release = harness.statement(
        world.nurse,
        consignment,
        _release(world),
        at=harness.clock - 90_000_000,
    )
    digest = harness.ledger.prepare(release).statement.digest
    acceptance = harness.statement(
        world.operator, consignment, _acceptance(world, digest), at=harness.clock - 80_000_000
    )
    for one in (release, acceptance):
        harness.reopen()
        harness.submit(one)
        harness.check()
    assert not harness.recorded(course.stream)[received.statement_digest].judged.findings


def _release(world: World) -> transport.CustodyReleased:
    return transport.CustodyReleased(releaser=world.apheresis, receiver=world.suite, containers=[BOX], count=1)


def _acceptance(world: World, release: bytes) -> transport.CustodyAccepted:
    line = common.HandoffLine(container=BOX, outcome=common.LINE_OUTCOME_ACCEPTED)
    return transport.CustodyAccepted(release=release, receiver=world.suite, lines=[line], count=1)


def _waits(gate: threading.Event) -> None:
    assert gate.wait(10)


def test_a_caller_who_stops_waiting_knows_nothing_and_may_ask_again(world: World) -> None:
    """The same statement sent again tells where it is."""
    course = world.course()
    gate = threading.Event()
    harness = world.harness
    harness.faults.during, harness.faults.at = lambda: _waits(gate), "before:commit"
    one = _consent(world, course.stream)
    with pytest.raises(OutcomeUnknownError):
        harness.ledger.submit(one, timeout_seconds=0.05)
    gate.set()
    assert harness.submit(one).position == harness.store.head().size
