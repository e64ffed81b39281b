"""The acts of the harvest as other packages ask for them: which lots they used, in which fields."""

from __future__ import annotations

from google.protobuf.message import Message

from cellcustody.v1 import common_pb2 as common
from cellcustody.v1 import harvest_pb2 as harvest

__all__ = ["lots_of_harvest"]


def lots_of_harvest(body: Message | None) -> tuple[tuple[int, common.LotUse], ...]:
    """Returns the lots that an act of the harvest used, each with the number of the field that names it."""
    match body:
        case harvest.KitReceived() if body.HasField("lot"):
            return ((1, body.lot),)
        case harvest.CollectionStarted() if body.HasField("anticoagulant_lot"):
            return ((8, body.anticoagulant_lot),)
        case harvest.CryopreservationStarted() if body.HasField("cryoprotectant"):
            return ((5, body.cryoprotectant),)
        case _:
            return ()
