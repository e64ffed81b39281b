"""Judge and evolve accession, the steps of manufacturing, division and results.

The rules, in the order of the process:

* Materials enter a batch where they are, at a site that takes part in the therapy and answers for them, with the
  patient's consent to manufacture, within the pack's time from collection. A batch belongs to one therapy.
* A step takes materials of its batch that are there, free of holds and not used up, with the chain of identity whole;
  it uses them up and makes new ones. Steps follow the order selection, activation, modification, expansion,
  formulation along the line of the material; formulated cells have been modified.
  What a step makes is intermediate; product is what formulation or a division makes.
* While a step had cells open in a process area, no other patient's cells were in it: found in both therapies.
* A division conserves: outputs, what is left and what was lost, none of them negative, add up to what was there, in one
  unit, within the pack's tolerance. Samples and retains may be taken under a hold; anything else may not.
* A result is reported on a sample of that batch by the site that has it. A failing one holds the batch.

What nonconforming facts do: cells that were taken in, worked on or divided are where the act says, whatever it broke;
new materials stay with the custodian of what they were made of if the maker was not. A passing result that breaks a
rule does not count towards release; a failing one always counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from cellcustody.ledger.custody.act import Act, Judged, Status, UnitRef
from cellcustody.ledger.custody.genealogy import balance, units_agree
from cellcustody.ledger.custody.references import creates_key
from cellcustody.ledger.custody.therapy_evolution import end_of, has_code, make_materials, move_custody, use_up
from cellcustody.ledger.custody.therapy_judging import (
    MICROS_PER_SECOND,
    Judging,
    amount_of,
    unit_of,
)
from cellcustody.ledger.custody.therapy_rows import TherapyAct, authorisation, fact
from cellcustody.ledger.custody.therapy_rules_harvest import check_new_materials
from cellcustody.ledger.custody.therapy_state import (
    BatchState,
    BatchStatus,
    Life,
    LotUsed,
    MaterialKind,
    MaterialState,
    ResultRecord,
    ResultVerdict,
    Step,
    TherapyState,
    custody_of,
)
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification

__all__ = ["ACTS", "STEPS"]

StepBody = (
    modification.SelectionPerformed
    | modification.ActivationPerformed
    | modification.ModificationPerformed
    | modification.ExpansionPerformed
    | modification.FormulationPerformed
)

# The order of steps along a material's line; a later one never stands before an earlier one.
STEPS: tuple[str, ...] = ("selection", "activation", "modification", "expansion", "formulation")
_WORKED_ON = frozenset({MaterialKind.INTERMEDIATE})
_FORMULATED = frozenset({MaterialKind.INTERMEDIATE, MaterialKind.PRODUCT})
_STEP_OF = {
    modification.SelectionPerformed.DESCRIPTOR.full_name: "selection",
    modification.ActivationPerformed.DESCRIPTOR.full_name: "activation",
    modification.ModificationPerformed.DESCRIPTOR.full_name: "modification",
    modification.ExpansionPerformed.DESCRIPTOR.full_name: "expansion",
    modification.FormulationPerformed.DESCRIPTOR.full_name: "formulation",
}


# Accession.


def _check_accession(judging: Judging, body: modification.MaterialAccessioned) -> None:
    if not judging.enrolled():
        return
    state = judging.state
    unit = judging.own_unit(body.unit, 4)
    if state.closed:
        judging.find("THERAPY_CLOSED")
    if unit.site not in state.participants:
        judging.find("SITE_NOT_TAKING_PART", 4)
    judging.consented(harvest.CONSENT_SCOPE_MANUFACTURE)
    judging.identity_intact()
    if judging.references.others(creates_key(body.batch), judging.act.stream):
        judging.find("BATCH_CLAIMED_TWICE", 1)
    opened = state.batches.get(body.batch)
    if opened is not None:
        if opened.status is not BatchStatus.OPEN:
            judging.find("BATCH_DECIDED", 1)
        if opened.unit.site != unit.site:
            judging.find("BATCH_OF_ANOTHER_SITE", 1, 4)
    for one in body.materials:
        material = judging.material(one, 3)
        if material is None:
            continue
        judging.unpacked(material, 3)
        judging.answered_by(material, unit, 3, 4)
        if material.batch and material.batch != body.batch:
            judging.find("IN_ANOTHER_BATCH", 3)
        _check_fresh(judging, material)
    if not body.materials:
        judging.find("NO_MATERIAL")


def _check_fresh(judging: Judging, material: MaterialState) -> None:
    """Finds a collection that waited longer than the pack lets it before manufacture began."""
    budget = judging.pack.collection_to_start_seconds
    if budget is not None and material.collected_at is not None:
        waited = judging.act.occurred_start - material.collected_at
        if waited > budget * MICROS_PER_SECOND:
            judging.find("BUDGET_EXCEEDED", 3)


def _evolve_accession(state: TherapyState, act: Act, body: modification.MaterialAccessioned, judged: Judged) -> None:
    unit = unit_of(body.unit)
    batch = state.batches.get(body.batch)
    if batch is None:
        batch = BatchState(body.batch, body.batch_number, body.attempt, unit, act.digest, act.occurred_start)
        state.batches[body.batch] = batch
    for one in body.materials:
        material = state.materials.get(one)
        if material is None:
            continue
        if not material.batch:
            material.batch = body.batch
            batch.materials.append(one)
        move_custody(material, unit, is_custodian=False)


# Steps.


def _check_step(judging: Judging, body: StepBody) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.unit, 4)
    batch = judging.batch(body.batch, 1)
    if batch is not None and batch.status is not BatchStatus.OPEN:
        judging.find("BATCH_DECIDED", 1)
    judging.consented(harvest.CONSENT_SCOPE_MANUFACTURE)
    judging.identity_intact()
    done: set[str] = set()
    for one in body.inputs:
        material = judging.material(one, 2)
        if material is None:
            continue
        if material.batch != body.batch:
            judging.find("NOT_IN_BATCH", 1, 2)
        judging.unpacked(material, 2)
        judging.answered_by(material, unit, 2, 4)
        judging.not_held(material, 2)
        _check_process_identity(judging, material)
        done.update(member.made_by_step for member in judging.state.line_of(one) if member.made_by_step)
    if not body.inputs:
        judging.find("NO_MATERIAL")
    _check_order(judging, done)
    if judging.references.shares_area(judging.act):
        judging.find("PROCESS_AREA_SHARED", 5)
    makes = _FORMULATED if isinstance(body, modification.FormulationPerformed) else _WORKED_ON
    check_new_materials(judging, list(body.outputs), 3, kinds=makes)


def _check_process_identity(judging: Judging, material: MaterialState) -> None:
    """Finds, where the pack asks for it, that nobody compared the material before the cells were opened."""
    if "PROCESS" in judging.pack.required_identity_checks and not any(
        check.point == harvest.IDENTITY_POINT_PROCESS
        and check.is_sound
        and check.site == judging.act.site
        and material.material in check.materials
        for check in judging.state.identity_checks.values()
    ):
        judging.find("PROCESS_CHECK_MISSING", 2)


def _check_order(judging: Judging, done: set[str]) -> None:
    step = _STEP_OF[judging.act.body_type]
    place = STEPS.index(step)
    is_unmodified = step == "formulation" and "modification" not in done
    if is_unmodified or any(STEPS.index(earlier) > place for earlier in done):
        judging.find("STEP_OUT_OF_ORDER")


def _evolve_step(state: TherapyState, act: Act, body: StepBody, judged: Judged) -> None:
    step = _STEP_OF[act.body_type]
    inputs = tuple(one for one in body.inputs if one in state.materials)
    outputs = _make_from(
        state, act, judged, inputs, body.outputs, unit=unit_of(body.unit), batch=body.batch, made_by_step=step
    )
    use_up(state, act, inputs, Life.USED)
    batch = state.batches.get(body.batch)
    if batch is not None:
        batch.steps.append(Step(step, act.digest, act.occurred_start, inputs, outputs, body.process_area))
    lots = list(body.lots)
    if isinstance(body, modification.ModificationPerformed) and body.HasField("vector_lot"):
        lots.append(body.vector_lot)
    state.lots.extend(LotUsed(act.digest, body.batch, lot.lot, lot.lot_number, lot.kind, outputs) for lot in lots)


def _make_from(
    state: TherapyState,
    act: Act,
    judged: Judged,
    inputs: tuple[bytes, ...],
    outputs: Iterable[common.NewMaterial],
    *,
    unit: UnitRef,
    batch: bytes,
    made_by_step: str = "",
) -> tuple[bytes, ...]:
    """Makes materials of others: the maker has them, and answers for them if it answered for what went in."""
    custodian: UnitRef | None = unit
    if inputs and has_code(judged, "NOT_CUSTODIAN", "SIGNED_FOR_ANOTHER_SITE"):
        custodian, _ = custody_of(state, inputs[0])
    collected = [found.collected_at for one in inputs if (found := state.materials[one]).collected_at is not None]
    return make_materials(
        state,
        act,
        outputs,
        maker=unit,
        custodian=custodian,
        parents=inputs,
        batch=batch,
        made_by_step=made_by_step,
        collected_at=min(collected, default=None) if not made_by_step else None,
    )


# Division.


def _check_division(judging: Judging, body: modification.MaterialDivided) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.unit, 5)
    check_new_materials(judging, list(body.outputs), 2)
    material = judging.material(body.material, 1)
    if material is None:
        return
    judging.unpacked(material, 1)
    judging.answered_by(material, unit, 1, 5)
    if any(output.kind not in (common.MATERIAL_KIND_SAMPLE, common.MATERIAL_KIND_RETAIN) for output in body.outputs):
        judging.not_held(material, 1)
    _check_balance(judging, material, body)


def _check_balance(judging: Judging, material: MaterialState, body: modification.MaterialDivided) -> None:
    whole = material.quantity
    if whole is None or not all(output.HasField("quantity") for output in body.outputs):
        judging.find("QUANTITY_UNKNOWN", 1, 2)
        return
    parts = [amount_of(output.quantity) for output in body.outputs]
    parts.extend(amount_of(stated) for stated in _left_and_lost(body))
    if any(stated.mantissa < 0 for stated in _left_and_lost(body)):
        judging.find("QUANTITY_NEGATIVE", 3, 4)
    if not units_agree((whole, *parts)):
        judging.find("UNIT_MISMATCH", 2, 3, 4)
        return
    missed = balance(whole, parts)
    if missed is None:
        judging.find("QUANTITY_UNKNOWN", 1, 2)
    elif abs(missed) > judging.pack.volume_tolerance:
        judging.find("VOLUME_IMBALANCE", 2, 3, 4)


def _left_and_lost(body: modification.MaterialDivided) -> list[common.Quantity]:
    stated = []
    if body.HasField("left"):
        stated.append(body.left)
    if body.HasField("lost"):
        stated.append(body.lost)
    return stated


def _evolve_division(state: TherapyState, act: Act, body: modification.MaterialDivided, judged: Judged) -> None:
    material = state.materials.get(body.material)
    if material is None:
        return
    _make_from(state, act, judged, (body.material,), body.outputs, unit=unit_of(body.unit), batch=material.batch)
    if body.HasField("left") and body.left.mantissa > 0:
        material.quantity = amount_of(body.left)
    else:
        use_up(state, act, (body.material,), Life.USED)


# Results.


def _check_result(judging: Judging, body: modification.ResultReported) -> None:
    if not judging.enrolled():
        return
    batch = judging.batch(body.batch, 2)
    sample = judging.material(body.sample, 1, physical=False)
    if sample is None:
        return
    if sample.kind not in (MaterialKind.SAMPLE, MaterialKind.RETAIN):
        judging.find("NOT_A_SAMPLE", 1)
    if batch is not None and not _is_of_batch(judging.state, sample, batch):
        judging.find("NOT_IN_BATCH", 1, 2)
    custody = custody_of(judging.state, body.sample)
    if all(unit is None or unit.site != judging.act.site for unit in custody):
        judging.find("NOT_CUSTODIAN", 1)
    if body.outcome not in _VERDICTS:
        judging.find("OUTCOME_MISSING")
    if body.outcome == modification.RESULT_OUTCOME_FAIL:
        judging.find("RESULT_FAILED", 3, 4)


def _is_of_batch(state: TherapyState, sample: MaterialState, batch: BatchState) -> bool:
    """Tells whether a sample is the batch's own, or was taken from what the batch was made of."""
    if sample.batch == batch.batch:
        return True
    line = {member.material for member in state.line_of(sample.material)}
    return not line.isdisjoint(batch.materials)


