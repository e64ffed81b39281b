"""What a lot went into, what went into a material, and what is to be done where a lot is recalled.

The rules:

* A lot went into whatever the steps that used it brought forth, and into all that was made of that, through pools and
  divisions. The other way round, into a material went every lot that a step of its whole line used.
* What is due follows from where the material is now: in a store it is quarantined, on the way it is stopped and brought
  back, infused (wholly or in part) its physician is told and the patient followed up. Of what was used up, tested away
  or destroyed nothing is due; what was archived is kept apart like what is in a store.
* An action is taken for one lot, one material and one kind of action; if the material moves on, another is due.

Pure: everything is passed in. Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from cellcustody.ledger.custody.act import UnitRef
from cellcustody.ledger.custody.genealogy import descendants
from cellcustody.ledger.custody.recall_records import RecallAction, RecallActionDone
from cellcustody.ledger.custody.therapy_state import Life, LotUsed, MaterialState, TherapyState, custody_of

__all__ = [
    "RecallAction",
    "RecallActionDone",
    "RecallDue",
    "Whereabouts",
    "action_due",
    "lots_inside",
    "materials_of_lot",
    "recall_fan_out",
    "recall_of",
    "whereabouts",
]


class Whereabouts(IntEnum):
    """Where a material is, as far as a recall cares."""

    STORED = 1
    IN_TRANSIT = 2
    INFUSED = 3
    GONE = 4


@dataclass(frozen=True, slots=True)
class RecallDue:
    """One material of a recalled lot, where it is, and what is due for it; `closed_by` is the act that did it."""

    therapy: bytes
    lot: bytes
    material: bytes
    whereabouts: Whereabouts
    action: RecallAction | None
    custodian: UnitRef | None
    treating_unit: UnitRef | None
    used_by: tuple[bytes, ...]
    closed_by: bytes = b""

    @property
    def is_open(self) -> bool:
        """Tells whether something is due that nobody has done."""
        return self.action is not None and not self.closed_by


_ACTIONS = {
    Whereabouts.STORED: RecallAction.QUARANTINE,
    Whereabouts.IN_TRANSIT: RecallAction.STOP_AND_RETURN,
    Whereabouts.INFUSED: RecallAction.NOTIFY_PHYSICIAN,
}


def whereabouts(material: MaterialState) -> Whereabouts:
    """Returns where a material is."""
    match material.life:
        case Life.INFUSED | Life.PARTIALLY_INFUSED:
            return Whereabouts.INFUSED
        case Life.AVAILABLE | Life.ARCHIVED:
            return Whereabouts.STORED if material.packed is None else Whereabouts.IN_TRANSIT
        case _:
            return Whereabouts.GONE


def action_due(material: MaterialState) -> RecallAction | None:
    """Returns what is due for a material of a recalled lot where it is now; None if it is gone."""
    return _ACTIONS.get(whereabouts(material))


def materials_of_lot(state: TherapyState, lot: bytes) -> tuple[bytes, ...]:
    """Returns every material that a lot went into, at any distance, in order of their ids."""
    roots = {output for use in state.lots if use.lot == lot for output in use.outputs}
    return tuple(sorted(roots | set(descendants(state, roots))))


def lots_inside(state: TherapyState, materials: Iterable[bytes]) -> tuple[LotUsed, ...]:
    """Returns every use of a lot that went into any of these materials, at any distance, in order of the fold."""
    if not state.lots:
        return ()
    line = {member.material for one in materials for member in state.line_of(one)}
    return tuple(use for use in state.lots if not line.isdisjoint(use.outputs))


def recall_of(state: TherapyState, lot: bytes) -> tuple[RecallDue, ...]:
    """Returns every material of one therapy that a recalled lot went into, with what is due, in order of their ids."""
    done = {(one.material, one.action): one.by for one in state.recall_actions if one.lot == lot}
    found = []
    for material in materials_of_lot(state, lot):
        known = state.materials.get(material)
        if known is None:
            continue
        action = action_due(known)
        line = {member.material for member in state.line_of(material)}
        found.append(
            RecallDue(
                state.stream,
                lot,
                material,
                whereabouts(known),
                action,
                custody_of(state, material)[0],
                state.treating_unit,
                tuple(use.digest for use in state.lots if use.lot == lot and not line.isdisjoint(use.outputs)),
                b"" if action is None else done.get((material, action), b""),
            )
        )
    return tuple(found)


def recall_fan_out(lot: bytes, therapies: Iterable[TherapyState]) -> tuple[RecallDue, ...]:
    """Returns what a recalled lot went into in all these therapies: what is still to do first, then by therapy."""
    found = [one for state in therapies for one in recall_of(state, lot)]
    return tuple(sorted(found, key=lambda one: (not one.is_open, one.therapy, one.material)))
