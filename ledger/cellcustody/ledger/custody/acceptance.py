"""Judge quality's acceptance of what came in, and find cells that are worked on without it.

The rules:

* What comes to a plant lies in quarantine there until quality of that plant accepts it: an authorisation that names
  materials of a batch, where they are, in date, free of holds, their ways in order, the chain of identity whole.
* Where the pack has the step, collected cells are accepted at the site that works on them before manufacture starts and
  before the first step opens them. Later steps do not ask again: what was made of them is held with them.
* An acceptance is of a material at a site: it stays with it into another batch of that site, and does not travel.

Pure: reads no clock and changes nothing but the state it is given.
"""

from __future__ import annotations

from typing import Final

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.findings import Findings
from cellcustody.ledger.custody.leg_conditions import use_findings
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.therapy_judging import Judging
from cellcustody.ledger.custody.therapy_rows import TherapyAct, authorisation
from cellcustody.ledger.custody.therapy_state import MaterialKind, MaterialState, TherapyState, custody_of
from cellcustody.v1 import modification_pb2 as modification

__all__ = ["ACTS", "STEP", "check_acceptance", "check_accepted"]

STEP: Final = modification.MaterialAccepted.DESCRIPTOR.name


def check_accepted(
    state: TherapyState, act: Act, body: modification.MaterialAccepted, pack: PolicyPack, found: Findings
) -> None:
    """Adds what stands against taking materials out of quarantine."""
    if state.identity_broken:
        found.add("IDENTITY_BROKEN")
    if body.batch not in state.batches:
        found.add("BATCH_UNKNOWN", act.leaves_of(1))
    if not body.materials:
        found.add("NO_MATERIAL")
    leaves = act.leaves_of(2)
    for index, one in enumerate(body.materials):
        leaf = leaves[index : index + 1]
        material = state.materials.get(one)
        if material is None:
            found.add("MATERIAL_UNKNOWN", leaf)
            continue
        if material.life.has_ended:
            found.add("AFTER_TERMINAL_ACT", leaf)
        if material.batch != body.batch:
            found.add("NOT_IN_BATCH", leaf)
        custodian, _ = custody_of(state, one)
        if custodian is None or custodian.site != act.site:
            found.add("NOT_CUSTODIAN", leaf)
        if material.packed is not None:
            found.add("MATERIAL_PACKED", leaf)
        label = material.label
        if label is not None and label.expires_at is not None and act.occurred_start > label.expires_at:
            found.add("EXPIRED", leaf)
        if state.holds_on(one):
            found.add("HOLD_OPEN", leaf)
        for code in use_findings(state, pack, one):
            found.add(code, leaf)


def check_acceptance(judging: Judging, material: MaterialState, field: int) -> None:
    """Finds collected cells about to be worked on for the first time that quality of this site did not accept."""
    step = judging.pack.step_for(STEP)
    if step is None or step.is_optional:
        return
    line = list(judging.state.line_of(material.material))
    if any(member.made_by_step for member in line):
        return
    if any(member.kind == MaterialKind.COLLECTION and member.accepted_at != judging.act.site for member in line):
        judging.find("MATERIAL_NOT_ACCEPTED", field)


def _evolve_accepted(state: TherapyState, act: Act, body: modification.MaterialAccepted, judged: Judged) -> None:
    for one in body.materials:
        material = state.materials.get(one)
        if material is not None:
            material.accepted_at = act.site


ACTS: tuple[TherapyAct, ...] = (
    authorisation(
        modification.MaterialAccepted,
        evolve=_evolve_accepted,
        materials=lambda body: body.materials,
        batches=lambda body: (body.batch,),
    ),
)
