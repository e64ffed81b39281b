"""Tell which materials a fact is about, and which it makes: read off the contract, for the model."""

from __future__ import annotations

from google.protobuf.message import Message

from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

STEPS = (
    modification.SelectionPerformed,
    modification.ActivationPerformed,
    modification.ModificationPerformed,
    modification.ExpansionPerformed,
    modification.FormulationPerformed,
)


def materials_of(body: Message | None) -> tuple[bytes, ...]:
    """Returns the materials that a fact is about and does not make."""
    match body:
        case (
            harvest.LabelApplied()
            | harvest.MaterialStored()
            | harvest.MaterialMoved()
            | harvest.MaterialPacked()
            | harvest.MaterialReceived()
            | modification.MaterialDivided()
            | returned.MaterialIssued()
            | returned.MaterialThawed()
            | returned.BedsideChecked()
            | returned.InfusionStarted()
            | returned.InfusionStopped()
            | returned.MaterialDestroyed()
            | returned.MaterialConsumed()
            | returned.MaterialArchived()
            | returned.RemainderRetained()
            | returned.MaterialReconstituted()
            | transport.MaterialReturned()
        ):
            return (body.material,)
        case (
            harvest.IdentityChecked()
            | harvest.UnitTransferred()
            | modification.MaterialAccessioned()
            | transport.PossessionReported()
        ):
            return tuple(body.materials)
        case modification.MaterialPooled():
            return tuple(body.inputs)
        case body if isinstance(body, STEPS):
            return tuple(body.inputs)
        case quality.HoldPlaced() if body.scope.kind == quality.SCOPE_KIND_MATERIAL:
            return tuple(body.scope.ids)
        case _:
            return ()


def materials_made(body: Message | None) -> tuple[bytes, ...]:
    """Returns the materials that a fact makes."""
    match body:
        case harvest.CollectionCompleted() | modification.MaterialDivided() | returned.MaterialReconstituted():
            return tuple(new.material for new in body.outputs)
        case modification.MaterialPooled():
            return (body.output.material,)
        case body if isinstance(body, STEPS):
            return tuple(new.material for new in body.outputs)
        case _:
            return ()
