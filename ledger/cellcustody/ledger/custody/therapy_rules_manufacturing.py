"""Judge and evolve the steps of manufacturing and the transfers between them.

The rules:

* A step takes materials of its batch that are there, free of holds and not used up, with the chain of identity whole;
  it uses them up and makes new ones. Where the pack asks for it, each was compared before its cells were opened.
* Steps come in the order of the pack, along the line of each material (`step_order`); a batch that the pack wants
  started is, by two operators where it wants a pair.
* What a step makes is intermediate; product is what formulation, a filling or a division makes. A growing step has a
  plausible yield of measured material; a filling and a transfer conserve (`balances`).
* A modification names its vector; priming with an antigen names the antigen and its lot, pulsed cells also the cells
  that present it. Presenting cells of the patient's own are the patient's, and are used up.
* A filling gives each bag its dose where the pack limits the dose.
* The area in which cells are open is named; while they were, no other patient's cells were in it: found in both
  therapies.

What nonconforming facts do: cells that were worked on are where the act says, whatever it broke; new materials stay
with the custodian of what they were made of if the maker was not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from cellcustody.ledger.custody.acceptance import check_acceptance
from cellcustody.ledger.custody.act import Act, Judged, UnitRef
from cellcustody.ledger.custody.balances import check_balance, check_containers, check_yield
from cellcustody.ledger.custody.batch_state import BatchState, BatchStatus, Step
from cellcustody.ledger.custody.compared import check_compared
from cellcustody.ledger.custody.manufacturing_acts import STEP_OF, StepBody, WorkBody, inputs_of, lots_of
from cellcustody.ledger.custody.process_areas import area_name
from cellcustody.ledger.custody.step_order import MANUFACTURING_STARTED, asks_for, has_place, is_out_of_order
from cellcustody.ledger.custody.therapy_evolution import has_code, make_materials, use_up
from cellcustody.ledger.custody.therapy_judging import Judging, amount_of, unit_of
from cellcustody.ledger.custody.therapy_rows import TherapyAct, fact
from cellcustody.ledger.custody.therapy_rules_harvest import check_new_materials
from cellcustody.ledger.custody.therapy_rules_harvest_cold import check_fresh_hold
from cellcustody.ledger.custody.therapy_state import (
    Life,
    LotUsed,
    MaterialKind,
    MaterialState,
    TherapyState,
    custody_of,
)
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification

__all__ = ["ACTS", "check_area", "make_from"]

TRANSFER = "transfer"

_INTERMEDIATE = frozenset({MaterialKind.INTERMEDIATE})
_FORMULATED = frozenset({MaterialKind.INTERMEDIATE, MaterialKind.PRODUCT})
_FILLED = frozenset({MaterialKind.PRODUCT, MaterialKind.SAMPLE, MaterialKind.RETAIN})
_WITH_ANTIGEN = (modification.ACTIVATION_METHOD_ANTIGEN_PRIMING, modification.ACTIVATION_METHOD_PULSED_CELLS)


# What all work on cells has in common.


def _check_work(judging: Judging, body: WorkBody) -> tuple[BatchState | None, list[MaterialState]]:
    """Finds what stands against any work on these materials; returns the batch and the inputs that are known."""
    unit = judging.own_unit(body.unit, 4)
    batch = judging.batch(body.batch, 1)
    if batch is not None and batch.status is not BatchStatus.OPEN:
        judging.find("BATCH_DECIDED", 1)
    judging.consented(harvest.CONSENT_SCOPE_MANUFACTURE)
    judging.identity_intact()
    known = []
    for one in inputs_of(body):
        field = 2 if one in body.inputs else 22
        material = judging.material(one, field)
        if material is None:
            continue
        if material.batch != body.batch:
            judging.find("NOT_IN_BATCH", 1, field)
        judging.unpacked(material, field)
        judging.answered_by(material, unit, field, 4)
        judging.not_held(material, field)
        check_fresh_hold(judging, material, field)
        check_acceptance(judging, material, field)
        check_compared(judging, material, field)
        if field == 2:
            known.append(material)
    if not body.inputs:
        judging.find("NO_MATERIAL")
    check_area(judging, body.process_area, 5)
    return batch, known


def check_area(judging: Judging, process_area: str, field: int) -> None:
    """Finds an area with another patient's cells in it, and one that is not named, of which nobody knows that."""
    if not area_name(process_area):
        judging.find("AREA_NOT_NAMED")
    elif judging.references.shares_area(judging.act):
        judging.find("PROCESS_AREA_SHARED", field)


# Steps.


def _check_step(judging: Judging, body: StepBody) -> None:
    if not judging.enrolled():
        return
    batch, inputs = _check_work(judging, body)
    if batch is not None:
        _check_started(judging, batch)
    _check_order(judging, inputs)
    check_yield(judging, body)
    makes = _INTERMEDIATE
    match body:
        case modification.FormulationPerformed():
            makes = _FORMULATED
        case modification.FillPerformed():
            makes = _FILLED
            _check_filling(judging, body, inputs)
        case modification.ActivationPerformed():
            _check_antigen(judging, body)
        case modification.ModificationPerformed() if not body.HasField("vector_lot"):
            judging.find("VECTOR_NOT_NAMED")
        case _:
            pass
    check_new_materials(judging, list(body.outputs), 3, kinds=makes)


