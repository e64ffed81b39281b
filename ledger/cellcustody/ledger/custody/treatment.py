"""What a therapy's state keeps of the treatment itself: conditioning, monitoring, late results, follow-up.

The rules of this module:

* Nothing here is of the classes IDENTITY and CLINICAL: no agent, grade or finding about a patient. Grades are read from
  the openings of the statements listed here, by whoever may (`toxicity`).
* Records are made by evolution alone. What is due is computed from them (`after_infusion`), never stored.

Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from cellcustody.ledger.values import value

__all__ = [
    "Breach",
    "FollowUp",
    "Handling",
    "HandlingKind",
    "Lymphodepletion",
    "Observed",
    "RecordPassed",
    "ResultNotice",
    "Treatment",
    "when",
]


class HandlingKind(Enum):
    """What was done to a material, as far as its time out of the cold goes."""

    STORED = "stored"
    MOVED = "moved"
    PACKED = "packed"
    TAKEN_OUT = "taken out"
    THAWED = "thawed"
    FROZEN = "frozen"


@value(frozen=True, slots=True)
class Handling:
    """One act by which a material left or reached a store, from its start to its end.

    `millicelsius` is the temperature of the store in thousandths of a degree, None if none was stated.
    """

    start: int
    end: int
    kind: HandlingKind
    digest: bytes
    millicelsius: int | None = None


def when(handling: Handling) -> tuple[int, bytes]:
    """Returns what handlings are ordered by: their start, then the digest of the act."""
    return handling.start, handling.digest


@dataclass(slots=True)
class Lymphodepletion:
    """One course of lymphodepletion; the time to the infusion counts from `stopped_at`."""

    started_by: bytes
    course: int
    site: bytes
    started_at: int
    stopped_by: bytes = b""
    stopped_at: int | None = None
    is_complete: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """A toxicity graded, an adverse event or a day's monitoring: when, and the statement that says what."""

    digest: bytes
    at: int
    site: bytes


@dataclass(slots=True)
class ResultNotice:
    """The infusing site told of a result: by whom it was told, and when it said that it knows."""

    notified_by: bytes
    result: bytes
    site: bytes
    notified_at: int
    acknowledged_by: bytes = b""
    acknowledged_at: int | None = None


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A visit after infusion; `outcome` is the contract's number, 0 where none was stated."""

    digest: bytes
    visit: str
    at: int
    outcome: int


@dataclass(frozen=True, slots=True)
class Breach:
    """A physician's decision in effect about a bag that was not whole after its thaw."""

    decided_by: bytes
    thawed: bytes
    is_to_be_used: bool


@dataclass(frozen=True, slots=True)
class RecordPassed:
    """The record of the therapy passed from one site to another, with a full copy up to a size of the log."""

    digest: bytes
    to: bytes
    copy_sha256: bytes
    checkpoint_size: int
    at: int


@dataclass(slots=True)
class Treatment:
    """The treatment as far as the therapy's acts, judged, have brought it."""

    lymphodepletions: dict[bytes, Lymphodepletion] = field(default_factory=dict)
    premedications: list[Observed] = field(default_factory=list)
    toxicities: list[Observed] = field(default_factory=list)
    adverse_events: list[Observed] = field(default_factory=list)
    monitored: list[Observed] = field(default_factory=list)
    notices: dict[bytes, ResultNotice] = field(default_factory=dict)
    follow_ups: list[FollowUp] = field(default_factory=list)
    breaches: dict[bytes, Breach] = field(default_factory=dict)
    records_passed: list[RecordPassed] = field(default_factory=list)
    reopened_by: list[bytes] = field(default_factory=list)
