"""Monitoring, late results and follow-up: what is recorded, and what is due at a given time."""

from __future__ import annotations

import itertools

import pytest

from cellcustody.ledger.custody.act import Act, Status
from cellcustody.ledger.custody.after_infusion import (
    DueState,
    day_after_infusion,
    late_results,
    monitoring_days,
    visits,
)
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned

from .packs import member, pack_with
from .stories import (
    DAY,
    HOUR,
    OPERATOR,
    PACK,
    SUITE,
    WARD,
    Delivery,
    Story,
    material,
    outcome,
)

assert PACK.monitoring is not None
DAILY = PACK.monitoring.daily_days
TOTAL = PACK.monitoring.total_days


def infused() -> tuple[Story, int]:
    """One bag infused; returns when it started."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    started = story.starts_infusion("bag-1", check)
    story.stops_infusion("bag-1", started)
    return story, started.occurred_start


# Days and monitoring.


def test_days_count_from_the_first_infusion() -> None:
    """Day 0 is that day; before it, and without one, there is none."""
    story, start = infused()
    state = story.case().state
    assert [day_after_infusion(state, start + hours * HOUR) for hours in (0, 23, 24, 49)] == [0, 0, 1, 2]
    assert day_after_infusion(state, start - 1) is None
    assert day_after_infusion(Story().to_the_ward().case().state, start) is None


def test_a_bag_of_which_nothing_was_given_starts_no_days() -> None:
    """The next one does."""
    story = Story().to_the_bedside()
    check = story.checks_bedside("bag-1")
    started = story.starts_infusion("bag-1", check)
    story.stops_infusion("bag-1", started, returned.INFUSION_OUTCOME_NOT_INFUSED)
    assert day_after_infusion(story.case().state, story.now + DAY) is None


@pytest.mark.parametrize(("day", "found"), [(3, set()), (2, set()), (4, set()), (5, {"DAY_DISAGREES"})])
def test_a_day_that_is_stated_is_the_days_since(day: int, found: set[str]) -> None:
    """Give or take one, for wards count by their own clock."""
    story, start = infused()
    at = start + 3 * DAY + HOUR
    assert story.codes(story.tell(returned.PatientMonitored(unit=WARD, day=day), at=at)) == found
    assert story.codes(story.tell(returned.ToxicityGraded(day=day), at=at)) == found
    assert story.codes(story.tell(returned.AdverseEventReported(day=day), at=at)) == found


def test_daily_monitoring_is_due_and_then_overdue() -> None:
    """A toxicity graded is a look at the patient too."""
    story, start = infused()
    story.tell(returned.PatientMonitored(unit=WARD, day=0), at=start + HOUR)
    story.tell(returned.ToxicityGraded(day=1), at=start + DAY + HOUR)
    state = story.case().state
    days = monitoring_days(state, PACK, start + 3 * DAY + HOUR)
    assert [one.day for one in days] == [*range(DAILY), TOTAL - 1]
    assert [one.state for one in days[:5]] == [
        DueState.DONE,
        DueState.DONE,
        DueState.OVERDUE,
        DueState.DUE,
        DueState.NOT_YET,
    ]
    assert [one.starts_at for one in days] == [start + day * DAY for day in range(DAILY + 1)]
    assert [one.ends_at for one in days] == [*(start + (day + 1) * DAY for day in range(DAILY)), start + TOTAL * DAY]
    assert days[0].digests == (state.treatment.monitored[0].digest,)
    assert monitoring_days(Story().to_the_ward().case().state, PACK, start) == ()


@pytest.mark.parametrize(
    ("seen", "asked", "state"),
    [
        (DAILY * DAY - 1, TOTAL * DAY, DueState.OVERDUE),
        (DAILY * DAY, TOTAL * DAY, DueState.DONE),
        (TOTAL * DAY - 1, TOTAL * DAY, DueState.DONE),
        (TOTAL * DAY, TOTAL * DAY, DueState.OVERDUE),
        (HOUR, DAILY * DAY - 1, DueState.NOT_YET),
        (HOUR, DAILY * DAY, DueState.DUE),
        (HOUR, TOTAL * DAY - 1, DueState.DUE),
    ],
)
def test_after_the_daily_ones_the_patient_is_seen_once_more(seen: int, asked: int, state: DueState) -> None:
    """Until the pack's days are over; a look before or after them is none."""
    story, start = infused()
    story.tell(returned.PatientMonitored(unit=WARD), at=start + seen)
    assert monitoring_days(story.case().state, PACK, start + asked)[-1].state is state


