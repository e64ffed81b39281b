"""State of a batch: what was done in it, what tests said, what quality decided.

The rules of this module:

* A batch is open until quality's first word on it; one that was rejected or terminated stays so.
* Results are kept by test in the order of the fold, so that the last one counts; those made during manufacture or on
  the starting material steer it and never count towards release.
* What a conditional release leaves open closes with the final result that passes.

Times are microseconds since 1970-01-01T00:00:00Z.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from cellcustody.ledger.custody.act import UnitRef
from cellcustody.ledger.custody.policy import ResultPhase
from cellcustody.v1 import modification_pb2 as modification

__all__ = [
    "BatchState",
    "BatchStatus",
    "Clearance",
    "OutOfSpecificationRequest",
    "OutOfSpecificationSupport",
    "ResultRecord",
    "ResultVerdict",
    "Review",
    "Step",
    "Support",
    "phase_of",
]


class BatchStatus(StrEnum):
    """Quality's word on a batch so far; the texts are those of BatchRecord.state in the contract."""

    OPEN = "open"
    RELEASED = "released"
    CONDITIONALLY_RELEASED = "conditionally_released"
    RELEASED_OUT_OF_SPECIFICATION = "released_out_of_specification"
    REJECTED = "rejected"
    TERMINATED = "terminated"

    @property
    def has_failed(self) -> bool:
        """Tells whether nothing of the batch will be given."""
        return self in (BatchStatus.REJECTED, BatchStatus.TERMINATED)


class ResultVerdict(IntEnum):
    """Outcome of a test; the numbers are those of ResultOutcome in the contract."""

    PASS = 1
    FAIL = 2
    INVALID = 3


@dataclass(frozen=True, slots=True)
class Step:
    """A step of manufacturing in a batch: `kind` is the short name of its body."""

    kind: str
    digest: bytes
    at: int
    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    process_area: str


@dataclass(frozen=True, slots=True)
class ResultRecord:
    """One reported result; `phase` is the stage of the process at which the pack limits it."""

    digest: bytes
    test: str
    verdict: ResultVerdict
    interim: bool
    sample: bytes
    at: int
    phase: ResultPhase = ResultPhase.RELEASE

    @property
    def counts(self) -> bool:
        """Tells whether it speaks for or against a release."""
        return self.phase in (ResultPhase.RELEASE, ResultPhase.LATE)


@dataclass(frozen=True, slots=True)
class Clearance:
    """A process area that was cleared for a batch; `is_sound` if it was found clear and broke no rule."""

    digest: bytes
    area: str
    site: bytes
    at: int
    is_sound: bool


@dataclass(frozen=True, slots=True)
class Review:
    """Quality's review of the batch record; `acceptable` if nothing stands in the way of a release."""

    digest: bytes
    acceptable: bool
    at: int


@dataclass(slots=True)
class BatchState:
    """A batch; `results` holds, by test, the results in the order of the fold; `open_items` dues by test."""

    batch: bytes
    batch_number: str
    attempt: int
    unit: UnitRef
    opened_by: bytes
    opened_at: int
    status: BatchStatus = BatchStatus.OPEN
    decided_by: bytes = b""
    started_by: bytes = b""
    materials: list[bytes] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    results: dict[str, list[ResultRecord]] = field(default_factory=dict)
    clearances: dict[bytes, Clearance] = field(default_factory=dict)
    reviews: list[Review] = field(default_factory=list)
    open_items: dict[str, int] = field(default_factory=dict)

    def last_result(self, test: str) -> ResultRecord | None:
        """Returns the result of a test that counts towards release, or None."""
        for one in reversed(self.results.get(test, ())):
            if one.counts:
                return one
        return None


@dataclass(frozen=True, slots=True)
class OutOfSpecificationRequest:
    """A physician's request for bags outside their specification; `is_sound` if it broke no rule."""

    digest: bytes
    batch: bytes
    materials: frozenset[bytes]
    results: frozenset[bytes]
    is_sound: bool
    documents: frozenset[str]


class Support(StrEnum):
    """What a request for bags outside their specification is answered with before quality's decision."""

    RISK_EVALUATED = "risk evaluated"
    PATIENT_INFORMED = "patient informed"
    AUTHORITY_NOTIFIED = "authority notified"


@dataclass(frozen=True, slots=True)
class OutOfSpecificationSupport:
    """One answer to such a request; `is_sound` if it broke no rule and speaks for the release."""

    digest: bytes
    kind: Support
    request: bytes
    is_sound: bool
    documents: frozenset[str]


_PHASES = {
    modification.RESULT_PHASE_STARTING_MATERIAL: ResultPhase.STARTING_MATERIAL,
    modification.RESULT_PHASE_IN_PROCESS: ResultPhase.IN_PROCESS,
}


def phase_of(result: modification.ResultReported) -> ResultPhase:
    """Returns the stage at which a result speaks; one that states none speaks for release."""
    return _PHASES.get(result.phase, ResultPhase.RELEASE)
