"""Judge and evolve what concerns a batch as a whole: accession, line clearance, start, termination.

The rules, in the order of the process:

* Materials enter a batch where they are, at a site that takes part in the therapy and answers for them, with the
  patient's consent to manufacture, within the pack's time from collection; where the pack asks for it, two persons
  compared each on its receipt. A batch belongs to one therapy.
* A further attempt follows quality's word on every batch of an earlier one. What was collected and not worked on may
  leave a batch that failed for another; nothing else changes its batch.
* A line is cleared for one batch: nothing of another was found, and no other patient's cells were in the area.
* Manufacture starts once, under a batch record that is named, in an area cleared for this batch at this site. The
  steps rely on it: where the pack wants a pair of operators, the second has joined by then.

What nonconforming facts do: cells that were taken in are in the batch, whatever it broke. A clearance that broke a rule
is none to start on. A start has started the batch.
"""

from __future__ import annotations

from cellcustody.ledger.custody.acceptance import check_acceptance
from cellcustody.ledger.custody.act import Act, Judged, Status
from cellcustody.ledger.custody.batch_state import BatchState, BatchStatus, Clearance
from cellcustody.ledger.custody.compared import check_compared
from cellcustody.ledger.custody.process_areas import area_name
from cellcustody.ledger.custody.references import creates_key
from cellcustody.ledger.custody.step_order import LINE_CLEARED, asks_for
from cellcustody.ledger.custody.therapy_evolution import end_of, move_custody
from cellcustody.ledger.custody.therapy_judging import MICROS_PER_SECOND, Judging, unit_of
from cellcustody.ledger.custody.therapy_rows import TherapyAct, authorisation, fact
from cellcustody.ledger.custody.therapy_state import MaterialKind, MaterialState, TherapyState
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification

__all__ = ["ACTS"]

_LINE_CLEARED = modification.LineCleared.DESCRIPTOR.full_name


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
    _check_attempt(judging, body)
    for one in body.materials:
        material = judging.material(one, 3)
        if material is None:
            continue
        judging.unpacked(material, 3)
        judging.answered_by(material, unit, 3, 4)
        if material.batch and material.batch != body.batch and not _may_leave(state, material):
            judging.find("IN_ANOTHER_BATCH", 3)
        _check_fresh(judging, material)
        check_compared(judging, material, 3, harvest.IDENTITY_POINT_RECEIPT)
    if not body.materials:
        judging.find("NO_MATERIAL")


def _check_attempt(judging: Judging, body: modification.MaterialAccessioned) -> None:
    """Finds an attempt that does not follow the decision on all earlier ones; attempts are counted from 1."""
    if body.attempt <= 1:
        return
    earlier = [
        batch for batch in judging.state.batches.values() if batch.batch != body.batch and batch.attempt < body.attempt
    ]
    has_gap = all(batch.attempt != body.attempt - 1 for batch in earlier)
    if has_gap or any(batch.status is BatchStatus.OPEN for batch in earlier):
        judging.find("ATTEMPT_OUT_OF_ORDER", 5)


def _may_leave(state: TherapyState, material: MaterialState) -> bool:
    """Tells whether a material is as it was collected, and its batch failed."""
    batch = state.batches.get(material.batch)
    return batch is not None and batch.status.has_failed and material.kind == MaterialKind.COLLECTION


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
        if material.batch and material.batch != body.batch and _may_leave(state, material):
            state.batches[material.batch].materials.remove(one)
            material.batch = b""
        if not material.batch:
            material.batch = body.batch
            batch.materials.append(one)
        move_custody(material, unit, is_custodian=False)


# Line clearance and start.


def _check_cleared(judging: Judging, body: modification.LineCleared) -> None:
    if not judging.enrolled():
        return
    judging.own_unit(body.unit, 3)
    _open_batch(judging, body.batch)
    if not area_name(body.process_area):
        judging.find("AREA_NOT_NAMED")
    if not body.clear:
        judging.find("LINE_NOT_CLEAR", 2)
    if judging.references.shares_area(judging.act):
        judging.find("PROCESS_AREA_SHARED", 2)


