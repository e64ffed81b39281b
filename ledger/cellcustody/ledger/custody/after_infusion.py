"""Say what is due after an infusion: daily monitoring, visits up to fifteen years, late results to be acknowledged.

The rules of this module:

* Everything is computed from a therapy's state, its pack and a time that is passed in; nothing is stored.
* Day 0 begins with the first infusion of the therapy; days are of 24 hours from there.
* Monitoring is due on each of the pack's daily days, and once more between the last of them and the end of the pack's
  days in all. It is done if the patient was looked at or a toxicity graded then; a time that is over without is missed.
* A visit is due after the pack's days, within its window on either side. One recorded as missed does not count as
  done. Once contact is lost, or the patient declines or has died, what is not due yet falls away.
* A failing result of a batch of which a bag was infused before is late. It is closed for a site when that site has
  acknowledged a notice of it.

Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.therapy_judging import MICROS_PER_SECOND
from cellcustody.ledger.custody.therapy_state import ResultVerdict, TherapyState
from cellcustody.ledger.custody.treatment import ResultNotice
from cellcustody.v1 import return_pb2 as returned

__all__ = [
    "DueState",
    "LateResult",
    "MonitoringDay",
    "VisitDue",
    "day_after_infusion",
    "first_infusion",
    "late_results",
    "monitoring_days",
    "visits",
]

DAY_MICROS: Final = 86_400 * MICROS_PER_SECOND
_ENDS_FOLLOW_UP: Final = frozenset(
    {
        returned.FOLLOW_UP_OUTCOME_LOST,
        returned.FOLLOW_UP_OUTCOME_DECLINED,
        returned.FOLLOW_UP_OUTCOME_DECEASED,
    }
)


class DueState(StrEnum):
    """How it stands with something that is to be done."""

    DONE = "done"
    NOT_YET = "not yet"
    DUE = "due"
    OVERDUE = "overdue"
    FALLEN_AWAY = "fallen away"


@dataclass(frozen=True, slots=True)
class MonitoringDay:
    """A time at which the patient is looked at: a day, or the days after the daily ones up to `day`.

    `digests` are the statements that show it was done.
    """

    day: int
    starts_at: int
    ends_at: int
    state: DueState
    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class VisitDue:
    """A visit of the schedule; `digests` are the statements recorded under its name."""

    visit: str
    due_at: int
    opens_at: int
    closes_at: int
    state: DueState
    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LateResult:
    """A failing result that came after the infusion, at one site; `notice` is None until that site was told."""

    result: bytes
    batch: bytes
    test: str
    reported_at: int
    site: bytes
    infused: tuple[bytes, ...]
    notice: ResultNotice | None

    @property
    def is_acknowledged(self) -> bool:
        """Tells whether the site has said that it knows."""
        return self.notice is not None and self.notice.acknowledged_at is not None

    def is_overdue(self, now: int, within_seconds: int) -> bool:
        """Tells whether the site should have acknowledged it by now."""
        return not self.is_acknowledged and now - self.reported_at > within_seconds * MICROS_PER_SECOND


def first_infusion(state: TherapyState) -> int | None:
    """Returns when the first infusion of the therapy started, or None if there was none.

    One of which nothing was given is none.
    """
    return min(
        (one.started_at for one in state.infusions.values() if one.outcome != returned.INFUSION_OUTCOME_NOT_INFUSED),
        default=None,
    )


def day_after_infusion(state: TherapyState, at: int) -> int | None:
    """Returns the day of a time, counted from the first infusion; None before it, or without one."""
    first = first_infusion(state)
    return None if first is None or at < first else (at - first) // DAY_MICROS


def monitoring_days(state: TherapyState, pack: PolicyPack, now: int) -> tuple[MonitoringDay, ...]:
    """Returns the days of daily monitoring, day 0 first, then the time that is left; none if there was no infusion."""
    first = first_infusion(state)
    if first is None or pack.monitoring is None:
        return ()
    seen: dict[int, list[bytes]] = {}
    for one in (*state.treatment.monitored, *state.treatment.toxicities):
        if one.at >= first:
            seen.setdefault((one.at - first) // DAY_MICROS, []).append(one.digest)
    daily, total = pack.monitoring.daily_days, pack.monitoring.total_days
    spans = [(day, day + 1) for day in range(daily)]
    if total > daily:
        spans.append((daily, total))
    ended_at = _ended_at(state)
    found = []
    for begins, ends in spans:
        digests = tuple(sorted(one for day in range(begins, ends) for one in seen.get(day, ())))
        starts_at, ends_at = first + begins * DAY_MICROS, first + ends * DAY_MICROS
        how = _monitoring_state(starts_at, ends_at, now, ended_at, is_done=bool(digests))
        found.append(MonitoringDay(ends - 1, starts_at, ends_at, how, digests))
    return tuple(found)


def _monitoring_state(starts_at: int, ends_at: int, now: int, ended_at: int | None, *, is_done: bool) -> DueState:
    if is_done:
        return DueState.DONE
    if ended_at is not None and ended_at <= starts_at:
        return DueState.FALLEN_AWAY
    if now < starts_at:
        return DueState.NOT_YET
    return DueState.DUE if now < ends_at else DueState.OVERDUE


def _ended_at(state: TherapyState) -> int | None:
    """Returns from when nothing more is due of the patient, or None."""
    return min((one.at for one in state.treatment.follow_ups if one.outcome in _ENDS_FOLLOW_UP), default=None)


def visits(state: TherapyState, pack: PolicyPack, now: int) -> tuple[VisitDue, ...]:
    """Returns the pack's schedule of visits with how it stands with each; none if there was no infusion."""
    first = first_infusion(state)
    if first is None:
        return ()
    ended_at = _ended_at(state)
    found = []
    for visit in pack.follow_up:
        due_at = first + visit.due_after_days * DAY_MICROS
        opens_at, closes_at = due_at - visit.window_days * DAY_MICROS, due_at + visit.window_days * DAY_MICROS
        recorded = [one for one in state.treatment.follow_ups if one.visit == visit.visit]
        if any(one.outcome != returned.FOLLOW_UP_OUTCOME_MISSED for one in recorded):
            how = DueState.DONE
        elif ended_at is not None and ended_at <= closes_at:
            how = DueState.FALLEN_AWAY
        elif now < opens_at:
            how = DueState.NOT_YET
        else:
            how = DueState.DUE if now <= closes_at else DueState.OVERDUE
        digests = tuple(sorted(one.digest for one in recorded))
        found.append(VisitDue(visit.visit, due_at, opens_at, closes_at, how, digests))
    return tuple(found)


