"""Say whether a step of a therapy comes after those that the policy pack puts before it.

The rules of this module:

* A pack names steps by their bodies, and says after which others each stands. Each of those that is not optional was
  done before in this therapy; of an optional one, what stands before it was.
* Done is what took place and was not taken back, conforming or not: what is wrong with it is told where it is wrong.
* Before is by the therapy's order of acts, not by arrival: what comes late falls into its place, and is judged again.
* A step that may not repeat is done once in a therapy.
* What different bodies say in different cases stands for one step: a conditional release and a release outside
  specification are releases.
* Steps of manufacturing among each other are judged along the line of each material (`step_order`). Where another rule
  asks for the very statement, bag or batch that must have gone before, nothing is said twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from cellcustody.ledger.custody.manufacturing_acts import STEP_OF
from cellcustody.ledger.custody.policy import PolicyPack

__all__ = ["ASKED_BY_PACK", "ASKED_CLOSER", "STANDS_FOR", "breaks_order"]

_MANUFACTURING: Final = frozenset(full.rpartition(".")[2] for full in STEP_OF)

_OPENING: Final = frozenset({"ManufacturingStarted", "MaterialAccepted"})  # Asked for where cells are first worked on.

STANDS_FOR: Final[Mapping[str, frozenset[str]]] = {
    "BatchReleased": frozenset({"BatchReleasedConditionally", "OutOfSpecificationReleased"}),
}
"""What is done by other bodies in other cases, by the body that packs name."""

ASKED_CLOSER: Final[Mapping[tuple[str, str], str]] = {
    ("CollectionCompleted", "CollectionStarted"): "PREDECESSOR_MISSING",
    ("LineCleared", "MaterialAccessioned"): "BATCH_UNKNOWN",
    ("ManufacturingStarted", "LineCleared"): "LINE_NOT_CLEARED",
    ("ManufacturingStarted", "MaterialAccepted"): "MATERIAL_NOT_ACCEPTED",
    ("MaterialAccepted", "MaterialAccessioned"): "BATCH_UNKNOWN",
    ("BatchReleased", "BatchReviewed"): "BATCH_NOT_REVIEWED",
    ("MaterialIssued", "BatchReleased"): "NOT_RELEASED",
    ("MaterialThawed", "MaterialIssued"): "NOT_ISSUED",
    ("InfusionStarted", "BedsideChecked"): "BEDSIDE_CHECK_MISSING",
    ("InfusionStopped", "InfusionStarted"): "INFUSION_NOT_STARTED",
}
"""For a step and one before it: the finding of the rule that asks for it bag by bag, batch by batch or by digest."""


ASKED_BY_PACK: Final[Mapping[tuple[str, str], str]] = {
    ("CollectionStarted", "ConsentRecorded"): "CONSENT_MISSING",
    ("CollectionStarted", "DonorScreened"): "SCREENING_MISSING",
    ("CollectionStarted", "SlotReserved"): "SLOT_MISSING",
    ("CollectionStarted", "KitReceived"): "KIT_MISSING",
    ("InfusionStarted", "LymphodepletionStopped"): "LYMPHODEPLETION_MISSING",
    ("MaterialIssued", "LymphodepletionStopped"): "LYMPHODEPLETION_MISSING",
}
"""The same where another member of the pack has that rule ask: counted as said once it was found."""


def breaks_order(
    pack: PolicyPack, body_type: str, done: AbstractSet[str], *, found: AbstractSet[str] = frozenset()
) -> bool:
    """Tells whether an act breaks the pack's order in a therapy that has `done` before it (short names of bodies).

    `found` are the codes found against it already.
    """
    rule = pack.step_for(body_type)
    if rule is None:
        return False
    is_made_along_lines = rule.step in _MANUFACTURING
    if not rule.is_repeatable and not is_made_along_lines and rule.step in done:
        return True
    return any(
        before not in done
        and done.isdisjoint(STANDS_FOR.get(before, frozenset()))
        and (rule.step, before) not in ASKED_CLOSER
        and ASKED_BY_PACK.get((rule.step, before)) not in found
        and not (is_made_along_lines and (before in _MANUFACTURING or before in _OPENING))
        and not (rule.step == "BatchReleased" and before in _MANUFACTURING)
        for before in rule.requires
    )
