"""Find what stands against using material because of a lot that went into it.

The rules:

* A lot that quality has quarantined or recalled, or on which a hold stands, stops what it went into, at any distance:
  work on it, its release, its dispatch to where it is infused, issue, thaw and infusion.
* A lot's expiry counts when the lot is used, and no longer afterwards.
* Receipt, return, storage, tests, results, reactions and destruction are never stopped.

Lots are read as they stand at this entry. The writer's thread alone calls this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.custody.act import Finding
from cellcustody.ledger.custody.consignment_state import ConsignmentState
from cellcustody.ledger.custody.lots import LotStanding, LotState
from cellcustody.ledger.custody.manufacturing_acts import inputs_of, is_work
from cellcustody.ledger.custody.recalls import lots_inside
from cellcustody.ledger.custody.therapy_state import TherapyState
from cellcustody.ledger.recording.cases import Cases
from cellcustody.ledger.statements import StreamKind
from cellcustody.v1 import harvest_pb2, modification_pb2, return_pb2

__all__ = ["is_stopped", "lot_findings", "names_lot"]

_STREAM_BYTES: Final = 17
_STOPPED: Final = frozenset({LotStanding.QUARANTINED, LotStanding.RECALLED})


def lot_findings(
    cases: Cases, state: TherapyState, body: Message | None, field_numbers: Sequence[int]
) -> tuple[Finding, ...]:
    """Returns LOT_HELD if a lot inside what the act is to use is stopped; `field_numbers` are those of its leaves."""
    field, materials = _used(cases, state, body)
    if not state.lots or not materials:
        return ()
    inside = {use.lot for use in lots_inside(state, materials)}
    if not any(_is_stopped(cases, lot) for lot in sorted(inside)):
        return ()
    return (Finding("LOT_HELD", tuple(leaf for leaf, number in enumerate(field_numbers) if number == field)),)


def _used(cases: Cases, state: TherapyState, body: Message | None) -> tuple[int, Sequence[bytes]]:
    """Returns the materials that the act is to use, and the field that names them."""
    match body:
        case body if is_work(body):
            return 2, inputs_of(body)
        case modification_pb2.MaterialPooled():
            return 1, tuple(body.inputs)
        case (
            modification_pb2.BatchReleased()
            | modification_pb2.BatchReleasedConditionally()
            | modification_pb2.OutOfSpecificationReleased()
        ):
            return 2, tuple(body.materials)
        case return_pb2.MaterialIssued() | return_pb2.MaterialThawed() | return_pb2.InfusionStarted():
            return 1, (body.material,)
        case harvest_pb2.MaterialPacked() if _goes_to_use(cases, state, body):
            return 1, (body.material,)
        case _:
            return 0, ()


def _goes_to_use(cases: Cases, state: TherapyState, body: harvest_pb2.MaterialPacked) -> bool:
    """Tells whether a consignment leads from elsewhere to the site that infuses."""
    if len(body.consignment) != _STREAM_BYTES or body.consignment[0] != StreamKind.CONSIGNMENT:
        return False
    consignment, treating = cases.case(body.consignment).state, state.treating_unit
    return (
        isinstance(consignment, ConsignmentState)
        and consignment.destination is not None
        and treating is not None
        and consignment.destination.site == treating.site
        and body.unit.site != treating.site
    )


def _is_stopped(cases: Cases, lot: bytes) -> bool:
    return names_lot(lot) and is_stopped(cases.case(lot).state)


def names_lot(lot: bytes) -> bool:
    """Tells whether the lot of a step is named by a stream of this ledger."""
    return len(lot) == _STREAM_BYTES and lot[0] == StreamKind.LOT


def is_stopped(state: object) -> bool:
    """Tells whether the state of a lot stops what it went into."""
    return isinstance(state, LotState) and (state.standing in _STOPPED or bool(state.holds))
