"""Judge and evolve quality's dispositions of condition, and the return of materials.

The rules:

* A material held for its condition is decided about by an authorisation that names it, its holds, the inspection whose
  logger summary it rests on, and, to accept, a supporting study by reference and digest. Without a study nothing is
  accepted. Where no logger was read, no inspection need be named.
* Each hold named stands on a material named, is of its condition, and is one that the pack lets this role lift. Holds
  of condition end in no other way, but by a correction of what opened them.
* Accepted: those holds stand no more in the way of these materials (a container's hold stands on for what else lay in
  it), and the ways that they made so far are in order. Rejected: a hold of its own stands in their place, which is
  lifted only once the materials have ended.
* A material that came back is taken back by the unit that answers for it; that ends its way, and nobody uses it again.
"""

from __future__ import annotations

from collections.abc import Collection

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.holds import Hold
from cellcustody.ledger.custody.leg_conditions import CONDITION_CODES, code_of, way_condition
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.therapy_evolution import end_of, hold_over, move_custody, take_out
from cellcustody.ledger.custody.therapy_judging import Judging, unit_of
from cellcustody.ledger.custody.therapy_rows import TherapyAct, authorisation, fact
from cellcustody.ledger.custody.therapy_state import Disposition, Life, MaterialState, TherapyState
from cellcustody.v1 import transport_pb2 as transport

__all__ = ["ACTS", "check_disposed", "needs_disposition", "rejects_condition"]

_DIGEST_BYTES = 32
_REJECTED = "CONDITION_REJECTED"
# What else is decided about by how the material fared on its way; quality may lift these without a study too.
_OF_THE_WAY = CONDITION_CODES | {"EXCURSION_ALARMED", "SHOCK_EXCEEDED", "COOLANT_RAN_OUT"}


def check_disposed(
    state: TherapyState, act: Act, body: transport.ConditionDisposed, pack: PolicyPack, found: Findings
) -> None:
    """Adds what the rules find in a disposition against the state as it is now."""
    materials: list[MaterialState] = []
    leaves = act.leaves_of(1)
    for index, one in enumerate(body.materials):
        material = state.materials.get(one)
        if material is None:
            found.add("MATERIAL_UNKNOWN", leaves[index : index + 1])
        else:
            materials.append(material)
    if not body.materials:
        found.add("NOTHING_TO_DISPOSE")
    is_accepted = body.decision == transport.CONDITION_DECISION_ACCEPTED
    if is_accepted and not (body.study_reference and len(body.study.sha256) == _DIGEST_BYTES):
        found.add("STUDY_MISSING", act.leaves_of(5, 6))
    standing = {hold.hold: hold for material in materials for hold in state.holds_on(material.material)}
    _check_holds(act, body, standing, pack, found)
    if materials and not body.holds and not any(_is_open(state, pack, material) for material in materials):
        found.add("NOTHING_TO_DISPOSE", act.leaves_of(1))
    _check_inspection(state, act, body, materials, [standing[one] for one in body.holds if one in standing], found)


def rejects_condition(body: Message | None) -> bool:
    """Tells whether a body rejects materials for their condition, which bears on all that is decided about them."""
    return isinstance(body, transport.ConditionDisposed) and body.decision == transport.CONDITION_DECISION_REJECTED


def needs_disposition(state: TherapyState, hold: Hold) -> bool:
    """Tells whether a hold may not just be lifted: it is of condition, and something it covers has not ended."""
    if hold.code not in CONDITION_CODES and hold.code != _REJECTED:
        return False
    covered = [state.materials[one] for one in hold.materials if one in state.materials]
    return not covered or any(not material.life.has_ended for material in covered)


def _check_holds(
    act: Act, body: transport.ConditionDisposed, standing: dict[bytes, Hold], pack: PolicyPack, found: Findings
) -> None:
    leaves = act.leaves_of(2)
    for index, one in enumerate(body.holds):
        leaf = leaves[index : index + 1]
        hold = standing.get(one)
        if hold is None:
            found.add("HOLD_UNKNOWN", leaf)
        elif hold.code not in _OF_THE_WAY:
            found.add("HOLD_NOT_OF_CONDITION", leaf)
        elif not pack.may_lift(hold.code, act.role):
            found.add("LIFTING_NOT_PERMITTED", leaf)


def _is_open(state: TherapyState, pack: PolicyPack, material: MaterialState) -> bool:
    return any(code_of(way_condition(state, pack, material, way)) is not None for way in material.journeys)


def _check_inspection(
    state: TherapyState,
    act: Act,
    body: transport.ConditionDisposed,
    materials: Collection[MaterialState],
    holds: Collection[Hold],
    found: Findings,
) -> None:
    if not body.inspection:
        if any(hold.code == "EXCURSION" for hold in holds):
            found.add("INSPECTION_MISSING", act.leaves_of(2))
        return
    inspection = state.placed.get(state.current(body.inspection))
    if inspection is None:
        found.add("PREDECESSOR_MISSING", act.leaves_of(3))
    elif materials and (
        not isinstance(inspection.body, transport.ReceiptInspected)
        or all(way.consignment != inspection.stream for material in materials for way in material.journeys)
    ):
        found.add("INSPECTION_MISSING", act.leaves_of(3))


def _evolve_disposed(state: TherapyState, act: Act, body: transport.ConditionDisposed, judged: Judged) -> None:
    is_accepted = body.decision == transport.CONDITION_DECISION_ACCEPTED
    known = [material for one in body.materials if (material := state.materials.get(one)) is not None]
    state.dispositions.append(
        Disposition(
            act.digest,
            act.occurred_start,
            tuple(body.materials),
            tuple(body.holds),
            body.inspection,
            is_accepted,
            body.study_reference,
            body.study.sha256,
        )
    )
    if not is_accepted:
        hold_over(state, act, _REJECTED, body.materials)
    for material in known:
        if is_accepted:
            material.condition_accepted |= frozenset(material.journeys)
        state.disposed.update((material.material, hold) for hold in body.holds)
    for hold_id in body.holds:
        hold = state.holds.get(hold_id)
        if hold is not None and hold.materials and all((one, hold_id) in state.disposed for one in hold.materials):
            state.lift_hold(hold_id, act.digest)


def _check_returned(judging: Judging, body: transport.MaterialReturned) -> None:
    if not judging.enrolled():
        return
    unit = judging.own_unit(body.unit, 2)
    material = judging.material(body.material, 1)
    if material is not None:
        judging.unpacked(material, 1)
        judging.answered_by(material, unit, 1, 2)


def _evolve_returned(state: TherapyState, act: Act, body: transport.MaterialReturned, judged: Judged) -> None:
    material = state.materials.get(body.material)
    if material is not None and not material.life.has_ended:
        take_out(state, material)
        move_custody(material, unit_of(body.unit), is_custodian=False)
        material.life = Life.RETURNED
        material.ended_by = act.digest
        material.ended_at = end_of(act)


ACTS: tuple[TherapyAct, ...] = (
    fact(
        transport.MaterialReturned,
        check=_check_returned,
        evolve=_evolve_returned,
        materials=lambda body: (body.material,),
    ),
    authorisation(
        transport.ConditionDisposed,
        evolve=_evolve_disposed,
        names=lambda body: (body.inspection,),
        materials=lambda body: body.materials,
    ),
)
