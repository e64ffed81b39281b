"""Judge and evolve issue, thaw, the check at the bedside, infusion, remainders and follow-up.

The rules, in the order of the process:

* A bag is issued by the unit that answers for it, released by quality, free of holds, in date.
* A product is thawed once, released, free of holds, in date, and is whole afterwards.
* At the bedside the bag's identifiers are those of the therapy and of its label, enough identifiers of the patient
  match and none mismatches or is unreadable, the patient is there, the bag is in date. There is no override.
* An infusion names the check of that very bag by that site, made no longer before than an hour, that broke no rule and
  that a second person had joined; the bag is released, thawed, within its time from the thaw, and free of holds; the
  patient consents; the chain of identity is whole.
* An infusion stops once, within the pack's time for a bag. A complete one ends the bag; what is left of a partial one
  is destroyed or archived, not infused; a bag not infused stays where it is.
* Nothing physical follows a bag's end. Reactions and follow-up may always be recorded.

What nonconforming facts do: everything, for it was done. A wrong bag infused is infused: it has ended, and another
patient's bag is noted as such. A check that broke a rule is no check to rely on. What is issued, destroyed, consumed or
archived by somebody who does not answer for it has moved or ended all the same.
"""

from __future__ import annotations

from cellcustody.ledger.custody.act import Act, Judged, Status, UnitRef
from cellcustody.ledger.custody.therapy_evolution import end_of, has_code, move_custody, use_up
from cellcustody.ledger.custody.therapy_judging import (
    MICROS_PER_SECOND,
    Judging,
    amount_of,
    compared_well,
    unit_of,
)
from cellcustody.ledger.custody.therapy_rows import TherapyAct, authorisation, fact
from cellcustody.ledger.custody.therapy_rules_harvest import break_on_comparison
from cellcustody.ledger.custody.therapy_rules_transport import check_bag_read
from cellcustody.ledger.custody.therapy_state import (
    BedsideCheck,
    Infusion,
    Life,
    MaterialKind,
    MaterialState,
    TherapyState,
)
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import return_pb2 as returned

__all__ = ["ACTS", "BEDSIDE_CHECK_SECONDS_MAX", "expires_at"]

# A check speaks for the patient who is there; after an hour, or a change of shift, it is made again.
BEDSIDE_CHECK_SECONDS_MAX = 3600

_BEDSIDE_CHECKED = returned.BedsideChecked.DESCRIPTOR.full_name
_INFUSION_STARTED = returned.InfusionStarted.DESCRIPTOR.full_name


def expires_at(material: MaterialState) -> int | None:
    """Returns when the label says that the material expires, microseconds; None if it says nothing."""
    return None if material.label is None else material.label.expires_at


def _in_date(judging: Judging, material: MaterialState, field: int) -> None:
    expiry = expires_at(material)
    if expiry is not None and judging.act.occurred_start > expiry:
        judging.find("EXPIRED", field)


def _released(judging: Judging, material: MaterialState, field: int) -> None:
    if not material.is_released:
        judging.find("NOT_RELEASED", field)


# Issue and thaw.


def _check_issued(judging: Judging, body: returned.MaterialIssued) -> None:
    if not judging.enrolled():
        return
    releaser = judging.own_unit(body.releaser, 2)
    if body.receiver.site != releaser.site:
        judging.find("UNITS_OF_TWO_SITES", 3)
    judging.identity_intact()
    material = judging.material(body.material, 1)
    if material is None:
        return
    judging.unpacked(material, 1)
    judging.answered_by(material, releaser, 1, 2)
    judging.not_held(material, 1)
    _released(judging, material, 1)
    _in_date(judging, material, 1)


def _evolve_issued(state: TherapyState, act: Act, body: returned.MaterialIssued, judged: Judged) -> None:
    material = state.materials.get(body.material)
    if material is None:
        return
    is_custodian = not has_code(judged, "NOT_CUSTODIAN", "UNITS_OF_TWO_SITES", "SIGNED_FOR_ANOTHER_SITE")
    move_custody(material, unit_of(body.receiver), is_custodian=is_custodian)
    material.issued_by = act.digest
    material.issued_to = unit_of(body.receiver)
    material.place = ""
    material.place_unit = None


