"""What a therapy's rules may read of other streams, and the keys by which streams find each other.

The rules of this module:

* A therapy cites consignments and lots by their streams, and names materials and donation numbers. Each citation is a
  link from the citing stream to a key; links only ever grow.
* Keys of a container: `P` + digest of consignment and label where a sealed material was packed into it, `O` + the same
  where an unsealed one was.
* A course that is linked gives a key of its own (`L` + stream), so that either course leads to the other.
* Keys: a consignment's or a lot's stream id as it is (17 bytes); `C` + material id where a statement creates the
  material; `N` + material id where it names one; `D` + donation number (13 characters) where it claims one; `A` + site,
  area and days where a step had cells open in a process area (`process_areas`).
* `E` + digest of an asset identifier where a statement uses the equipment, `R` + the same where one registers it.
* Links are taken from every statement as recorded, whatever its status: two streams that claim one thing are found
  even while one of the claims waits for a predecessor.
* A history is a consignment's own fold: its acts with their own judgements. A therapy evolves them and never judges
  them; a batch is linked like a material, so that no two therapies share one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cellcustody.ledger.custody.act import Act, Judged
from cellcustody.ledger.custody.manufacturing_acts import inputs_of, is_work
from cellcustody.ledger.custody.process_areas import AreaUse, area_keys, area_use
from cellcustody.ledger.custody.uses import equipment_used, lots_used
from cellcustody.v1 import facilities_pb2 as facilities
from cellcustody.v1 import harvest_pb2 as harvest
from cellcustody.v1 import labels_pb2 as labels
from cellcustody.v1 import modification_pb2 as modification
from cellcustody.v1 import quality_pb2 as quality
from cellcustody.v1 import return_pb2 as returned
from cellcustody.v1 import transport_pb2 as transport

__all__ = [
    "ConsignmentHistory",
    "References",
    "cited_streams",
    "container_keys",
    "course_key",
    "creates_key",
    "din_key",
    "din_number",
    "named_materials",
    "names_key",
    "reference_keys",
    "registers_key",
    "uses_key",
]

_STREAM_BYTES = 17
_ASSET_BYTES = 20
_CONTAINER_BYTES = 20  # Of SHA-256: labels are of any length, keys are not.
_DIN_CHARACTERS = (
    13  # ISBT 128 data structure 001 without flags and check character: what two readings are compared by.
)


class ConsignmentHistory(Protocol):
    """A consignment's acts with the judgements that count; its own fold is one."""

    @property
    def acts(self) -> Mapping[bytes, Act]:
        """Every act by digest, the ledger's own re-judgements among them."""
        ...

    @property
    def judged(self) -> Mapping[bytes, Judged]:
        """The present judgement of every act by digest."""
        ...


@dataclass(frozen=True, slots=True)
class References:
    """Other streams as far as they concern one therapy: consignments by stream, and who cites a key."""

    consignments: Mapping[bytes, ConsignmentHistory] = field(default_factory=dict)
    creators: Mapping[bytes, frozenset[bytes]] = field(default_factory=dict)
    # Uses of process areas by other therapies; all that overlap a use of the therapy's own are among them.
    area_uses: frozenset[AreaUse] = frozenset()

    def shares_area(self, act: Act) -> bool:
        """Tells whether another therapy had cells in the area of a step while the step was under way."""
        use = area_use(act) if self.area_uses else None
        return use is not None and any(use.shares_with(other) for other in self.area_uses)

    def others(self, key: bytes, stream: bytes) -> bool:
        """Tells whether a stream other than `stream` stands behind `key`."""
        streams = self.creators.get(key, frozenset())
        return bool(streams) and (len(streams) > 1 or stream not in streams)

    def claims_of_others(self, stream: bytes) -> frozenset[bytes]:
        """Returns the keys behind which a stream other than `stream` stands: all that rules ever look at."""
        return frozenset(key for key in self.creators if self.others(key, stream))


def creates_key(material: bytes) -> bytes:
    """Returns the key of a stream that creates `material`."""
    return b"C" + material


def names_key(material: bytes) -> bytes:
    """Returns the key of a stream that names `material`."""
    return b"N" + material


def din_number(din: str) -> str:
    """Returns the 13 characters that name the donation, from a number as scanned, printed or typed."""
    return "".join(din.split()).removeprefix("=")[:_DIN_CHARACTERS]


def din_key(din: str) -> bytes:
    """Returns the key of a stream that claims the donation number `din`, however it was read."""
    return b"D" + din_number(din).encode()


def _asset_key(prefix: bytes, asset: str) -> bytes:
    # By digest, for an asset identifier may be as long as its owner likes.
    return prefix + hashlib.sha256(asset.encode()).digest()[:_ASSET_BYTES]


