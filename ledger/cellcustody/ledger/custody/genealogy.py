"""Genealogy of materials: what was made of what, and whether a division conserves its volume.

The rules of this module:

* A material's parents are fixed at its creation and belong to the same therapy; the walk over them ends, because a
  material can only name parents that exist before it.
* Dividing, pooling and sampling conserve: what came out, what is left and what was lost add up to what was there,
  within the pack's tolerance. The arithmetic is exact; no float takes part.
* Quantities in different units are never added.
* An orphan is a material that was made of nothing known, or of another patient's material, or has not come to an end
  of its own: infused, destroyed, consumed, returned, archived, or used up in making others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from cellcustody.ledger.custody.act import UnitRef
from cellcustody.ledger.custody.references import named_materials
from cellcustody.ledger.custody.therapy_state import Amount, MaterialState, TherapyState, custody_of
from cellcustody.v1 import harvest_pb2 as harvest

__all__ = [
    "Orphan",
    "Orphaned",
    "ancestors",
    "balance",
    "descendants",
    "donation_numbers",
    "open_materials",
    "orphans",
    "units_agree",
]

_COLLECTED = harvest.CollectionCompleted.DESCRIPTOR.full_name


class Orphaned(StrEnum):
    """Why a material's line has a loose end."""

    PARENT_UNKNOWN = "parent unknown"
    OTHER_PATIENTS_PARENT = "parent of another patient"
    NOT_ENDED = "not ended"


@dataclass(frozen=True, slots=True)
class Orphan:
    """A material whose line has a loose end, who answers for it, and since when it exists (microseconds)."""

    material: bytes
    why: Orphaned
    custodian: UnitRef | None
    since: int


def ancestors(state: TherapyState, material: bytes) -> tuple[bytes, ...]:
    """Returns the materials that `material` was made of, at any distance, in order of their ids."""
    return tuple(sorted(member.material for member in state.line_of(material) if member.material != material))


def descendants(state: TherapyState, roots: Iterable[bytes]) -> tuple[bytes, ...]:
    """Returns the materials made of any of `roots`, at any distance, without the roots, in order of their ids."""
    begun = set(roots)
    met = set(begun)
    waiting = list(begun)
    while waiting:
        found = state.materials.get(waiting.pop())
        for child in () if found is None else found.children:
            if child not in met:
                met.add(child)
                waiting.append(child)
    return tuple(sorted(met - begun))


def donation_numbers(state: TherapyState, material: MaterialState) -> frozenset[str]:
    """Returns the donation numbers of the collections that a material comes from."""
    return frozenset(member.din for member in state.line_of(material.material) if member.din)


def units_agree(amounts: Iterable[Amount]) -> bool:
    """Tells whether all amounts bear the same unit."""
    return len({amount.unit for amount in amounts}) <= 1


def balance(whole: Amount, parts: Iterable[Amount]) -> Fraction | None:
    """Returns the share of `whole` that `parts` miss (positive) or exceed it by (negative), or None if it is unknown.

    A whole of nothing that yields something exceeds it by all: the share is then -1.
    """
    there = whole.value
    total = Fraction(0)
    for part in parts:
        value = part.value
        if value is None:
            return None
        total += value
    if there is None:
        return None
    if there == 0:
        return Fraction(0) if total == 0 else Fraction(-1)
    return (there - total) / there


def open_materials(state: TherapyState) -> tuple[MaterialState, ...]:
    """Returns the materials that have not come to an end of their own, oldest first."""
    waiting = [one for one in state.materials.values() if not one.life.has_ended]
    return tuple(sorted(waiting, key=lambda one: (one.created_at, one.material)))


def orphans(state: TherapyState) -> tuple[Orphan, ...]:
    """Returns the loose ends of the therapy's genealogy, in order of material and reason."""
    return tuple(sorted(_orphans(state), key=lambda one: (one.material, one.why)))


def _orphans(state: TherapyState) -> Iterator[Orphan]:
    for material in state.materials.values():
        custodian, _ = custody_of(state, material.material)
        made_by = state.placed.get(material.created_by)
        if made_by is not None and not state.foreign_materials.keys().isdisjoint(named_materials(made_by)):
            yield Orphan(material.material, Orphaned.OTHER_PATIENTS_PARENT, custodian, material.created_at)
        elif not material.parents and (made_by is None or made_by.body_type != _COLLECTED):
            yield Orphan(material.material, Orphaned.PARENT_UNKNOWN, custodian, material.created_at)
        if not material.life.has_ended:
            yield Orphan(material.material, Orphaned.NOT_ENDED, custodian, material.created_at)