def _check_thawed(judging: Judging, body: returned.MaterialThawed) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.unit, 2)
    material = judging.material(body.material, 1)
    if material is None:
        return
    judging.unpacked(material, 1)
    judging.answered_by(material, unit, 1, 2)
    judging.not_held(material, 1)
    if material.thawed_at is not None:
        judging.find("ALREADY_THAWED", 1)
    if material.kind == MaterialKind.PRODUCT:
        judging.identity_intact()
        _released(judging, material, 1)
        _in_date(judging, material, 1)
    if not body.intact:
        judging.find("BAG_BREACHED")


def _evolve_thawed(state: TherapyState, act: Act, body: returned.MaterialThawed, judged: Judged) -> None:
    material = state.materials.get(body.material)
    if material is None:
        return
    if material.thawed_at is None:
        material.thawed_at = end_of(act)
    if not body.intact:
        material.breached = True
    move_custody(material, unit_of(body.unit), is_custodian=False)


# The bedside.


def _check_bedside(judging: Judging, body: returned.BedsideChecked) -> None:
    if not judging.enrolled():
        return
    judging.identity_intact()
    if not body.patient_present:
        judging.find("PATIENT_NOT_PRESENT")
    if not compared_well(judging.act.comparisons, judging.pack.patient_identifiers_min):
        judging.find("IDENTITY_NOT_CHECKED", 2)
    if not body.coi_read:
        judging.find("BAG_NOT_IDENTIFIED")
    material = judging.material(body.material, 1)
    if material is None:
        return
    if body.coi_read or body.din_read:
        check_bag_read(judging, material, body.coi_read, body.din_read, coi_field=3, din_field=4)
    if not body.din_read and material.label is not None and material.label.din:
        judging.find("BAG_NOT_IDENTIFIED")
    judging.answered_by(material, UnitRef(judging.act.site), 1)
    _in_date(judging, material, 1)


def _evolve_bedside(state: TherapyState, act: Act, body: returned.BedsideChecked, judged: Judged) -> None:
    state.bedside_checks[act.digest] = BedsideCheck(
        act.digest, body.material, end_of(act), act.site, judged.status is Status.CONFORMING
    )
    break_on_comparison(state, act, judged)


# Infusion.


def _check_infusion_started(judging: Judging, body: returned.InfusionStarted) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.unit, 2)
    judging.identity_intact()
    judging.consented(harvest.CONSENT_SCOPE_INFUSION)
    _check_relied_on(judging, body)
    material = judging.material(body.material, 1)
    if material is None:
        return
    judging.unpacked(material, 1)
    judging.answered_by(material, unit, 1, 2)
    judging.not_held(material, 1)
    _released(judging, material, 1)
    _in_date(judging, material, 1)
    if material.thawed_at is None:
        judging.find("NOT_THAWED", 1)
    else:
        budget = judging.pack.thaw_to_infusion_start_seconds
        if budget is not None and judging.act.occurred_start - material.thawed_at > budget * MICROS_PER_SECOND:
            judging.find("BUDGET_EXCEEDED", 1)
    if any(one.material == body.material and one.stopped_at is None for one in judging.state.infusions.values()):
        judging.find("INFUSION_RUNNING", 1)
    if material.life is Life.PARTIALLY_INFUSED:
        judging.find("ALREADY_INFUSED_FROM", 1)


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
    if (
        check is None
        or check.material != body.material
        or check.site != act.site
        or not check.is_sound
        or not 0 <= act.occurred_start - check.at <= BEDSIDE_CHECK_SECONDS_MAX * MICROS_PER_SECOND
    ):
        judging.find("BEDSIDE_CHECK_MISSING", 3)
        return
    judging.second_person(relied_on, 3)


def _evolve_infusion_started(state: TherapyState, act: Act, body: returned.InfusionStarted, judged: Judged) -> None:
    state.infusions[act.digest] = Infusion(act.digest, body.material, unit_of(body.unit), act.occurred_start)
    material = state.materials.get(body.material)
    if material is not None:
        move_custody(material, unit_of(body.unit), is_custodian=False)


