"""Judge and evolve what follows an infusion: reactions, toxicity, adverse events, monitoring, late results, visits.

The rules:

* All of these may always be recorded; none is a physical act on a material.
* Grades and criteria are clinical: they are judged at entry alone (`toxicity`), and nothing here looks at them. The day
  that a statement gives agrees with its own time and that of the first infusion.
* A result is told to a site that infused a bag of the therapy; that site, and no other, acknowledges it.
* What is due, and what is overdue, is computed from the state at a time that is passed in (`after_infusion`).
"""

from __future__ import annotations

from collections.abc import Iterable

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.after_infusion import day_after_infusion
from cellcustody.ledger.custody.therapy_evolution import end_of
from cellcustody.ledger.custody.therapy_judging import Judging
from cellcustody.ledger.custody.therapy_rows import TherapyAct, fact
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.ledger.custody.treatment import FollowUp, Observed, ResultNotice
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import return_pb2 as returned

__all__ = ["ACTS"]

_RESULT_REPORTED = modification.ResultReported.DESCRIPTOR.full_name
_RESULT_NOTIFIED = returned.ResultNotified.DESCRIPTOR.full_name
_DAYS_APART_MAX = 1  # Days are counted by the clock of the ward, times in UTC.


def _check_materials(judging: Judging, materials: Iterable[bytes], field: int) -> None:
    for one in materials:
        judging.material(one, field, physical=False)


def _check_day(judging: Judging, day: int, field: int) -> None:
    """Finds a day that is not the one that the statement's own time makes it."""
    counted = day_after_infusion(judging.state, judging.act.occurred_start)
    if counted is None or abs(counted - day) > _DAYS_APART_MAX:
        judging.find("DAY_DISAGREES", field)


# Reactions, toxicity, adverse events, monitoring.


def _check_reaction(judging: Judging, body: returned.ReactionObserved) -> None:
    if judging.enrolled():
        _check_materials(judging, body.materials, 4)


def _evolve_reaction(state: TherapyState, act: Act, body: returned.ReactionObserved, judged: Judged) -> None:
    state.reactions.append(act.digest)


def _check_toxicity(judging: Judging, body: returned.ToxicityGraded) -> None:
    if judging.enrolled():
        _check_materials(judging, body.materials, 8)
        if body.HasField("day"):
            _check_day(judging, body.day, 5)


def _evolve_toxicity(state: TherapyState, act: Act, body: returned.ToxicityGraded, judged: Judged) -> None:
    state.treatment.toxicities.append(Observed(act.digest, act.occurred_start, act.site))


def _check_adverse_event(judging: Judging, body: returned.AdverseEventReported) -> None:
    if judging.enrolled():
        _check_materials(judging, body.materials, 7)
        if body.HasField("day"):
            _check_day(judging, body.day, 4)


def _evolve_adverse_event(state: TherapyState, act: Act, body: returned.AdverseEventReported, judged: Judged) -> None:
    state.treatment.adverse_events.append(Observed(act.digest, act.occurred_start, act.site))


def _check_monitored(judging: Judging, body: returned.PatientMonitored) -> None:
    if judging.enrolled():
        judging.own_unit(body.unit, 1)
        if body.HasField("day"):
            _check_day(judging, body.day, 2)


def _evolve_monitored(state: TherapyState, act: Act, body: returned.PatientMonitored, judged: Judged) -> None:
    state.treatment.monitored.append(Observed(act.digest, act.occurred_start, act.site))


# Results that came late.


def _check_notified(judging: Judging, body: returned.ResultNotified) -> None:
    if not judging.enrolled():
        return
    judging.named(body.result, _RESULT_REPORTED, 1)
    if all(infusion.unit.site != body.told.site for infusion in judging.state.infusions.values()):
        judging.find("NOT_THE_INFUSING_SITE", 2)


def _evolve_notified(state: TherapyState, act: Act, body: returned.ResultNotified, judged: Judged) -> None:
    state.treatment.notices[act.digest] = ResultNotice(
        act.digest, state.current(body.result), body.told.site, end_of(act)
    )


def _check_acknowledged(judging: Judging, body: returned.ResultAcknowledged) -> None:
    if not judging.enrolled():
        return
    judging.own_unit(body.unit, 2)
    notified = judging.named(body.notification, _RESULT_NOTIFIED, 1)
    if notified is None:
        return
    notice = judging.state.treatment.notices.get(notified.digest)
    if notice is None:
        judging.without_effect(notified, 1)
        return
    if notice.site != judging.act.site:
        judging.find("NOT_THE_SITE_TOLD", 1)
    elif notice.acknowledged_at is not None:
        judging.find("ACKNOWLEDGED_BEFORE", 1)


def _evolve_acknowledged(state: TherapyState, act: Act, body: returned.ResultAcknowledged, judged: Judged) -> None:
    notice = state.treatment.notices.get(state.current(body.notification))
    # Another site's word is no word of the one that was told.
    if notice is not None and notice.site == act.site and notice.acknowledged_at is None:
        notice.acknowledged_by = act.digest
        notice.acknowledged_at = end_of(act)


# Visits.


def _check_follow_up(judging: Judging, body: returned.FollowUpRecorded) -> None:
    if not judging.enrolled():
        return
    if judging.pack.follow_up and judging.pack.visit(body.visit) is None:
        judging.find("VISIT_NOT_PLANNED", 1)


def _evolve_follow_up(state: TherapyState, act: Act, body: returned.FollowUpRecorded, judged: Judged) -> None:
    state.follow_ups.append((act.digest, body.visit))
    state.treatment.follow_ups.append(FollowUp(act.digest, body.visit, act.occurred_start, body.outcome))


ACTS: tuple[TherapyAct, ...] = (
    fact(
        returned.ReactionObserved,
        check=_check_reaction,
        evolve=_evolve_reaction,
        materials=lambda body: body.materials,
    ),
    fact(
        returned.ToxicityGraded,
        check=_check_toxicity,
        evolve=_evolve_toxicity,
        materials=lambda body: body.materials,
    ),
    fact(
        returned.AdverseEventReported,
        check=_check_adverse_event,
        evolve=_evolve_adverse_event,
        materials=lambda body: body.materials,
    ),
    fact(returned.PatientMonitored, check=_check_monitored, evolve=_evolve_monitored),
    fact(
        returned.ResultNotified,
        check=_check_notified,
        evolve=_evolve_notified,
        names=lambda body: (body.result,),
    ),
    fact(
        returned.ResultAcknowledged,
        check=_check_acknowledged,
        evolve=_evolve_acknowledged,
        names=lambda body: (body.notification,),
    ),
    fact(returned.FollowUpRecorded, check=_check_follow_up, evolve=_evolve_follow_up),
)
