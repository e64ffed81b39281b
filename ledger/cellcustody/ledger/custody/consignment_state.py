"""What is known of one consignment: its containers, who answers for each, who has it, and the handoffs.

The rules of this module:

* Accountable custodian and reported possessor are two things; where they differ, both are shown.
* A possessor of None means that nobody has said who has the container.
* A release is open until it is answered, refused, withdrawn or settled by an authorisation.
* Times are microseconds since 1970-01-01T00:00:00Z, as their statements claim them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from cellcustody.ledger.custody.act import UnitRef
from cellcustody.ledger.custody.fold import FoldState
from cellcustody.ledger.custody.holds import Hold, ScopeOfHold
from cellcustody.v1.common_pb2 import Condition, LineOutcome, LoggerSummary, Quantity, Unit

__all__ = [
    "ConsignmentState",
    "ContainerState",
    "CustomsStay",
    "LoggerReading",
    "LoggerState",
    "Release",
    "ReleaseStatus",
    "unit_ref",
]


def unit_ref(unit: Unit) -> UnitRef:
    """Returns the unit that a body names."""
    return UnitRef(unit.site, unit.unit)


class ReleaseStatus(StrEnum):
    """What became of a release."""

    OPEN = "open"
    ANSWERED = "answered"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    SETTLED = "settled"


@dataclass(slots=True)
class Release:
    """The custodian's half of a handoff. `phantom` are containers that the releaser did not answer for."""

    digest: bytes
    releaser: UnitRef
    receiver: UnitRef
    containers: tuple[str, ...]
    released_at: int
    phantom: frozenset[str] = frozenset()
    status: ReleaseStatus = ReleaseStatus.OPEN
    answered_by: bytes | None = None
    answered_at: int | None = None
    is_unsigned_by_receiver: bool = False


@dataclass(slots=True)
class LoggerState:
    """A data logger started in a container, with its band where one was given."""

    logger: str
    calibrated_until: int
    interval_seconds: int
    band_min: Quantity | None = None
    band_max: Quantity | None = None
    grace_seconds: int = 0


@dataclass(frozen=True, slots=True)
class LoggerReading:
    """What an inspection said of one logger, and what the ledger makes of it."""

    inspection: bytes
    at: int
    summary: LoggerSummary
    shown: Condition.ValueType


@dataclass(slots=True)
class CustomsStay:
    """Containers that an authority keeps or kept; `cleared_by` is empty while it does."""

    held_by: bytes
    containers: frozenset[str]
    since: int
    cleared_by: bytes = b""
    cleared_at: int | None = None


@dataclass(slots=True)
class ContainerState:
    """One container. `release` is the open release that names it; `condition` what its loggers showed last."""

    container: str
    custodian: UnitRef | None
    possessor: UnitRef | None
    kind: str = ""
    asset: str = ""
    qualified_until: int = 0
    declared_logger: str = ""
    is_declared: bool = True
    release: bytes | None = None
    seals: set[str] = field(default_factory=set)
    has_broken_seal: bool = False
    loggers: dict[str, LoggerState] = field(default_factory=dict)
    condition: Condition.ValueType | None = None
    last_outcome: LineOutcome.ValueType | None = None
    custodian_since: int = 0
    possessor_since: int = 0
    # The attested acceptance by which it came to its custodian, until a second person has joined that.
    attested_by: bytes | None = None
    place: str = ""
    coi: str = ""  # As printed on its outside.
    coolant_until: int = 0
    is_lost: bool = False
    # When it first left the unit that ships; its leg begins there.
    departed_at: int | None = None
    readings: dict[str, LoggerReading] = field(default_factory=dict)
    inspected_by: bytes = b""

    @property
    def is_disputed(self) -> bool:
        """Whether somebody else than the custodian's site is said to have it, or nobody is."""
        return self.possessor is None or self.custodian is None or self.possessor.site != self.custodian.site

    def give_custody(self, unit: UnitRef, since: int) -> None:
        """Lets the unit answer for the container and have it."""
        if self.departed_at is None and self.custodian not in (None, unit):
            self.departed_at = since
        self.custodian = unit
        self.custodian_since = since
        self.give_possession(unit, since)

    def give_possession(self, unit: UnitRef | None, since: int) -> None:
        """Notes who has the container, or that nobody says so."""
        self.possessor = unit
        self.possessor_since = since
        if unit is not None:
            self.is_lost = False


@dataclass(slots=True)
class ConsignmentState(FoldState):
    """A consignment as its acts leave it; `holds` are those that stand."""

    stream: bytes = b""
    unit: UnitRef | None = None
    destination: UnitRef | None = None
    carrier: bytes = b""
    consignment_number: str = ""
    containers: dict[str, ContainerState] = field(default_factory=dict)
    releases: dict[bytes, Release] = field(default_factory=dict)
    opened_by: bytes | None = None
    closed_by: bytes | None = None
    closed_at: int | None = None
    last_place: str = ""
    customs: dict[bytes, CustomsStay] = field(default_factory=dict)
    documents: frozenset[bytes] = frozenset()

    @classmethod
    def within(cls, stream: bytes, state: FoldState) -> ConsignmentState:
        """Returns the state before any act of a consignment that is folded jointly, as a part of `state`.

        Co-signers, placed acts, replacements and retractions are those of `state`; holds are the consignment's own.
        """
        return cls(
            stream=stream,
            cosigners=state.cosigners,
            placed=state.placed,
            replaced_by=state.replaced_by,
            retracted=state.retracted,
        )

    @property
    def opened(self) -> bool:
        """Whether its opening is known."""
        return self.opened_by is not None

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self.closed_by is not None

    def release_of(self, digest: bytes) -> Release | None:
        """Returns the release with this digest, or the one that replaced it."""
        return self.releases.get(self.current(digest))

    def open_releases(self) -> tuple[Release, ...]:
        """Returns the releases that wait for an answer, oldest first."""
        waiting = [one for one in self.releases.values() if one.status is ReleaseStatus.OPEN]
        return tuple(sorted(waiting, key=lambda one: (one.released_at, one.digest)))

    def holds_on(self, container: str) -> tuple[Hold, ...]:
        """Returns the holds that cover the container, in order of id."""
        covering = [
            hold
            for hold in self.holds.values()
            if hold.scope is ScopeOfHold.CONSIGNMENT and (not hold.containers or container in hold.containers)
        ]
        return tuple(sorted(covering, key=lambda hold: hold.hold))
