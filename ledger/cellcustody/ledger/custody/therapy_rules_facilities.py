"""Judge and evolve what a therapy takes from the facilities around it: recalls, disputed numbers, complaints.

The rules:

* An action on a recall names a lot that went into each of the materials it names. One that is not what is due where
  the material is (a quarantine of what was infused) is recorded, says so, and closes nothing else.
* A quarantine holds the materials until the hold is lifted, besides what the lot itself stops.
* A donation number that two therapies claim is disputed in both. Two persons of quality say in the stream of one of
  them that it is that one's; the hold of its claim ends. The other corrects or retracts its claim. No other lifting
  ends such a hold, and no second therapy is given the number.
* Co-signatures declined and complaints are those of `common_acts`.
"""

from __future__ import annotations

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.authorisations import evolve_common
from cellcustody.ledger.custody.common_acts import check_common_fact
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.holds import hold_id
from cellcustody.ledger.custody.recalls import RecallAction, RecallActionDone, action_due, materials_of_lot
from cellcustody.ledger.custody.references import din_number
from cellcustody.ledger.custody.therapy_evolution import hold_over
from cellcustody.ledger.custody.therapy_judging import Judging
from cellcustody.ledger.custody.therapy_rows import TherapyAct, authorisation, fact
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import quality_pb2 as quality

__all__ = ["ACTS", "DISPUTED", "RECALL_QUARANTINE", "check_settled"]

DISPUTED = "DIN_CLAIMED_TWICE"
RECALL_QUARANTINE = "RECALL_QUARANTINE"  # The hold of a quarantine; like HOLD_PLACED, it is no breach.


# Recalls.


def _action(body: facilities.RecallActionTaken) -> RecallAction | None:
    """Returns the action, or None where none is stated."""
    return RecallAction(body.action) if body.action in {int(one) for one in RecallAction} else None


def _check_recall(judging: Judging, body: facilities.RecallActionTaken) -> None:
    if not judging.enrolled():
        return
    judging.own_unit(body.unit, 4)
    inside = set(materials_of_lot(judging.state, body.lot))
    action = _action(body)
    for one in body.materials:
        material = judging.material(one, 3, physical=False)
        if material is None:
            continue
        if one not in inside:
            judging.find("RECALL_OF_ANOTHER_LOT", 1, 3)
        elif action is None or action_due(material) is not action:
            judging.find("RECALL_ACTION_NOT_DUE", 2, 3)
    if not body.materials:
        judging.find("NO_MATERIAL", 3)


def _evolve_recall(state: TherapyState, act: Act, body: facilities.RecallActionTaken, judged: Judged) -> None:
    action = _action(body)
    if action is None:
        return
    inside = set(materials_of_lot(state, body.lot))
    concerned = [one for one in body.materials if one in inside]
    state.recall_actions.extend(
        RecallActionDone(body.lot, one, action, act.occurred_start, act.digest) for one in concerned
    )
    if action is RecallAction.QUARANTINE and concerned:
        hold_over(state, act, RECALL_QUARANTINE, concerned)


# Donation numbers in dispute.


def check_settled(state: TherapyState, act: Act, body: facilities.DonationNumberSettled, found: Findings) -> None:
    """Adds what the rules find, in this therapy, in quality's word on a disputed number."""
    digest = state.current(body.claim)
    claim = state.placed.get(digest)
    if claim is None:
        found.add("PREDECESSOR_MISSING", act.leaves_of(2))
        return
    if not isinstance(claim.body, harvest.CollectionStarted) or din_number(claim.body.din) != din_number(body.din):
        found.add("CLAIM_OF_ANOTHER_NUMBER", act.leaves_of(1, 2))
    elif hold_id(digest, DISPUTED) not in state.holds:
        found.add("DIN_NOT_DISPUTED", act.leaves_of(1, 2))


def _evolve_settled(state: TherapyState, act: Act, body: facilities.DonationNumberSettled, judged: Judged) -> None:
    state.settled_dins[din_number(body.din)] = act.digest
    state.lift_hold(hold_id(state.current(body.claim), DISPUTED), act.digest)


# What every stream takes.


def _check_common(judging: Judging, body: quality.CoSignatureDeclined | quality.ComplaintRecorded) -> None:
    if not judging.enrolled():
        return
    found = Findings()
    check_common_fact(judging.state, judging.act, judging.pack, found)
    for finding in found.result():
        judging.find(finding.code, *sorted({judging.act.field_numbers[leaf] for leaf in finding.leaves}))


def _evolve_common(
    state: TherapyState,
    act: Act,
    body: quality.CoSignatureDeclined | quality.ComplaintRecorded | quality.DeviationClosed,
    judged: Judged,
) -> None:
    evolve_common(state, act, judged)


def _scope_materials(body: quality.ComplaintRecorded) -> tuple[bytes, ...]:
    return tuple(body.scope.ids) if body.scope.kind == quality.SCOPE_KIND_MATERIAL else ()


def _named_by_declined(body: quality.CoSignatureDeclined) -> tuple[bytes, ...]:
    return (body.declined,)


ACTS: tuple[TherapyAct, ...] = (
    fact(
        facilities.RecallActionTaken,
        check=_check_recall,
        evolve=_evolve_recall,
        materials=lambda body: body.materials,
    ),
    authorisation(facilities.DonationNumberSettled, evolve=_evolve_settled, names=lambda body: (body.claim,)),
    fact(quality.CoSignatureDeclined, check=_check_common, evolve=_evolve_common, names=_named_by_declined),
    fact(
        quality.ComplaintRecorded,
        check=_check_common,
        evolve=_evolve_common,
        names=lambda body: (body.deviation,),
        materials=_scope_materials,
    ),
    authorisation(quality.DeviationClosed, evolve=_evolve_common, names=lambda body: (body.deviation,)),
)
