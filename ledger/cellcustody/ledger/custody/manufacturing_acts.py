"""What the acts of manufacturing name: materials that go in and come out, lots, areas, and their short names.

The rules of this module:

* A step uses up what goes in and makes what comes out; it stands in the order of steps. A transfer of a culture does
  the same and stands nowhere in that order.
* The patient's own presenting cells of an activation go in like its other inputs.
* Every lot is named with the number of the field that names it, so that a finding can point at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeGuard, get_args

from google.protobuf.message import Message

from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import modification_pb2 as modification

__all__ = ["STEP_OF", "StepBody", "WorkBody", "inputs_of", "is_step", "is_work", "lots_of"]

StepBody = (
    modification.SelectionPerformed
    | modification.ActivationPerformed
    | modification.ModificationPerformed
    | modification.ExpansionPerformed
    | modification.CultureHarvested
    | modification.FormulationPerformed
    | modification.FillPerformed
)
"""A body with a place in the order of steps."""

WorkBody = StepBody | modification.CultureTransferred
"""A body that takes materials of a batch and makes others of them."""

STEP_OF: Final[Mapping[str, str]] = {
    modification.SelectionPerformed.DESCRIPTOR.full_name: "selection",
    modification.ActivationPerformed.DESCRIPTOR.full_name: "activation",
    modification.ModificationPerformed.DESCRIPTOR.full_name: "modification",
    modification.ExpansionPerformed.DESCRIPTOR.full_name: "expansion",
    modification.CultureHarvested.DESCRIPTOR.full_name: "harvest",
    modification.FormulationPerformed.DESCRIPTOR.full_name: "formulation",
    modification.FillPerformed.DESCRIPTOR.full_name: "fill",
}
"""The short name of each step, as it stands in `MaterialState.made_by_step`, by the full name of its body."""


# Asked of every act several times; nobody derives from a body's class.
_STEPS: Final = frozenset(get_args(StepBody))
_WORKS: Final = frozenset(get_args(WorkBody))


def is_step(body: Message | None) -> TypeGuard[StepBody]:
    """Tells whether a body is a step."""
    return type(body) in _STEPS


def is_work(body: Message | None) -> TypeGuard[WorkBody]:
    """Tells whether a body takes materials of a batch and makes others of them."""
    return type(body) in _WORKS


def inputs_of(body: WorkBody) -> tuple[bytes, ...]:
    """Returns the materials that go in, in the body's order, the patient's own presenting cells last."""
    if isinstance(body, modification.ActivationPerformed) and body.presenting_cells:
        return (*body.inputs, body.presenting_cells)
    return tuple(body.inputs)


def lots_of(body: Message | None) -> tuple[tuple[int, common.LotUse], ...]:
    """Returns the lots that an act of manufacturing used, each with the number of the field that names it."""
    if not is_work(body):
        return ()
    lots = [(6, lot) for lot in body.lots]
    match body:
        case modification.ModificationPerformed() if body.HasField("vector_lot"):
            lots.append((20, body.vector_lot))
        case modification.ActivationPerformed():
            if body.HasField("presenting_cell_lot"):
                lots.append((23, body.presenting_cell_lot))
            if body.HasField("antigen_lot"):
                lots.append((24, body.antigen_lot))
        case modification.FillPerformed() if body.HasField("cryoprotectant_lot"):
            lots.append((22, body.cryoprotectant_lot))
        case _:
            pass
    return tuple(lots)