def uses_key(asset: str) -> bytes:
    """Returns the key of a stream that uses the equipment with this asset identifier."""
    return _asset_key(b"E", asset)


def registers_key(asset: str) -> bytes:
    """Returns the key of a stream that registers equipment under this asset identifier."""
    return _asset_key(b"R", asset)


def course_key(course: bytes) -> bytes:
    """Returns the key of a stream that links the therapy `course` to itself as another course of its patient."""
    return b"L" + course


def container_keys(consignment: bytes, container: str) -> tuple[bytes, bytes]:
    """Returns the keys of streams that packed something sealed, and something unsealed, into a container."""
    suffix = hashlib.sha256(consignment + container.encode()).digest()[:_CONTAINER_BYTES]
    return b"P" + suffix, b"O" + suffix


def _created(act: Act) -> tuple[bytes, ...]:
    match act.body:
        case (
            harvest.CollectionCompleted() | modification.MaterialDivided() | returned.MaterialReconstituted()
        ) as body:
            return tuple(output.material for output in body.outputs)
        case modification.MaterialPooled() as body:
            return (body.output.material,)
        case body if is_work(body):
            return tuple(output.material for output in body.outputs)
        case _:
            return ()


def named_materials(act: Act) -> tuple[bytes, ...]:
    """Returns the materials that a statement of a therapy names without creating them, in the body's order."""
    match act.body:
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
            | transport.MaterialReturned()
            | returned.MaterialReconstituted()
            | returned.RemainderRetained()
        ) as body:
            return (body.material,)
        case (
            harvest.IdentityChecked()
            | harvest.UnitTransferred()
            | harvest.ReidentificationPerformed()
            | harvest.FreshHoldStarted()
            | harvest.CryopreservationStarted()
            | modification.MaterialAccessioned()
            | modification.MaterialAccepted()
            | modification.BatchReleased()
            | modification.BatchReleasedConditionally()
            | modification.OutOfSpecificationRequested()
            | modification.OutOfSpecificationReleased()
            | returned.ReactionObserved()
            | returned.ToxicityGraded()
            | returned.AdverseEventReported()
            | transport.PossessionReported()
            | transport.CustodyEstablished()
            | transport.ConditionDisposed()
        ) as body:
            return tuple(body.materials)
        case harvest.CryopreservationCompleted() as body:
            return (*body.materials, *body.failed)
        case labels.LabelReadBack() as body:
            return (body.material,)
        case body if is_work(body):
            return inputs_of(body)
        case modification.MaterialPooled() as body:
            return tuple(body.inputs)
        case modification.DosePlanned() as body:
            return tuple(bag.material for bag in body.bags)
        case modification.ResultReported() as body:
            return (body.sample,)
        case returned.BreachDecided() as body:
            return (body.culture_sample,)
        case (quality.HoldPlaced() | quality.DeviationRaised() | quality.GateOverridden()) as body:
            if body.scope.kind == quality.SCOPE_KIND_MATERIAL:
                return tuple(body.scope.ids)
            return ()
        case _:
            return ()


def cited_streams(act: Act) -> frozenset[bytes]:
    """Returns the streams of the consignments and lots that a statement of a therapy cites."""
    cited = {lot.lot for _, lot in lots_used(act.body) if len(lot.lot) == _STREAM_BYTES}
    match act.body:
        case (harvest.MaterialPacked() | harvest.MaterialReceived()) as body:
            if len(body.consignment) == _STREAM_BYTES:
                cited.add(body.consignment)
        case _:
            pass
    return frozenset(cited)


def reference_keys(act: Act) -> frozenset[bytes]:
    """Returns every key that a statement of a therapy, or of a piece of equipment, links its stream to."""
    if isinstance(act.body, facilities.EquipmentRegistered):
        return frozenset((registers_key(act.body.asset),))
    keys = set(cited_streams(act))
    keys.update(uses_key(asset) for _, asset in equipment_used(act.body))
    created = _created(act)
    keys.update(creates_key(material) for material in created)
    keys.update(names_key(material) for material in named_materials(act) if material and material not in created)
    match act.body:
        case harvest.CollectionStarted() as body if body.din:
            keys.add(din_key(body.din))
        case harvest.CourseLinked() as body if len(body.course) == _STREAM_BYTES:
            keys.add(course_key(body.course))
        case modification.MaterialAccessioned() as body if body.batch:
            keys.add(creates_key(body.batch))
        case harvest.MaterialPacked() as body:
            sealed, unsealed = container_keys(body.consignment, body.container)
            keys.add(unsealed if body.unsealed else sealed)
        case _:
            pass
    if (use := area_use(act)) is not None:
        keys.update(area_keys(use))
    return frozenset(keys)
