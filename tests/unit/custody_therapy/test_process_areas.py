"""When two therapies share a process area, and that uses which overlap meet under few keys."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.case import TherapyCase
from cellcustody.ledger.custody.process_areas import AreaUse, area_keys, area_use, area_uses, meeting_keys
from cellcustody.ledger.custody.references import References
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality

from .stories import (
    DAY,
    HOUR,
    OPERATOR,
    OTHER_THERAPY,
    PACK,
    START,
    SUITE,
    THERAPY,
    Story,
    folds_of,
    material,
    new,
)

STARTS = st.integers(START - 200 * DAY, START + 200 * DAY)
LENGTHS = st.one_of(st.just(0), st.integers(1, 3 * DAY), st.integers(1, 400 * DAY))


def _step(stream: bytes, start: int, end: int | None, area: str = "isolator-1") -> Act:
    body = modification.ExpansionPerformed(batch=material("batch"), unit=SUITE, process_area=area)
    return Story(therapy=stream).tell(body, OPERATOR, at=start, until=end)


def _use(stream: bytes, start: int, end: int | None, area: str = "isolator-1") -> AreaUse:
    use = area_use(_step(stream, start, end, area))
    assert use is not None
    return use


@given(STARTS, LENGTHS, STARTS, LENGTHS)
def test_uses_that_overlap_meet(start: int, length: int, other_start: int, other_length: int) -> None:
    """Each finds the other under its keys, whatever their lengths; neither has many."""
    one = _use(THERAPY, start, start + length)
    other = _use(OTHER_THERAPY, other_start, other_start + other_length)
    assert one.shares_with(other) == other.shares_with(one)
    assert (not meeting_keys(one).isdisjoint(area_keys(other))) == (not meeting_keys(other).isdisjoint(area_keys(one)))
    if one.shares_with(other):
        assert not meeting_keys(one).isdisjoint(area_keys(other))
    assert max(len(area_keys(one)), len(meeting_keys(one))) <= 34


def test_ends_are_left_out_and_instants_count() -> None:
    """The end of one may be the start of the next; an instant is in what surrounds it and in its like."""
    hour = _use(THERAPY, START, START + HOUR)
    assert not hour.shares_with(_use(OTHER_THERAPY, START + HOUR, START + 2 * HOUR))
    assert not hour.shares_with(_use(OTHER_THERAPY, START + HOUR, None))
    assert hour.shares_with(_use(OTHER_THERAPY, START, None))
    assert _use(THERAPY, START, None).shares_with(_use(OTHER_THERAPY, START, None))
    assert not hour.shares_with(_use(THERAPY, START, START + HOUR))  # A patient's own.


def test_areas_are_told_apart_by_site_and_name() -> None:
    """Case and spaces do not matter; an area that is not named is compared with none."""
    assert _use(THERAPY, START, None).shares_with(_use(OTHER_THERAPY, START, None, area=" ISOLATOR-1 "))
    assert not _use(THERAPY, START, None).shares_with(_use(OTHER_THERAPY, START, None, area="isolator-2"))
    assert area_use(_step(THERAPY, START, None, area=" ")) is None


def test_a_step_in_a_shared_area_is_held_until_the_other_is_gone() -> None:
    """News of the other therapy's use judges the step again, and back."""
    story = Story().to_the_plant()
    story.accessions("apheresis")
    step = story.performs(
        modification.SelectionPerformed, ["apheresis"], [new("selected", common.MATERIAL_KIND_INTERMEDIATE, 90)]
    )
    references = References(folds_of(story.acts))
    case = TherapyCase(THERAPY, PACK, story.acts, references)
    before = case.judged[step.digest]
    use = _use(OTHER_THERAPY, step.occurred_start - HOUR, step.occurred_start + HOUR)

    assert case.references_changed(replace(references, area_uses=frozenset((use,)))) == {step.digest}
    found = {one.code for one in case.judged[step.digest].findings}
    assert found - {one.code for one in before.findings} == {"PROCESS_AREA_SHARED"}
    assert case.state.holds_on(material("selected"))
    assert case.references_changed(references) == {step.digest}
    assert case.judged[step.digest] == before


def test_a_step_taken_back_used_no_area() -> None:
    """A retraction in effect counts, one that is pending does not."""
    step = _step(THERAPY, START, START + HOUR)
    taken_back = quality.StatementRetracted(retracted=step.digest)
    pending = Story().tell(taken_back, OPERATOR, is_in_effect=False)
    assert area_uses((step, pending)) == (area_use(step),)
    assert area_uses((step, Story().tell(taken_back, OPERATOR))) == ()


def test_a_step_that_was_corrected_used_the_area_that_the_correction_names() -> None:
    """And no longer its own."""
    step, right = _step(THERAPY, START, START + HOUR), _step(THERAPY, START, START + HOUR, area="isolator-2")
    corrected = quality.StatementCorrected(corrected=step.digest, replacement=right.digest)
    assert area_uses((step, right)) == (area_use(step), area_use(right))
    assert area_uses((step, right, Story().tell(corrected, OPERATOR))) == (area_use(right),)


def test_a_use_of_months_meets_one_of_an_hour_in_it() -> None:
    """Under few keys on either side; one of years before meets neither."""
    months, hour = _use(THERAPY, START, START + 200 * DAY), _use(OTHER_THERAPY, START + 90 * DAY, None)
    assert not meeting_keys(hour).isdisjoint(area_keys(months))
    assert not meeting_keys(months).isdisjoint(area_keys(hour))
    before = _use(OTHER_THERAPY, START - 900 * DAY, START - 600 * DAY)
    for one in (months, hour):
        assert meeting_keys(before).isdisjoint(area_keys(one))
        assert meeting_keys(one).isdisjoint(area_keys(before))


def test_two_hours_of_two_days_in_one_month_do_not_meet() -> None:
    """They are told apart by their days; one that ends at midnight is of one day."""
    midnight = START - START % DAY
    one, other = _use(THERAPY, midnight, midnight + DAY), _use(OTHER_THERAPY, midnight + DAY, midnight + DAY + HOUR)
    assert meeting_keys(one).isdisjoint(area_keys(other))
    assert meeting_keys(other).isdisjoint(area_keys(one))
    same = _use(OTHER_THERAPY, midnight + HOUR, midnight + 2 * HOUR)
    assert not meeting_keys(one).isdisjoint(area_keys(same))