def _evolve_result(state: TherapyState, act: Act, body: modification.ResultReported, judged: Judged) -> None:
    batch = state.batches.get(body.batch)
    verdict = _VERDICTS.get(body.outcome, ResultVerdict.INVALID)
    if batch is None or (verdict is ResultVerdict.PASS and judged.status is not Status.CONFORMING):
        return
    batch.results.setdefault(body.test, []).append(
        ResultRecord(act.digest, body.test, verdict, body.interim, body.sample, end_of(act))
    )


_VERDICTS: dict[int, ResultVerdict] = {verdict.value: verdict for verdict in ResultVerdict}


# Quality's word on the batch.


def _evolve_batch_released(state: TherapyState, act: Act, body: modification.BatchReleased, judged: Judged) -> None:
    batch = state.batches.get(body.batch)
    if batch is None:
        return
    batch.status = BatchStatus.RELEASED
    batch.decided_by = act.digest
    for one in body.materials:
        material = state.materials.get(one)
        if material is not None:
            material.released_by = act.digest


def _evolve_batch_rejected(state: TherapyState, act: Act, body: modification.BatchRejected, judged: Judged) -> None:
    batch = state.batches.get(body.batch)
    if batch is None:
        return
    batch.status = BatchStatus.REJECTED
    batch.decided_by = act.digest
    for one in batch.materials:
        state.materials[one].released_by = b""