def late_results(state: TherapyState) -> tuple[LateResult, ...]:
    """Returns every failing result that came after a bag of its batch was infused, once for each infusing site."""
    return tuple(sorted(_late_results(state), key=lambda one: (one.reported_at, one.result, one.site)))


def _late_results(state: TherapyState) -> Iterator[LateResult]:
    for batch in state.batches.values():
        failing = [one for results in batch.results.values() for one in results if one.verdict is ResultVerdict.FAIL]
        if not failing:
            continue
        of_batch = [
            infusion
            for infusion in state.infusions.values()
            if (bag := state.materials.get(infusion.material)) is not None
            and bag.batch == batch.batch
            and infusion.outcome != returned.INFUSION_OUTCOME_NOT_INFUSED
        ]
        for result in failing:
            before = [infusion for infusion in of_batch if infusion.started_at <= result.at]
            for site in sorted({infusion.unit.site for infusion in before}):
                infused = tuple(sorted({one.material for one in before if one.unit.site == site}))
                notice = _notice_of(state, result.digest, site)
                yield LateResult(result.digest, batch.batch, result.test, result.at, site, infused, notice)


def _notice_of(state: TherapyState, result: bytes, site: bytes) -> ResultNotice | None:
    """Returns the notice of a result to a site that counts: the first acknowledged, or else the first."""
    notices = [one for one in state.treatment.notices.values() if one.result == result and one.site == site]
    return min(
        notices,
        key=lambda one: (one.acknowledged_at is None, one.acknowledged_at or one.notified_at, one.notified_by),
        default=None,
    )