def _check_started(judging: Judging, batch: BatchState) -> None:
    """Finds a batch that the pack wants started and is not, or whose second operator had not joined."""
    if batch.started_by:
        judging.second_person(judging.state.placed[batch.started_by], 1)
    elif asks_for(judging.pack, judging.act.body_type, MANUFACTURING_STARTED):
        judging.find("MANUFACTURING_NOT_STARTED", 1)


def _check_order(judging: Judging, inputs: list[MaterialState]) -> None:
    body_type = judging.act.body_type
    if not has_place(judging.pack, body_type):
        judging.find("STEP_NOT_IN_PACK")
    for material in inputs:
        line = judging.state.line_of(material.material)
        done = frozenset(member.made_by_step for member in line if member.made_by_step)
        if is_out_of_order(judging.pack, body_type, done):
            judging.find("STEP_OUT_OF_ORDER", 2)


def _check_antigen(judging: Judging, body: modification.ActivationPerformed) -> None:
    if body.method in _WITH_ANTIGEN and not (body.antigen and body.HasField("antigen_lot")):
        judging.find("ANTIGEN_NOT_NAMED")
    has_cells = bool(body.presenting_cells) or body.HasField("presenting_cell_lot")
    if body.method == modification.ACTIVATION_METHOD_PULSED_CELLS and not has_cells:
        judging.find("PRESENTING_CELLS_NOT_NAMED")


def _check_filling(judging: Judging, body: modification.FillPerformed, inputs: list[MaterialState]) -> None:
    _check_conserved(judging, body, inputs, added_field=21, lost_field=20)
    if body.HasField("containers"):
        check_containers(judging, body.containers, len(body.outputs), 23)
    else:
        judging.find("CONTAINERS_NOT_COUNTED")
    if judging.pack.dose is not None and any(
        output.kind == common.MATERIAL_KIND_PRODUCT and not output.HasField("dose") for output in body.outputs
    ):
        judging.find("DOSE_UNKNOWN", 3)


def _check_conserved(
    judging: Judging,
    body: modification.FillPerformed | modification.CultureTransferred,
    inputs: list[MaterialState],
    *,
    added_field: int,
    lost_field: int,
) -> None:
    if len(inputs) < len(body.inputs):
        return  # What is not here has been found, and cannot be added up.
    wholes = [material.quantity for material in inputs]
    if body.HasField("added"):
        if body.added.mantissa < 0:
            judging.find("QUANTITY_NEGATIVE", added_field)
        wholes.append(amount_of(body.added))
    check_balance(
        judging,
        wholes,
        body.outputs,
        [body.lost] if body.HasField("lost") else [],
        whole_field=2,
        output_field=3,
        stated_fields=(lost_field,),
    )


def _evolve_step(state: TherapyState, act: Act, body: StepBody, judged: Judged) -> None:
    _work(state, act, body, judged, STEP_OF[act.body_type])


# Transfers of a culture.


def _check_transfer(judging: Judging, body: modification.CultureTransferred) -> None:
    if not judging.enrolled():
        return
    _, inputs = _check_work(judging, body)
    check_new_materials(judging, list(body.outputs), 3, kinds=_INTERMEDIATE)
    _check_conserved(judging, body, inputs, added_field=23, lost_field=24)


def _evolve_transfer(state: TherapyState, act: Act, body: modification.CultureTransferred, judged: Judged) -> None:
    _work(state, act, body, judged, TRANSFER)


# What work does.


def _work(state: TherapyState, act: Act, body: WorkBody, judged: Judged, step: str) -> None:
    inputs = tuple(one for one in inputs_of(body) if one in state.materials)
    made_by = step if act.body_type in STEP_OF else ""
    outputs = make_from(
        state, act, judged, inputs, body.outputs, unit=unit_of(body.unit), batch=body.batch, made_by_step=made_by
    )
    use_up(state, act, inputs, Life.USED)
    batch = state.batches.get(body.batch)
    if batch is not None:
        batch.steps.append(Step(step, act.digest, act.occurred_start, inputs, outputs, body.process_area))
    for _, lot in lots_of(body):
        state.lots.append(LotUsed(act.digest, body.batch, lot.lot, lot.lot_number, lot.kind, outputs))


def make_from(
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


WorkT = TypeVar(
    "WorkT",
    modification.SelectionPerformed,
    modification.ActivationPerformed,
    modification.ModificationPerformed,
    modification.ExpansionPerformed,
    modification.CultureHarvested,
    modification.FormulationPerformed,
    modification.FillPerformed,
    modification.CultureTransferred,
)


def _materials(body: WorkBody) -> Iterable[bytes]:
    return (*inputs_of(body), *(output.material for output in body.outputs))


def _batches(body: WorkBody) -> Iterable[bytes]:
    return (body.batch,)


def _step_row(step: type[WorkT]) -> TherapyAct:
    if issubclass(step, modification.CultureTransferred):
        return fact(step, check=_check_transfer, evolve=_evolve_transfer, materials=_materials, batches=_batches)
    return fact(step, check=_check_step, evolve=_evolve_step, materials=_materials, batches=_batches)


ACTS: tuple[TherapyAct, ...] = (
    _step_row(modification.SelectionPerformed),
    _step_row(modification.ActivationPerformed),
    _step_row(modification.ModificationPerformed),
    _step_row(modification.ExpansionPerformed),
    _step_row(modification.CultureHarvested),
    _step_row(modification.FormulationPerformed),
    _step_row(modification.FillPerformed),
    _step_row(modification.CultureTransferred),
)