StepT = TypeVar(
    "StepT",
    modification.SelectionPerformed,
    modification.ActivationPerformed,
    modification.ModificationPerformed,
    modification.ExpansionPerformed,
    modification.FormulationPerformed,
)


def _step_row(step: type[StepT]) -> TherapyAct:
    def materials(body: StepT) -> Iterable[bytes]:
        return (*body.inputs, *(output.material for output in body.outputs))

    def batches(body: StepT) -> Iterable[bytes]:
        return (body.batch,)

    return fact(step, check=_check_step, evolve=_evolve_step, materials=materials, batches=batches)


ACTS: tuple[TherapyAct, ...] = (
    fact(
        modification.MaterialAccessioned,
        check=_check_accession,
        evolve=_evolve_accession,
        materials=lambda body: body.materials,
        batches=lambda body: (body.batch,),
    ),
    _step_row(modification.SelectionPerformed),
    _step_row(modification.ActivationPerformed),
    _step_row(modification.ModificationPerformed),
    _step_row(modification.ExpansionPerformed),
    _step_row(modification.FormulationPerformed),
    fact(
        modification.MaterialDivided,
        check=_check_division,
        evolve=_evolve_division,
        materials=lambda body: (body.material, *(output.material for output in body.outputs)),
    ),
    fact(
        modification.ResultReported,
        check=_check_result,
        evolve=_evolve_result,
        batches=lambda body: (body.batch,),
    ),
    authorisation(
        modification.BatchReleased,
        evolve=_evolve_batch_released,
        materials=lambda body: body.materials,
        batches=lambda body: (body.batch,),
    ),
    authorisation(modification.BatchRejected, evolve=_evolve_batch_rejected, batches=lambda body: (body.batch,)),
)
