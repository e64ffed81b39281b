"""Say whether a step of manufacturing comes in the order that the policy pack gives.

The rules of this module:

* A pack names steps by their bodies and says after which others each stands. An optional step is not asked for; what
  stands before it is.
* Each material that goes in has been through the steps that must stand before, somewhere along its line; the batch
  has been through those that concern it as a whole (line clearance, start, review).
* Nothing goes back: a step is not performed on what has been through a step that stands behind it.
* A step that the pack does not let repeat is performed once along a line.
* What is released has been through every step that the pack wants before a release: a bag that was divided off on the
  way has not.
* A pack without an order asks for none. Steps other than those of manufacturing: `therapy_steps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from cellcustody.ledger.custody.manufacturing_acts import STEP_OF
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.policy_members import StepRule
from cellcustody.v1 import modification_pb2 as modification

__all__ = ["LINE_CLEARED", "MANUFACTURING_STARTED", "asks_for", "has_place", "is_out_of_order", "left_out_before"]

LINE_CLEARED: Final = modification.LineCleared.DESCRIPTOR.name
MANUFACTURING_STARTED: Final = modification.ManufacturingStarted.DESCRIPTOR.name

_SHORT_NAMES: Final[Mapping[str, str]] = {full.rpartition(".")[2]: step for full, step in STEP_OF.items()}
_PACKS_MAX: Final = 256  # Packs in use at once; far more than a ledger has.


def asks_for(pack: PolicyPack, body_type: str, before: str) -> bool:
    """Tells whether the pack wants `before` (short name of a body) to stand before this body."""
    return before in pack.steps_before(body_type)


def has_place(pack: PolicyPack, body_type: str) -> bool:
    """Tells whether the body stands in the pack's order, or the pack has none."""
    return not pack.step_order or pack.step_for(body_type) is not None


def is_out_of_order(pack: PolicyPack, body_type: str, done: frozenset[str]) -> bool:
    """Tells whether a step on a material that has been through `done` (as `made_by_step`) breaks the pack's order."""
    rule = pack.step_for(body_type)
    if rule is None:
        return False
    needed = {_SHORT_NAMES[one] for one in rule.requires if one in _SHORT_NAMES}
    if not needed <= done:
        return True
    step = STEP_OF[body_type]
    if step in done and not rule.is_repeatable:
        return True
    return not _behind(pack.step_order).get(step, frozenset()).isdisjoint(done)


def left_out_before(pack: PolicyPack, body_type: str, done: frozenset[str]) -> frozenset[str]:
    """Returns the steps that the pack wants to stand before a body, at any distance, and that are not among `done`."""
    left, met = list(pack.steps_before(body_type)), set[str]()
    while left:
        name = left.pop()
        if name not in met:
            met.add(name)
            left.extend(pack.steps_before(name))
    return frozenset(_SHORT_NAMES[name] for name in met if name in _SHORT_NAMES) - done


@lru_cache(maxsize=_PACKS_MAX)
def _behind(step_order: tuple[StepRule, ...]) -> Mapping[str, frozenset[str]]:
    """Returns, for each step of an order by its short name, those that stand behind it at any distance."""
    after = {one.step: one.after for one in step_order}
    behind: dict[str, set[str]] = {}
    for name, step in _SHORT_NAMES.items():
        left, met = list(after.get(name, ())), set[str]()
        while left:
            before = left.pop()
            if before in met:
                continue
            met.add(before)
            left.extend(after.get(before, ()))
            if before in _SHORT_NAMES:
                behind.setdefault(_SHORT_NAMES[before], set()).add(step)
    return {step: frozenset(others) for step, others in behind.items()}
