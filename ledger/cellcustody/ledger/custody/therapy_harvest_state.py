"""What a therapy knows of its way to the frozen bag: eligibility, screening, slots, kits, labels, cold.

The rules of this module:

* It is made by evolution alone, holds nothing of the classes IDENTITY and CLINICAL, and names statements by digest.
* A label's serial has one fate: printed (or counted in with a kit), then applied, voided or returned; an applied label
  that is voided is voided. One that was applied without having been printed stands here as applied and never printed.
* Materials wait fresh from their first fresh hold, and are frozen from the end of their freezing.

Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from cellcustody.ledger.custody.act import UnitRef

__all__ = [
    "CourseLink",
    "EligibilityRecord",
    "Freezing",
    "HarvestState",
    "Kit",
    "LabelFate",
    "LabelSerial",
    "LabelTally",
    "Reconciliation",
    "Screening",
    "Slot",
    "Study",
]


@dataclass(frozen=True, slots=True)
class EligibilityRecord:
    """An assessment of the patient; `outcome` is the contract's number."""

    digest: bytes
    outcome: int
    at: int


@dataclass(frozen=True, slots=True)
class Study:
    """A study that the patient takes part in."""

    digest: bytes
    study: str
    protocol: str
    at: int


@dataclass(frozen=True, slots=True)
class Screening:
    """One sample's markers; `evaluated` were tested, `left_out` were not, for the label's reason."""

    digest: bytes
    sample_at: int
    evaluated: frozenset[str]
    left_out: frozenset[str]
    biohazard: int
    label_reason: str


@dataclass(slots=True)
class Slot:
    """A place in manufacture; it stands until it is released. Times of 0 are not set."""

    reserved_by: bytes
    name: str
    attempt: int
    collect_from: int
    collect_until: int
    released_by: bytes = b""


@dataclass(slots=True)
class Kit:
    """A collection kit; `used_by` is the collection that took it."""

    received_by: bytes
    lot: bytes
    lot_number: str
    expires_at: int
    unit: UnitRef
    received_at: int
    used_by: bytes = b""


class LabelFate(StrEnum):
    """What became of a label."""

    PRINTED = "printed"
    APPLIED = "applied"
    VOIDED = "voided"
    RETURNED = "returned"


@dataclass(slots=True)
class LabelSerial:
    """One label: who answers for it, since when, what it was printed with and what became of it."""

    serial: str
    unit: UnitRef
    known_by: bytes
    known_at: int
    din: str = ""
    fate: LabelFate = LabelFate.PRINTED
    fate_by: bytes = b""
    fate_at: int = 0
    was_printed: bool = True

    @property
    def changed_at(self) -> int:
        """Returns when something was last said of it."""
        return max(self.known_at, self.fate_at)


@dataclass(frozen=True, slots=True)
class LabelTally:
    """How many labels were printed, and what became of them."""

    printed: int
    applied: int
    voided: int
    returned: int

    @property
    def difference(self) -> int:
        """Returns how many labels nobody accounts for; negative where more turned up than were printed."""
        return self.printed - self.applied - self.voided - self.returned


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A unit's count of its labels; `is_sound` if it balanced and agreed with the ledger."""

    digest: bytes
    unit: UnitRef
    at: int
    is_sound: bool


@dataclass(frozen=True, slots=True)
class CourseLink:
    """Another course of the same patient; `relation` is the contract's number. Identity is never merged."""

    digest: bytes
    course: bytes
    relation: int
    coi: str


@dataclass(slots=True)
class Freezing:
    """Materials in a freezer from `started_at`."""

    started_by: bytes
    materials: frozenset[bytes]
    unit: UnitRef
    started_at: int
    completed_by: bytes = b""


@dataclass(slots=True)
class HarvestState:
    """The harvest as its acts have brought it."""

    eligibility: list[EligibilityRecord] = field(default_factory=list)
    studies: dict[str, Study] = field(default_factory=dict)
    screenings: list[Screening] = field(default_factory=list)
    slots: dict[bytes, Slot] = field(default_factory=dict)
    kits: dict[bytes, Kit] = field(default_factory=dict)
    labels: dict[str, LabelSerial] = field(default_factory=dict)
    read_back: dict[bytes, bytes] = field(default_factory=dict)
    reconciliations: list[Reconciliation] = field(default_factory=list)
    courses: list[CourseLink] = field(default_factory=list)
    fresh_since: dict[bytes, int] = field(default_factory=dict)
    freezings: dict[bytes, Freezing] = field(default_factory=dict)
    frozen_at: dict[bytes, int] = field(default_factory=dict)

    def last_eligibility(self, at: int) -> EligibilityRecord | None:
        """Returns the last assessment up to `at`."""
        return max(
            (one for one in self.eligibility if one.at <= at), key=lambda one: (one.at, one.digest), default=None
        )

    def labels_of(self, unit: UnitRef) -> Iterator[LabelSerial]:
        """Yields the labels that a unit answers for; a unit without a name is its site as a whole."""
        for label in self.labels.values():
            if label.unit.site == unit.site and (not unit.unit or not label.unit.unit or label.unit.unit == unit.unit):
                yield label

    def tally(self, unit: UnitRef) -> LabelTally:
        """Counts a unit's labels."""
        fates = dict.fromkeys(LabelFate, 0)
        printed = 0
        for label in self.labels_of(unit):
            fates[label.fate] += 1
            printed += label.was_printed
        return LabelTally(printed, fates[LabelFate.APPLIED], fates[LabelFate.VOIDED], fates[LabelFate.RETURNED])
