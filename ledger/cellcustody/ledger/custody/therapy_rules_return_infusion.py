"""Judge and evolve conditioning and infusion: lymphodepletion, premedication, start and stop of each bag.

The rules, in the order of the process:

* A course of lymphodepletion stops once. The time to issue and infusion counts from the end of the last one that was
  given whole, within the pack's window.
* An infusion names the check of that very bag by that site, made no longer before than the pack lets it, that broke no
  rule and that a second person had joined; the bag is released, thawed, within its time from the thaw and out of the
  cold, and free of holds; premedication was given where the pack asks for it; the patient consents; the chain of
  identity is whole. No other bag is running, and bags come in the order stated.
* An infusion stops once, after it started, within the pack's times for a bag, from its start, from the thaw and out of
  the cold. A complete one ends the bag; what is left of a partial one is stated, no more than there was, destroyed or
  kept, not infused; a bag not infused stays where it is.

What nonconforming facts do: everything, for it was done. A wrong bag infused is infused: it has ended, and another
patient's bag is noted as such.
"""

from __future__ import annotations

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.balances import check_no_more
from cellcustody.ledger.custody.dose_plans import is_in_turn
from cellcustody.ledger.custody.return_checks import check_lymphodepletion, check_out_of_cryo, in_date, released
from cellcustody.ledger.custody.therapy_evolution import end_of, move_custody, use_up
from cellcustody.ledger.custody.therapy_judging import MICROS_PER_SECOND, Judging, amount_of, unit_of
from cellcustody.ledger.custody.therapy_rows import TherapyAct, fact
from cellcustody.ledger.custody.therapy_state import Infusion, Life, TherapyState
from cellcustody.ledger.custody.treatment import Lymphodepletion, Observed
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import return_pb2 as returned

__all__ = ["ACTS"]

_BEDSIDE_CHECKED = returned.BedsideChecked.DESCRIPTOR.full_name
_INFUSION_STARTED = returned.InfusionStarted.DESCRIPTOR.full_name
_LYMPHODEPLETION_STARTED = returned.LymphodepletionStarted.DESCRIPTOR.full_name


# Conditioning.


def _check_lymphodepletion_started(judging: Judging, body: returned.LymphodepletionStarted) -> None:
    if judging.enrolled():
        judging.own_unit(body.unit, 1)
        courses = judging.state.treatment.lymphodepletions.values()
        if any(one.stopped_at is None for one in courses):
            judging.find("LYMPHODEPLETION_RUNNING")


def _evolve_lymphodepletion_started(
    state: TherapyState, act: Act, body: returned.LymphodepletionStarted, judged: Judged
) -> None:
    state.treatment.lymphodepletions[act.digest] = Lymphodepletion(
        act.digest, body.course, act.site, act.occurred_start
    )


def _check_lymphodepletion_stopped(judging: Judging, body: returned.LymphodepletionStopped) -> None:
    if not judging.enrolled():
        return
    started = judging.named(body.started, _LYMPHODEPLETION_STARTED, 1)
    if started is None:
        return
    course = judging.state.treatment.lymphodepletions.get(started.digest)
    if course is None:
        judging.without_effect(started, 1)
        return
    if course.site != judging.act.site:
        judging.find("SIGNED_FOR_ANOTHER_SITE", 1)
    if course.stopped_at is not None:
        judging.find("LYMPHODEPLETION_ALREADY_STOPPED", 1)
    judging.not_before(course.started_at, 1)


def _evolve_lymphodepletion_stopped(
    state: TherapyState, act: Act, body: returned.LymphodepletionStopped, judged: Judged
) -> None:
    course = state.treatment.lymphodepletions.get(state.current(body.started))
    if course is not None and course.stopped_at is None:
        course.stopped_by = act.digest
        course.stopped_at = end_of(act)
        course.is_complete = body.completed


def _check_premedication(judging: Judging, body: returned.PremedicationGiven) -> None:
    if judging.enrolled():
        judging.own_unit(body.unit, 1)


def _evolve_premedication(state: TherapyState, act: Act, body: returned.PremedicationGiven, judged: Judged) -> None:
    state.treatment.premedications.append(Observed(act.digest, end_of(act), act.site))


# Infusion.


def _check_infusion_started(judging: Judging, body: returned.InfusionStarted) -> None:
    if not judging.enrolled():
        return
    state = judging.state
    unit = judging.own_unit(body.unit, 2)
    judging.identity_intact()
    judging.consented(harvest.CONSENT_SCOPE_INFUSION)
    _check_relied_on(judging, body)
    check_lymphodepletion(judging, is_infusion=True)
    _check_premedicated(judging)
    material = judging.material(body.material, 1)
    if material is None:
        return
    judging.unpacked(material, 1)
    judging.answered_by(material, unit, 1, 2)
    judging.not_held(material, 1)
    released(judging, material, 1)
    in_date(judging, material, 1)
    check_out_of_cryo(judging, body.material, 1, judging.act.occurred_start)
    if material.thawed_at is None:
        judging.find("NOT_THAWED", 1)
    else:
        _within(judging, material.thawed_at, judging.act.occurred_start, judging.pack.thaw_to_infusion_start_seconds)
    if any(one.material == body.material and one.stopped_at is None for one in state.infusions.values()):
        judging.find("INFUSION_RUNNING", 1)
    if material.life is Life.PARTIALLY_INFUSED:
        judging.find("ALREADY_INFUSED_FROM", 1)
    if body.bag_order and any(one.bag_order > body.bag_order for one in state.infusions.values()):
        judging.find("INFUSION_OUT_OF_ORDER", 4)
    if not is_in_turn(state, body.material):
        judging.find("BAG_OUT_OF_TURN", 1)


