"""Add up the time that a frozen material has spent out of its frozen store, over its whole history.

The rules of this module:

* A material is in the cold from the end of its freezing, of an act that stores it at a temperature within the pack's
  frozen band for its kind, or of its packing out of such a store. A move without a stated temperature leaves it where
  it was.
* It leaves the cold at the start of whatever is done to it next: a move, packing, taking out of a container, issue,
  transfer or thaw. What is taken out of a container stays out until it is stored.
* Before it was frozen first, nothing counts. Time counts on in what was drawn or washed from it after the thaw.
* A material of which no frozen store was ever stated has no known time: unknown is never in range.

Acts count in the order of their start, then of their digests: the order of delivery changes nothing.
Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from cellcustody.ledger.custody.act import Act
from cellcustody.ledger.custody.policy import PolicyPack
from cellcustody.ledger.custody.therapy_evolution import end_of
from cellcustody.ledger.custody.therapy_judging import amount_of
from cellcustody.ledger.custody.therapy_state import Amount, MaterialKind, MaterialState, TherapyState
from cellcustody.ledger.custody.treatment import Handling, HandlingKind, when
from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import return_pb2 as returned

__all__ = ["FROZEN", "note_handling", "out_of_cryo_micros"]

FROZEN: Final = "frozen"  # The state of a temperature band in the pack.
_MILLICELSIUS_PER_DEGREE: Final = 1000
_TEMPERATURES_MAX: Final = 4_096  # Stores have a few each, and say them with every material.


def out_of_cryo_micros(state: TherapyState, material: bytes, pack: PolicyPack, until: int) -> int | None:
    """Returns the time that a material was out of its frozen store up to `until`; None if nobody knows."""
    history: list[tuple[Handling, int | None]] = []
    found = state.materials.get(material)
    end: int | None = None
    while found is not None:
        band_max = _frozen_max(pack, found)
        history.extend((one, band_max) for one in found.handlings if end is None or one.start < end)
        end = found.created_at
        # Cells that a step has made are others; what was drawn from a thawed bag is the same cells in another bag.
        one_parent = len(found.parents) == 1 and not found.made_by_step
        found = state.materials.get(found.parents[0]) if one_parent else None
    return _time_out(history, until)


def _frozen_max(pack: PolicyPack, material: MaterialState) -> int | None:
    band = pack.band_for(MaterialKind(material.kind).name.lower(), FROZEN)
    return None if band is None else band.millicelsius_max


def _time_out(history: Iterable[tuple[Handling, int | None]], until: int) -> int | None:
    total = 0
    out_since: int | None = None
    is_in, was_ever_in = False, False
    for one, band_max in sorted(history, key=lambda entry: (entry[0].start, entry[0].digest)):
        if one.start > until:
            break
        was_in = is_in
        if is_in:
            is_in, out_since = False, one.start
        match one.kind:
            case HandlingKind.STORED | HandlingKind.MOVED if one.millicelsius is not None:
                enters = band_max is not None and one.millicelsius <= band_max
            case HandlingKind.FROZEN:
                enters = True
            case HandlingKind.MOVED | HandlingKind.PACKED:
                enters = was_in
            case _:
                enters = False
        if enters:
            if was_ever_in and out_since is not None:
                total += max(0, min(one.end, until) - out_since)
            is_in, was_ever_in, out_since = True, True, None
    if not was_ever_in:
        return None
    return total if out_since is None else total + max(0, until - out_since)


# What the acts leave behind.


def _millicelsius(quantity: common.Quantity) -> int | None:
    return _millicelsius_of(amount_of(quantity)) if quantity.unit == "Cel" else None


@lru_cache(maxsize=_TEMPERATURES_MAX)
def _millicelsius_of(amount: Amount) -> int | None:
    value = amount.value
    if value is None:
        return None
    scaled = value * _MILLICELSIUS_PER_DEGREE
    return -(-scaled.numerator // scaled.denominator)  # Rounded up: never colder than stated.


def _stored(body: harvest.MaterialStored) -> int | None:
    return _millicelsius(body.temperature) if body.HasField("temperature") else None


def _handled(act: Act) -> tuple[Iterable[bytes], HandlingKind, int | None] | None:
    match act.body:
        case harvest.MaterialStored() as body:
            return (body.material,), HandlingKind.STORED, _stored(body)
        case harvest.CryopreservationCompleted() as body:
            return body.materials, HandlingKind.FROZEN, None
        case harvest.MaterialMoved() as body:
            return (body.material,), HandlingKind.MOVED, None
        case harvest.MaterialPacked() as body:
            return (body.material,), HandlingKind.PACKED, None
        case harvest.MaterialReceived() | returned.MaterialIssued() as body:
            return (body.material,), HandlingKind.TAKEN_OUT, None
        case harvest.UnitTransferred() as body:
            return body.materials, HandlingKind.TAKEN_OUT, None
        case returned.MaterialThawed() as body:
            return (body.material,), HandlingKind.THAWED, None
        case _:
            return None


_HANDLING_BODIES: Final = frozenset(
    body.DESCRIPTOR.full_name
    for body in (
        harvest.CryopreservationCompleted,
        harvest.MaterialStored,
        harvest.MaterialMoved,
        harvest.MaterialPacked,
        harvest.MaterialReceived,
        harvest.UnitTransferred,
        returned.MaterialIssued,
        returned.MaterialThawed,
    )
)


def note_handling(state: TherapyState, act: Act) -> None:
    """Notes that the act took materials out of a store or put them into one; called for every act that has effect."""
    if act.body_type not in _HANDLING_BODIES:
        return
    handled = _handled(act)
    if handled is None:
        return
    materials, kind, millicelsius = handled
    for one in materials:
        material = state.materials.get(one)
        if material is not None:
            handling = Handling(act.occurred_start, end_of(act), kind, act.digest, millicelsius)
            # Kept in their order: whoever asks where a material is looks at the last alone. Most come last.
            insort(material.handlings, handling, key=when)
