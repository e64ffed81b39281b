"""Two sites' outboxes of six facts, delivered in every order through the whole append core, end in the same state."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence

import pytest
from courses import BOX, MINUTE, Course, World

from cellcustody.ledger.custody.act import Judged
from cellcustody.ledger.custody.therapy_state import custody_of
from cellcustody.ledger.recording.ledger import Submission
from cellcustody.ledger.recording.replaying import revised_judgements
from cellcustody.ledger.statements import parse_statement
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import transport_pb2 as transport

FACTS = 6
ORDERS = list(itertools.permutations(range(FACTS)))
SEEDED = random.Random(20_250_101).sample(ORDERS, 60)


def _outboxes(world: World, course: Course, consignment: bytes) -> list[Submission]:
    """Returns what a nurse and an operator signed while offline: three facts of each site, a minute apart.

    The nurse packs, releases to the plant and reports what became of the box; the operator accepts, takes the bag out
    and stores it. The release is to the courier, so that the plant's acceptance is by the wrong receiver.
    """
    harness = world.harness
    bag = course.material("apheresis")
    made: list[Submission] = []

    def signs(by: str, stream: bytes, body: object, seen: dict[bytes, bytes]) -> bytes:
        signer = world.nurse if by == "nurse" else world.operator
        assert isinstance(
            body,
            harvest.MaterialPacked
            | harvest.MaterialReceived
            | harvest.MaterialStored
            | transport.CustodyReleased
            | transport.CustodyAccepted
            | transport.SealApplied,
        )
        submission = harness.statement(signer, stream, body, at=harness.clock + len(made) * MINUTE, seen=seen)
        made.append(submission)
        return parse_statement(submission.envelope).digest

    packed = signs(
        "nurse",
        course.stream,
        harvest.MaterialPacked(
            material=bag, consignment=consignment, container=BOX, unit=world.apheresis, coi_read=course.coi
        ),
        harness.all_seen(course.stream),
    )
    sealed = signs(
        "nurse", consignment, transport.SealApplied(container=BOX, seal="S-1"), harness.all_seen(consignment)
    )
    release = signs(
        "nurse",
        consignment,
        transport.CustodyReleased(releaser=world.apheresis, receiver=world.van, containers=[BOX], count=1),
        {consignment: sealed},
    )
    line = common.HandoffLine(container=BOX, outcome=common.LINE_OUTCOME_ACCEPTED)
    signs(
        "operator",
        consignment,
        transport.CustodyAccepted(release=release, receiver=world.suite, lines=[line], count=1),
        {},
    )
    received = signs(
        "operator",
        course.stream,
        harvest.MaterialReceived(
            material=bag,
            consignment=consignment,
            container=BOX,
            unit=world.suite,
            coi_read=course.coi,
            din_read=course.din,
            intact=True,
        ),
        {course.stream: packed},
    )
    signs(
        "operator",
        course.stream,
        harvest.MaterialStored(material=bag, position=common.Position(unit=world.suite, place="fridge")),
        {course.stream: received},
    )
    return made


class Outcome:
    """What a delivery ended in, in terms that do not depend on ids drawn at random."""

    def __init__(self, world: World, course: Course, consignment: bytes, made: Sequence[Submission]) -> None:
        harness = world.harness
        digests: list[bytes] = [parse_statement(one.envelope).digest for one in made]
        log = {**harness.recorded(course.stream), **harness.recorded(consignment)}
        self.judged: list[Judged] = [log[digest].judged for digest in digests]
        case = harness.therapy(course.stream)
        bag = course.material("apheresis")
        self.custody = custody_of(case.state, bag)
        held = case.state.holds_on(bag)
        self.holds = sorted((digests.index(hold.statement_digest), hold.code) for hold in held)
        material = case.state.materials[bag]
        self.material = (material.life, material.place, material.packed, material.custodian, material.possessor)
        self.genealogy = sorted(case.state.materials) == [bag]


def _deliver(world: World, order: Iterable[int]) -> Outcome:
    course = world.course().to_the_collection()
    consignment = course.opens_consignment(world.nurse, world.apheresis, world.suite)
    made = _outboxes(world, course, consignment)
    world.harness.tick(600)
    for index in order:
        world.harness.submit(made[index])
    for stream in (course.stream, consignment):
        world.harness.check_judgements(stream)
    return Outcome(world, course, consignment, made)


def _deliver_all(world: World, orders: Sequence[tuple[int, ...]]) -> None:
    expected = _deliver(world, range(FACTS))
    assert expected.genealogy
    assert expected.holds
    for order in orders:
        assert vars(_deliver(world, order)) == vars(expected), order
    world.harness.check()


def test_the_order_of_delivery_changes_nothing(world: World) -> None:
    """Sixty orders, drawn with a seed: same judgements, custody, possession, genealogy and holds."""
    _deliver_all(world, SEEDED)


@pytest.mark.torture
def test_no_order_of_delivery_changes_anything(world: World) -> None:
    """All 720 orders."""
    _deliver_all(world, ORDERS)


def test_the_live_case_and_a_restarted_one_judge_alike(world: World) -> None:
    """After a delivery backwards, the ledger goes on alike whether or not it was started again in between."""
    course = world.course().to_the_collection()
    consignment = course.opens_consignment(world.nurse, world.apheresis, world.suite)
    made = _outboxes(world, course, consignment)
    world.harness.tick(600)
    for index, submission in enumerate(reversed(made)):
        if index % 2:
            world.harness.reopen()
        world.harness.submit(submission)
        world.harness.check()
    assert vars(Outcome(world, course, consignment, made))["judged"] == _deliver(world, range(FACTS)).judged


def test_what_changes_nothing_is_not_judged_again(world: World) -> None:
    """Facts delivered in their order leave no re-judgement; one that changes earlier ones names those alone."""
    course = world.course().to_the_collection()
    consignment = course.opens_consignment(world.nurse, world.apheresis, world.suite)
    made = _outboxes(world, course, consignment)
    world.harness.tick(600)
    size = world.harness.store.head().size
    for submission in made:
        world.harness.submit(submission)
    assert world.harness.store.head().size == size + len(made)

    late = world.course().to_the_collection()
    consignment = late.opens_consignment(world.nurse, world.apheresis, world.suite)
    made = _outboxes(world, late, consignment)
    world.harness.tick(600)
    for submission in (made[0], made[1], made[3], made[4], made[5]):
        world.harness.submit(submission)
    size = world.harness.store.head().size
    world.harness.submit(made[2])  # The release that the acceptance names.
    # The acceptance waited for it; the therapy's facts stay as they were, for the plant took what was not meant for it.
    assert world.harness.store.head().size == size + 2
    (revised,) = (one for one in map(revised_judgements, world.harness.case(consignment).acts.values()) if one)
    assert set(revised) == {parse_statement(made[3].envelope).digest}
    world.harness.check()
