"""Two patients' cells in one process area at one time: found in both therapies, whichever statement comes first."""

from __future__ import annotations

import pytest
from courses import Course, World, codes, status

from cellcustody.ledger.custody.act import Status
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality

HOUR_SECONDS = 3_600
HOUR = HOUR_SECONDS * 1_000_000


def _ready(world: World) -> Course:
    course = world.course().to_the_plant()
    course.accessions("apheresis")
    course.checks_process("apheresis")
    return course


def _selection(course: Course, area: str, *, replaces: bytes = b"") -> modification.SelectionPerformed:
    return modification.SelectionPerformed(
        batch=course.batch,
        inputs=[course.material("apheresis")],
        outputs=course.outputs(common.MATERIAL_KIND_INTERMEDIATE, 90, "selected"),
        unit=course.world.suite,
        process_area=area,
        replaces=replaces,
    )


def _selects(course: Course, start: int, end: int, area: str = "isolator-1") -> Recorded:
    return course.say(course.world.operator, _selection(course, area), at=start, until=end)


@pytest.mark.parametrize("is_long_first", [True, False])
def test_sharing_an_area_is_found_in_both_whoever_tells_first(world: World, is_long_first: bool) -> None:
    """A step of three hours and one of an hour within it; the one told first is judged again."""
    first, second = _ready(world), _ready(world)
    start = world.harness.tick(HOUR_SECONDS) - HOUR // 2
    world.harness.tick(4 * HOUR_SECONDS)
    times = [(start, start + 3 * HOUR), (start + HOUR, start + 2 * HOUR)]
    told = _selects(first, *times[not is_long_first])
    assert status(told) is Status.CONFORMING
    assert not world.harness.therapy(first.stream).state.holds

    later = _selects(second, *times[is_long_first], area=" Isolator-1")
    assert codes(later) == {"PROCESS_AREA_SHARED"}
    again = world.harness.recorded(first.stream)[told.statement_digest].judged
    assert again.status is Status.NONCONFORMING
    assert [one.code for one in again.findings] == ["PROCESS_AREA_SHARED"]
    for course in (first, second):
        assert world.harness.therapy(course.stream).state.holds_on(course.material("selected"))
    world.harness.check()
    world.harness.reopen()
    world.harness.check()


def test_a_step_of_months_meets_one_of_an_hour(world: World) -> None:
    """However long a step is, what lies within it is found, from either side."""
    long, short = _ready(world), _ready(world)
    start = world.harness.tick(HOUR_SECONDS)
    end = world.harness.tick(100 * 24 * HOUR_SECONDS)
    told = _selects(long, start, end)
    assert "PROCESS_AREA_SHARED" not in codes(told)
    assert "PROCESS_AREA_SHARED" in codes(_selects(short, start + 1_000 * HOUR, start + 1_001 * HOUR))
    again = world.harness.recorded(long.stream)[told.statement_digest].judged
    assert "PROCESS_AREA_SHARED" in {one.code for one in again.findings}
    world.harness.check()


def test_one_after_the_other_and_side_by_side_share_nothing(world: World) -> None:
    """One patient's cells leave as the next one's come; another isolator is another area."""
    first, second, third = _ready(world), _ready(world), _ready(world)
    start = world.harness.tick(HOUR_SECONDS)
    world.harness.tick(4 * HOUR_SECONDS)
    assert codes(_selects(first, start, start + HOUR)) == set()
    assert codes(_selects(second, start + HOUR, start + 2 * HOUR)) == set()
    assert codes(_selects(third, start, start + 2 * HOUR, area="isolator-2")) == set()
    world.harness.check()


@pytest.mark.parametrize("is_replaced", [True, False])
def test_taking_back_a_mistyped_step_clears_the_other_therapy(world: World, is_replaced: bool) -> None:
    """The area was entered wrongly: once that is corrected or retracted, the other therapy's step stands."""
    first, second = _ready(world), _ready(world)
    start = world.harness.tick(HOUR_SECONDS)
    world.harness.tick(4 * HOUR_SECONDS)
    told = _selects(first, start, start + HOUR)
    wrong = _selects(second, start, start + HOUR)
    assert world.harness.therapy(first.stream).state.holds
    if is_replaced:
        body = _selection(second, "isolator-2", replaces=wrong.statement_digest)
        right = second.say(world.operator, body, at=start, until=start + HOUR)
        second.say(
            world.operator,
            quality.StatementCorrected(corrected=wrong.statement_digest, replacement=right.statement_digest),
        )
        assert world.harness.recorded(second.stream)[right.statement_digest].judged.status is Status.CONFORMING
    else:
        second.say(world.operator, quality.StatementRetracted(retracted=wrong.statement_digest))
    assert world.harness.recorded(first.stream)[told.statement_digest].judged.status is Status.CONFORMING
    assert not world.harness.therapy(first.stream).state.holds
    world.harness.check()
    world.harness.reopen()
    world.harness.check()
