"""Say what a site may read, by its capabilities: one table, for questions, entries, names and exports.

The rules:

* A site reads by the row of each capability it has; what one row allows, no other takes away.
* A site at work with materials sees the therapies that it takes part in or has custody of, the consignments that it
  touched or in which those therapies travelled, and the lots it uses there.
* A carrier sees its consignments and nothing of any therapy, not even that one exists.
* Lots, sites, and the names in the registry are for every site that may see therapies: whoever is to use a lot, or to
  send something to a site, must know what stands against it.
* An auditor sees every stream's entries and judgements, told in fields of the classes PUBLIC and CUSTODY alone.
* A regulator sees every stream in all classes but IDENTITY; views hold neither IDENTITY nor CLINICAL.
* PUBLIC is for everyone. What a site's own people signed, the site reads back whole (`cellcustody.services`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.statements import StreamKind
from cellcustody.v1 import options_pb2

__all__ = ["READING", "Reach", "Reader", "Reading"]


class Reach(Enum):
    """Which streams of a kind a site sees."""

    NONE = 0
    OWN = 1
    ALL = 2


@dataclass(frozen=True, slots=True)
class Reading:
    """What one capability lets a site read."""

    therapies: Reach
    consignments: Reach
    classes: frozenset[DisclosureClass]

    def reach_in(self, stream: bytes) -> Reach:
        """Returns which streams of this one's kind it lets a site read."""
        match StreamKind(stream[0]):
            case StreamKind.THERAPY:
                return self.therapies
            case StreamKind.CONSIGNMENT:
                return self.consignments
            case _:
                return Reach.NONE if self.therapies is Reach.NONE else Reach.ALL


_PUBLIC: Final = frozenset({DisclosureClass.PUBLIC})
_C: Final = frozenset({DisclosureClass.PUBLIC, DisclosureClass.CUSTODY})
_O: Final = frozenset({DisclosureClass.OPERATIONAL})
_Q: Final = frozenset({DisclosureClass.QUALITY})

READING: Final[Mapping[int, Reading]] = {
    options_pb2.CAPABILITY_COLLECT: Reading(Reach.OWN, Reach.OWN, _C | _O),
    options_pb2.CAPABILITY_TRANSPORT: Reading(Reach.NONE, Reach.OWN, _C | _O),
    options_pb2.CAPABILITY_STORE: Reading(Reach.OWN, Reach.OWN, _C),
    options_pb2.CAPABILITY_PROCESS: Reading(Reach.OWN, Reach.OWN, _C | _O | _Q),
    options_pb2.CAPABILITY_TEST: Reading(Reach.OWN, Reach.OWN, _C | _O),
    options_pb2.CAPABILITY_RELEASE: Reading(Reach.OWN, Reach.OWN, _C | _O | _Q),
    options_pb2.CAPABILITY_INFUSE: Reading(Reach.OWN, Reach.OWN, _C | _O | _Q),
    options_pb2.CAPABILITY_AUDIT: Reading(Reach.ALL, Reach.ALL, _C),
    options_pb2.CAPABILITY_REGULATE: Reading(Reach.ALL, Reach.ALL, _C | _O | _Q | {DisclosureClass.CLINICAL}),
}
"""What each capability lets a site read."""


@dataclass(frozen=True, slots=True)
class Reader:
    """The site that asks, with its capabilities as registered at this moment."""

    site: bytes
    capabilities: frozenset[int]

    def _rows(self) -> list[Reading]:
        return [READING[capability] for capability in self.capabilities if capability in READING]

    @property
    def therapies(self) -> Reach:
        """Which therapies it sees."""
        return max((row.therapies for row in self._rows()), key=lambda reach: reach.value, default=Reach.NONE)

    @property
    def consignments(self) -> Reach:
        """Which consignments it sees."""
        return max((row.consignments for row in self._rows()), key=lambda reach: reach.value, default=Reach.NONE)

    @property
    def classes(self) -> frozenset[DisclosureClass]:
        """The classes of fields that it sees, in the streams that it sees."""
        return frozenset[DisclosureClass]().union(*(row.classes for row in self._rows()))

    def needs_part_in(self, stream: bytes) -> bool:
        """Tells whether what it reads of a stream depends on its taking part there."""
        return any(row.reach_in(stream) is Reach.OWN for row in self._rows())

    def classes_in(self, stream: bytes, *, takes_part: bool) -> frozenset[DisclosureClass]:
        """Returns the classes of fields that it reads of a stream; PUBLIC always."""
        reaching = {Reach.ALL, Reach.OWN} if takes_part else {Reach.ALL}
        return _PUBLIC.union(*(row.classes for row in self._rows() if row.reach_in(stream) in reaching))

    def may_read(self, disclosed: DisclosureClass) -> bool:
        """Tells whether it sees fields of this class."""
        return disclosed in self.classes