def _open_batch(judging: Judging, one: bytes) -> BatchState | None:
    batch = judging.batch(one, 1)
    if batch is not None and batch.status is not BatchStatus.OPEN:
        judging.find("BATCH_DECIDED", 1)
    return batch


def _evolve_cleared(state: TherapyState, act: Act, body: modification.LineCleared, judged: Judged) -> None:
    batch = state.batches.get(body.batch)
    if batch is not None:
        is_sound = judged.status is Status.CONFORMING
        batch.clearances[act.digest] = Clearance(
            act.digest, area_name(body.process_area), body.unit.site, end_of(act), is_sound
        )


def _check_started(judging: Judging, body: modification.ManufacturingStarted) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.unit, 2)
    batch = _open_batch(judging, body.batch)
    judging.consented(harvest.CONSENT_SCOPE_MANUFACTURE)
    judging.identity_intact()
    if not body.batch_record:
        judging.find("BATCH_RECORD_NOT_NAMED")
    if judging.references.shares_area(judging.act):
        judging.find("PROCESS_AREA_SHARED", 3)
    if batch is None:
        return
    if batch.unit.site != unit.site:
        judging.find("BATCH_OF_ANOTHER_SITE", 1, 2)
    if batch.started_by:
        judging.find("ALREADY_STARTED", 1)
    for one in batch.materials:
        material = judging.state.materials[one]
        if material.kind == MaterialKind.COLLECTION and not material.life.has_ended:
            _check_fresh(judging, material)
            check_acceptance(judging, material, 1)
    _check_relied_on(judging, body, batch)


def _check_relied_on(judging: Judging, body: modification.ManufacturingStarted, batch: BatchState) -> None:
    """Finds unless the clearance named is good for this area, and one is named where the pack asks for it."""
    if not body.line_clearance:
        if asks_for(judging.pack, judging.act.body_type, LINE_CLEARED):
            judging.find("LINE_NOT_CLEARED")
        return
    cleared = judging.named(body.line_clearance, _LINE_CLEARED, 6)
    if cleared is None:
        return
    clearance = batch.clearances.get(cleared.digest)
    if clearance is None and isinstance(cleared.body, modification.LineCleared) and cleared.body.batch == batch.batch:
        judging.without_effect(cleared, 6)
    elif (
        clearance is None
        or not clearance.is_sound
        or (clearance.area, clearance.site) != (area_name(body.process_area), body.unit.site)
    ):
        judging.find("LINE_NOT_CLEARED", 3, 6)


def _evolve_started(state: TherapyState, act: Act, body: modification.ManufacturingStarted, judged: Judged) -> None:
    batch = state.batches.get(body.batch)
    if batch is not None and not batch.started_by:
        batch.started_by = act.digest


# Termination.


def _evolve_terminated(state: TherapyState, act: Act, body: modification.BatchTerminated, judged: Judged) -> None:
    batch = state.batches.get(body.batch)
    if batch is None:
        return
    batch.status = BatchStatus.TERMINATED
    batch.decided_by = act.digest
    for one in batch.materials:
        state.materials[one].released_by = b""


ACTS: tuple[TherapyAct, ...] = (
    fact(
        modification.MaterialAccessioned,
        check=_check_accession,
        evolve=_evolve_accession,
        materials=lambda body: body.materials,
        batches=lambda body: (body.batch,),
    ),
    fact(
        modification.LineCleared,
        check=_check_cleared,
        evolve=_evolve_cleared,
        batches=lambda body: (body.batch,),
    ),
    fact(
        modification.ManufacturingStarted,
        check=_check_started,
        evolve=_evolve_started,
        names=lambda body: (body.line_clearance,),
        batches=lambda body: (body.batch,),
    ),
    authorisation(modification.BatchTerminated, evolve=_evolve_terminated, batches=lambda body: (body.batch,)),
)
