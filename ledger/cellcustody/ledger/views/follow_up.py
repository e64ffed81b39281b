"""Lay out the follow-up after infusion: each visit of the pack with its due time, its window, and what answers it.

The rules:

* Visits count from the first infusion that began; without one there is no schedule.
* A record answers the visit whose name it bears. One under a name that the pack does not have stands by itself.
* A visit is upcoming, then due while its window is open, then overdue; done, or done late, once it is recorded. After
  death or the end of consent nothing more falls due.

Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.v1 import return_pb2 as returned

__all__ = ["DAY_MICROS", "Visit", "visits_of"]

DAY_MICROS: Final = 86_400 * 1_000_000
_LAST: Final = frozenset({returned.FOLLOW_UP_OUTCOME_DECEASED, returned.FOLLOW_UP_OUTCOME_DECLINED})


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit; `due` and `until` are None where the pack has none of that name."""

    visit: str
    since: int | None
    due: int | None
    until: int | None
    state: str
    recorded: bytes


def visits_of(state: TherapyState, pack: PolicyPack, now: int) -> Iterator[Visit]:
    """Yields the visits by due time, and what was recorded beside the schedule."""
    infused = [one.started_at for one in state.infusions.values()]
    records = {one.visit: one for one in reversed(state.treatment.follow_ups)}
    ended = min((one.at for one in state.treatment.follow_ups if one.outcome in _LAST), default=None)
    scheduled: set[str] = set()
    if infused:
        start = min(infused)
        for rule in sorted(pack.follow_up, key=lambda one: one.due_after_days):
            scheduled.add(rule.visit)
            due = start + rule.due_after_days * DAY_MICROS
            since, until = due - rule.window_days * DAY_MICROS, due + rule.window_days * DAY_MICROS
            record = records.get(rule.visit)
            if record is not None:
                word = "done" if record.at <= until else "done_late"
                yield Visit(rule.visit, since, due, until, word, record.digest)
            elif ended is None or since <= ended:
                word = "upcoming" if now < since else "due" if now <= until else "overdue"
                yield Visit(rule.visit, since, due, until, word, b"")
    for one in state.treatment.follow_ups:
        if one.visit not in scheduled:
            yield Visit(one.visit, None, None, None, "done", one.digest)