def test_a_pack_with_daily_days_alone_asks_for_nothing_more() -> None:
    """All its days are daily."""
    pack = pack_with(member("monitoring", {"daily_days": 3, "total_days": 3}))
    story, start = infused()
    assert [one.day for one in monitoring_days(story.case().state, pack, start)] == [0, 1, 2]
    nothing = pack_with(member("monitoring", None))
    assert monitoring_days(story.case().state, nothing, start) == ()


def test_nothing_more_is_monitored_of_a_patient_who_has_died() -> None:
    """The days before stay as they were."""
    story, start = infused()
    deceased = returned.FollowUpRecorded(visit="unplanned", outcome=returned.FOLLOW_UP_OUTCOME_DECEASED)
    story.tell(deceased, at=start + 2 * DAY - HOUR)
    days = monitoring_days(story.case().state, PACK, start + 30 * DAY)
    assert [one.state for one in days[:3]] == [DueState.OVERDUE, DueState.OVERDUE, DueState.FALLEN_AWAY]


# Visits.


def _states(story: Story, now: int) -> dict[str, DueState]:
    return {one.visit: one.state for one in visits(story.case().state, PACK, now)}


def test_visits_are_due_within_their_windows_to_fifteen_years() -> None:
    """Month 3 is day 91, give or take 14, in the sample pack."""
    story, start = infused()
    due = start + 91 * DAY
    for now, expected in (
        (due - 14 * DAY - 1, DueState.NOT_YET),
        (due - 14 * DAY, DueState.DUE),
        (due + 14 * DAY, DueState.DUE),
        (due + 14 * DAY + 1, DueState.OVERDUE),
    ):
        assert _states(story, now)["month 3"] is expected
    last = visits(story.case().state, PACK, due)[-1]
    assert (last.visit, (last.due_at - start) // DAY) == ("year 15", 5479)


def test_a_visit_is_done_once_the_patient_was_seen() -> None:
    """A missed one is not; it is due until somebody sees the patient."""
    story, start = infused()
    now = start + 200 * DAY
    missed = returned.FollowUpRecorded(visit="month 3", outcome=returned.FOLLOW_UP_OUTCOME_MISSED)
    story.tell(missed, at=start + 91 * DAY)
    assert _states(story, now)["month 3"] is DueState.OVERDUE
    story.tell(returned.FollowUpRecorded(visit="month 3"), at=start + 95 * DAY)
    assert _states(story, now)["month 3"] is DueState.DONE


@pytest.mark.parametrize(
    "outcome",
    [
        returned.FOLLOW_UP_OUTCOME_LOST,
        returned.FOLLOW_UP_OUTCOME_DECLINED,
        returned.FOLLOW_UP_OUTCOME_DECEASED,
    ],
)
def test_what_is_not_due_yet_falls_away_with_the_patient(outcome: returned.FollowUpOutcome.ValueType) -> None:
    """What was overdue before stays so."""
    story, start = infused()
    story.tell(returned.FollowUpRecorded(visit="other", outcome=outcome), at=start + 200 * DAY)
    assert _states(story, start + 6000 * DAY) == {
        "month 3": DueState.OVERDUE,
        "year 1": DueState.FALLEN_AWAY,
        "year 15": DueState.FALLEN_AWAY,
    }


def test_a_visit_beside_the_schedule_is_shown() -> None:
    """It stands all the same."""
    story, _ = infused()
    beside = story.tell(returned.FollowUpRecorded(visit="month 4"))
    assert story.codes(beside) == {"VISIT_NOT_PLANNED"}
    assert story.judged(beside).status is Status.CONFORMING
    assert story.codes(story.tell(returned.FollowUpRecorded(visit="year 1"))) == set()


# Late results.


def _fails(story: Story) -> Act:
    return story.reports("sterility", modification.RESULT_OUTCOME_FAIL)


def _notifies(story: Story, result: Act, told: common.Unit = WARD) -> Act:
    return story.tell(returned.ResultNotified(result=result.digest, told=told), OPERATOR)


def _acknowledges(story: Story, notified: Act) -> Act:
    return story.tell(returned.ResultAcknowledged(notification=notified.digest, unit=WARD))


def test_a_failing_result_after_the_infusion_is_told_and_acknowledged() -> None:
    """Until then it stands as late; then with who was told when."""
    story, _ = infused()
    failed = _fails(story)
    (late,) = late_results(story.case().state)
    assert (late.result, late.test, late.infused, late.notice) == (
        failed.digest,
        "sterility",
        (material("bag-1"),),
        None,
    )
    assert late.is_overdue(failed.occurred_start + HOUR + 1, 3600)
    assert not late.is_overdue(failed.occurred_start + HOUR, 3600)

    notified = _notifies(story, failed)
    assert story.codes(notified) == set()
    (late,) = late_results(story.case().state)
    assert late.notice is not None
    assert (late.notice.notified_by, late.is_acknowledged) == (notified.digest, False)

    acknowledged = _acknowledges(story, notified)
    assert story.codes(acknowledged) == set()
    (late,) = late_results(story.case().state)
    assert late.is_acknowledged
    assert not late.is_overdue(story.now + 10 * DAY, 3600)
    assert story.codes(_acknowledges(story, notified)) == {"ACKNOWLEDGED_BEFORE"}


def test_a_failing_result_before_the_infusion_or_of_nothing_infused_is_not_late() -> None:
    """Release and holds deal with those."""
    before = Story().to_the_bedside()
    _fails(before)
    check = before.checks_bedside("bag-1")
    before.stops_infusion("bag-1", before.starts_infusion("bag-1", check))
    assert late_results(before.case().state) == ()
    never = Story().to_the_bedside()
    _fails(never)
    assert late_results(never.case().state) == ()
    passed, _ = infused()
    passed.reports("sterility")
    assert late_results(passed.case().state) == ()


def test_a_result_is_told_to_a_site_that_infused() -> None:
    """And acknowledged by that one alone; another's word does not count."""
    story, _ = infused()
    failed = _fails(story)
    astray = _notifies(story, failed, SUITE)
    assert story.codes(astray) == {"NOT_THE_INFUSING_SITE"}
    notified = _notifies(story, failed)
    by_plant = story.tell(returned.ResultAcknowledged(notification=notified.digest, unit=SUITE), OPERATOR)
    assert story.codes(by_plant) == {"NOT_THE_SITE_TOLD"}
    (late,) = late_results(story.case().state)
    assert not late.is_acknowledged


def test_a_notice_names_a_result_and_an_acknowledgement_a_notice() -> None:
    """Another statement is found; one that is not here yet is waited for."""
    story, _ = infused()
    failed = _fails(story)
    assert story.codes(_notifies(story, story.acts[0])) == {"OTHER_STATEMENT_NAMED"}
    notified = _notifies(story, failed)
    acknowledged = _acknowledges(story, notified)
    story.acts.remove(notified)
    assert story.judged(acknowledged).status is Status.AWAITING


def test_an_acknowledgement_waits_with_the_notice_that_waits() -> None:
    """The notice waits for its result."""
    story, _ = infused()
    failed = _fails(story)
    notified = _notifies(story, failed)
    acknowledged = _acknowledges(story, notified)
    story.acts.remove(failed)
    assert story.judged(notified).status is Status.AWAITING
    assert story.judged(acknowledged).status is Status.AWAITING


def test_an_acknowledgement_speaks_for_a_unit_of_its_own_site() -> None:
    """Not for the plant's."""
    story, _ = infused()
    notified = _notifies(story, _fails(story))
    body = returned.ResultAcknowledged(notification=notified.digest, unit=SUITE)
    assert story.codes(story.tell(body)) == {"SIGNED_FOR_ANOTHER_SITE"}


def test_late_results_end_alike_in_every_order_of_delivery() -> None:
    """The result, its notice, the acknowledgement and a grade."""
    story, start = infused()
    before = list(story.acts)
    failed = _fails(story)
    notified = _notifies(story, failed)
    told = [failed, notified, _acknowledges(story, notified)]
    told.append(story.tell(returned.ToxicityGraded(day=1), at=start + DAY))
    expected = outcome(story.case())
    late = late_results(story.case().state)
    for order in itertools.permutations(told):
        delivery = Delivery()
        for act in (*before, *order):
            delivery.deliver(act)
        assert outcome(delivery.case) == expected
        assert late_results(delivery.case.state) == late
