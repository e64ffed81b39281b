"""Judge and evolve fresh hold and freezing.

The rules:

* Fresh cells that were collected are frozen, packed and worked on within the policy's time from the start of their
  fresh hold; from the end of the collection where no hold was recorded.
* What is frozen is not frozen again, nor held fresh. Both are their custodian's work, on what is unpacked.
* The end of a freezing tells of each material that began it whether it froze, and keeps the freezer's trace by digest.

What nonconforming facts do: cells wait, or are frozen, where it says; whoever did it without answering for them has
them.
"""

from __future__ import annotations

from collections.abc import Iterable

from cellcustody.ledger.custody.act import Act, Judged, UnitRef
from cellcustody.ledger.custody.therapy_evolution import end_of, has_code, move_custody
from cellcustody.ledger.custody.therapy_harvest_state import Freezing
from cellcustody.ledger.custody.therapy_judging import MICROS_PER_SECOND, Judging, unit_of
from cellcustody.ledger.custody.therapy_rows import TherapyAct, fact
from cellcustody.ledger.custody.therapy_state import LotUsed, MaterialKind, MaterialState, TherapyState
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest

__all__ = ["ACTS", "check_fresh_hold", "note_lot"]

_DIGEST_BYTES = 32
_STARTED = harvest.CryopreservationStarted.DESCRIPTOR.full_name


def note_lot(state: TherapyState, act: Act, lot: common.LotUse, outputs: Iterable[bytes]) -> None:
    """Notes a lot that went into materials, so that a recall finds them."""
    if lot.lot or lot.lot_number:
        state.lots.append(LotUsed(act.digest, b"", lot.lot, lot.lot_number, lot.kind, tuple(outputs)))


def check_fresh_hold(judging: Judging, material: MaterialState, field: int) -> None:
    """Finds collected cells that waited fresh for longer than the policy lets them."""
    budget = judging.pack.budgets.fresh_hold_seconds
    harvested = judging.state.harvest
    if budget is None or material.kind != MaterialKind.COLLECTION or material.material in harvested.frozen_at:
        return
    since = harvested.fresh_since.get(material.material, material.collected_at)
    if since is not None and judging.act.occurred_start - since > budget * MICROS_PER_SECOND:
        judging.find("FRESH_HOLD_EXCEEDED", field)


def _check_worked_on(judging: Judging, materials: Iterable[bytes], unit: UnitRef, unit_field: int) -> None:
    if not materials:
        judging.find("NO_MATERIAL", 1)
    for one in materials:
        material = judging.material(one, 1)
        if material is None:
            continue
        judging.unpacked(material, 1)
        judging.answered_by(material, unit, 1, unit_field)
        if one in judging.state.harvest.frozen_at:
            judging.find("FROZEN_ALREADY", 1)


def _check_held(judging: Judging, body: harvest.FreshHoldStarted) -> None:
    if judging.enrolled():
        _check_worked_on(judging, body.materials, judging.own_unit(body.position.unit, 2), 2)


def _evolve_held(state: TherapyState, act: Act, body: harvest.FreshHoldStarted, judged: Judged) -> None:
    for one in body.materials:
        material = state.materials.get(one)
        if material is None:
            continue
        if one not in state.harvest.frozen_at:
            state.harvest.fresh_since.setdefault(one, act.occurred_start)
        _put(material, body.position)


def _put(material: MaterialState, position: common.Position) -> None:
    material.place = position.place
    material.place_unit = unit_of(position.unit)
    move_custody(material, material.place_unit, is_custodian=False)


def _check_freezing(judging: Judging, body: harvest.CryopreservationStarted) -> None:
    if not judging.enrolled():
        return
    _check_worked_on(judging, body.materials, judging.own_unit(body.unit, 2), 2)
    for one in body.materials:
        material = judging.state.materials.get(one)
        if material is not None:
            check_fresh_hold(judging, material, 1)


def _evolve_freezing(state: TherapyState, act: Act, body: harvest.CryopreservationStarted, judged: Judged) -> None:
    unit = unit_of(body.unit)
    known = [one for one in body.materials if one in state.materials]
    state.harvest.freezings[act.digest] = Freezing(act.digest, frozenset(known), unit, act.occurred_start)
    if has_code(judged, "NOT_CUSTODIAN"):
        for one in known:
            move_custody(state.materials[one], unit, is_custodian=False)
    note_lot(state, act, body.cryoprotectant, known)


def _check_frozen(judging: Judging, body: harvest.CryopreservationCompleted) -> None:
    if not judging.enrolled():
        return
    if body.HasField("position"):
        judging.own_unit(body.position.unit, 5)
    started = judging.named(body.started, _STARTED, 1)
    told = [*body.materials, *body.failed]
    for one in told:
        judging.material(one, 6)
    if len(body.rate_trace.sha256) != _DIGEST_BYTES:
        judging.find("RATE_TRACE_MISSING", 2)
    if body.failed:
        judging.find("FREEZING_FAILED", 3)
    if started is None:
        return
    freezing = judging.state.harvest.freezings.get(started.digest)
    if freezing is None:
        judging.without_effect(started, 1)
        return
    if freezing.completed_by:
        judging.find("ALREADY_COMPLETED", 1)
    judging.not_before(freezing.started_at, 1)
    if freezing.unit.site != judging.act.site:
        judging.find("NOT_CUSTODIAN", 1)
    if set(told) != freezing.materials or len(told) != len(set(told)):
        judging.find("FREEZING_INCOMPLETE", 3, 6)


def _evolve_frozen(state: TherapyState, act: Act, body: harvest.CryopreservationCompleted, judged: Judged) -> None:
    freezing = state.harvest.freezings.get(state.current(body.started))
    if freezing is not None and not freezing.completed_by:
        freezing.completed_by = act.digest
    for one in body.materials:
        material = state.materials.get(one)
        if material is None:
            continue
        state.harvest.frozen_at.setdefault(one, end_of(act))
        if body.HasField("position"):
            _put(material, body.position)


ACTS: tuple[TherapyAct, ...] = (
    fact(
        harvest.FreshHoldStarted,
        check=_check_held,
        evolve=_evolve_held,
        materials=lambda body: body.materials,
    ),
    fact(
        harvest.CryopreservationStarted,
        check=_check_freezing,
        evolve=_evolve_freezing,
        materials=lambda body: body.materials,
    ),
    fact(
        harvest.CryopreservationCompleted,
        check=_check_frozen,
        evolve=_evolve_frozen,
        names=lambda body: (body.started,),
        materials=lambda body: (*body.materials, *body.failed),
    ),
)