def _check_infusion_stopped(judging: Judging, body: returned.InfusionStopped) -> None:
    if not judging.enrolled():
        return
    state, act = judging.state, judging.act
    judging.material(body.material, 1)
    if body.outcome == returned.INFUSION_OUTCOME_UNSPECIFIED:
        judging.find("OUTCOME_MISSING")
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
    if body.remainder.mantissa < 0:
        judging.find("QUANTITY_NEGATIVE", 4)
    budget = judging.pack.infusion_seconds
    if budget is not None and end_of(act) - infusion.started_at > budget * MICROS_PER_SECOND:
        judging.find("BUDGET_EXCEEDED")


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


def _check_reaction(judging: Judging, body: returned.ReactionObserved) -> None:
    if judging.enrolled():
        for one in body.materials:
            judging.material(one, 4, physical=False)


def _evolve_reaction(state: TherapyState, act: Act, body: returned.ReactionObserved, judged: Judged) -> None:
    state.reactions.append(act.digest)


# Ends.

_Ending = returned.MaterialDestroyed | returned.MaterialConsumed


def _check_end(judging: Judging, body: _Ending) -> None:
    _check_ending(judging, body.material, judging.own_unit(body.unit, 2))


def _check_archived(judging: Judging, body: returned.MaterialArchived) -> None:
    _check_ending(judging, body.material, judging.own_unit(body.position.unit, 2))


def _check_ending(judging: Judging, one: bytes, unit: UnitRef) -> None:
    if not judging.enrolled():
        return
    material = judging.material(one, 1)
    if material is not None:
        judging.unpacked(material, 1)
        judging.answered_by(material, unit, 1, 2)


def _evolve_destroyed(state: TherapyState, act: Act, body: returned.MaterialDestroyed, judged: Judged) -> None:
    use_up(state, act, (body.material,), Life.DESTROYED)


def _evolve_consumed(state: TherapyState, act: Act, body: returned.MaterialConsumed, judged: Judged) -> None:
    use_up(state, act, (body.material,), Life.CONSUMED)


def _evolve_archived(state: TherapyState, act: Act, body: returned.MaterialArchived, judged: Judged) -> None:
    material = state.materials.get(body.material)
    if material is not None and not material.life.has_ended:
        material.place = body.position.place
        material.place_unit = unit_of(body.position.unit)
        use_up(state, act, (body.material,), Life.ARCHIVED)


# Afterwards.


def _check_follow_up(judging: Judging, body: returned.FollowUpRecorded) -> None:
    judging.enrolled()


def _evolve_follow_up(state: TherapyState, act: Act, body: returned.FollowUpRecorded, judged: Judged) -> None:
    state.follow_ups.append((act.digest, body.visit))


def _evolve_closed(state: TherapyState, act: Act, body: returned.TherapyClosed, judged: Judged) -> None:
    state.closed_by = act.digest
    state.kept_until = body.kept_until_unix_micros


ACTS: tuple[TherapyAct, ...] = (
    fact(returned.MaterialIssued, check=_check_issued, evolve=_evolve_issued, materials=lambda body: (body.material,)),
    fact(returned.MaterialThawed, check=_check_thawed, evolve=_evolve_thawed, materials=lambda body: (body.material,)),
    fact(
        returned.BedsideChecked,
        check=_check_bedside,
        evolve=_evolve_bedside,
        materials=lambda body: (body.material,),
    ),
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
    fact(
        returned.ReactionObserved,
        check=_check_reaction,
        evolve=_evolve_reaction,
        materials=lambda body: body.materials,
    ),
    fact(
        returned.MaterialDestroyed,
        check=_check_end,
        evolve=_evolve_destroyed,
        materials=lambda body: (body.material,),
    ),
    fact(returned.MaterialConsumed, check=_check_end, evolve=_evolve_consumed, materials=lambda body: (body.material,)),
    fact(
        returned.MaterialArchived,
        check=_check_archived,
        evolve=_evolve_archived,
        materials=lambda body: (body.material,),
    ),
    fact(returned.FollowUpRecorded, check=_check_follow_up, evolve=_evolve_follow_up),
    authorisation(returned.TherapyClosed, evolve=_evolve_closed),
)