def _within(judging: Judging, since: int, until: int, budget_seconds: int | None) -> None:
    if budget_seconds is not None and until - since > budget_seconds * MICROS_PER_SECOND:
        judging.find("BUDGET_EXCEEDED", 1)


def _check_premedicated(judging: Judging) -> None:
    within = judging.pack.bedside.premedication_seconds_max
    if within is not None and not any(
        0 <= judging.act.occurred_start - one.at <= within * MICROS_PER_SECOND
        for one in judging.state.treatment.premedications
    ):
        judging.find("PREMEDICATION_MISSING")


def _check_relied_on(judging: Judging, body: returned.InfusionStarted) -> None:
    """Finds unless the check named is good for this bag, here and now, and a second person stood by it."""
    state, act = judging.state, judging.act
    if not body.bedside_check:
        judging.find("BEDSIDE_CHECK_MISSING")
        return
    relied_on = state.placed.get(state.current(body.bedside_check))
    if relied_on is None:
        judging.find("PREDECESSOR_MISSING", 3)
        return
    check = state.bedside_checks.get(relied_on.digest)
    if check is None and relied_on.body_type == _BEDSIDE_CHECKED and relied_on.digest not in state.retracted:
        judging.find("PREDECESSOR_MISSING", 3)  # It waits itself.
        return
    validity = judging.pack.budgets.bedside_check_validity_seconds * MICROS_PER_SECOND
    if (
        check is None
        or check.material != body.material
        or check.site != act.site
        or not check.is_sound
        or not 0 <= act.occurred_start - check.at <= validity
    ):
        judging.find("BEDSIDE_CHECK_MISSING", 3)
        return
    judging.second_person(relied_on, 3)


def _evolve_infusion_started(state: TherapyState, act: Act, body: returned.InfusionStarted, judged: Judged) -> None:
    state.infusions[act.digest] = Infusion(
        act.digest, body.material, unit_of(body.unit), act.occurred_start, bag_order=body.bag_order
    )
    material = state.materials.get(body.material)
    if material is not None:
        move_custody(material, unit_of(body.unit), is_custodian=False)


def _check_infusion_stopped(judging: Judging, body: returned.InfusionStopped) -> None:
    if not judging.enrolled():
        return
    state, act = judging.state, judging.act
    material = judging.material(body.material, 1)
    if body.outcome == returned.INFUSION_OUTCOME_UNSPECIFIED:
        judging.find("OUTCOME_MISSING")
    if body.outcome == returned.INFUSION_OUTCOME_PARTIAL and not body.HasField("remainder"):
        judging.find("REMAINDER_NOT_STATED")
    if body.remainder.mantissa < 0:
        judging.find("QUANTITY_NEGATIVE", 4)
    if body.HasField("remainder") and material is not None and material.quantity is not None:
        check_no_more(judging, amount_of(body.remainder), material.quantity, 4)
    if not body.started:
        if body.outcome != returned.INFUSION_OUTCOME_NOT_INFUSED:
            judging.find("INFUSION_NOT_STARTED")
        return
    started = judging.named(body.started, _INFUSION_STARTED, 2)
    if started is None:
        return
    infusion = state.infusions.get(started.digest)
    if infusion is None:
        judging.without_effect(started, 2)
        return
    if infusion.material != body.material:
        judging.find("OTHER_STATEMENT_NAMED", 1, 2)
    if infusion.unit.site != act.site:
        judging.find("NOT_CUSTODIAN", 2)
    if infusion.stopped_at is not None:
        judging.find("INFUSION_ALREADY_STOPPED", 2)
    judging.not_before(infusion.started_at, 2)
    until = end_of(act)
    _within(judging, infusion.started_at, until, judging.pack.infusion_seconds)
    if material is not None:
        check_out_of_cryo(judging, body.material, 1, until)
        if material.thawed_at is not None:
            _within(judging, material.thawed_at, until, judging.pack.budgets.thaw_to_infusion_end_seconds)


def _evolve_infusion_stopped(state: TherapyState, act: Act, body: returned.InfusionStopped, judged: Judged) -> None:
    infusion = state.infusions.get(state.current(body.started))
    if infusion is not None and infusion.stopped_at is None:
        infusion.stopped_by = act.digest
        infusion.stopped_at = end_of(act)
        infusion.outcome = body.outcome
    material = state.materials.get(body.material)
    if material is None or material.life.has_ended:
        return
    if body.outcome == returned.INFUSION_OUTCOME_COMPLETE:
        use_up(state, act, (body.material,), Life.INFUSED)
    elif body.outcome == returned.INFUSION_OUTCOME_PARTIAL:
        material.life = Life.PARTIALLY_INFUSED
        if body.HasField("remainder"):
            material.quantity = amount_of(body.remainder)


ACTS: tuple[TherapyAct, ...] = (
    fact(
        returned.LymphodepletionStarted,
        check=_check_lymphodepletion_started,
        evolve=_evolve_lymphodepletion_started,
    ),
    fact(
        returned.LymphodepletionStopped,
        check=_check_lymphodepletion_stopped,
        evolve=_evolve_lymphodepletion_stopped,
        names=lambda body: (body.started,),
    ),
    fact(returned.PremedicationGiven, check=_check_premedication, evolve=_evolve_premedication),
    fact(
        returned.InfusionStarted,
        check=_check_infusion_started,
        evolve=_evolve_infusion_started,
        names=lambda body: (body.bedside_check,),
        materials=lambda body: (body.material,),
    ),
    fact(
        returned.InfusionStopped,
        check=_check_infusion_stopped,
        evolve=_evolve_infusion_stopped,
        names=lambda body: (body.started,),
        materials=lambda body: (body.material,),
    ),
)
