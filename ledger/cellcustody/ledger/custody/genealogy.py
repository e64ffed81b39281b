"""Genealogy of materials: what was made of what, and whether a division conserves its volume.

The rules of this module:

* A material's parents are fixed at its creation and belong to the same therapy; the walk over them ends, because a
  material can only name parents that exist before it.
* Dividing, pooling and sampling conserve: what came out, what is left and what was lost add up to what was there,
  within the pack's tolerance. The arithmetic is exact; no float takes part.
* Quantities in different units are never added.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from cellcustody.ledger.custody.therapy_state import Amount, MaterialState, TherapyState

__all__ = ["ancestors", "balance", "descendants", "donation_numbers", "units_agree"]


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
