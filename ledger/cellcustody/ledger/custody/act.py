"""A statement as the rules see it.

The rules of this module:

* An act carries nothing that may be shredded: fields of the classes IDENTITY and CLINICAL are cleared from its body
  before it is made, at ingest as at replay, so that judging again never needs them.
* What was found at entry (key, capability, role, scope, training, clock, check characters, comparison of identifiers)
  stays with the act as `entry_findings` and `comparisons`; only the fold's own findings are ever revised.
* Acts are ordered by what they name or have seen, then by the start of their occurrence, then by digest; never by
  the order of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from google.protobuf.message import Message

from cellcustody.ledger.values import value


class Status(IntEnum):
    """What became of a statement; the numbers are those of JudgementStatus in the contract."""

    CONFORMING = 1
    NONCONFORMING = 2
    AWAITING = 3
    PENDING = 4
    IN_EFFECT = 5
    RECORDED = 6


@value(frozen=True, slots=True, order=True)
class Finding:
    """One rule's word on an act: a stable code and the numbers of the body's leaves concerned, ascending."""

    code: str
    leaves: tuple[int, ...] = ()


class Outcome(IntEnum):
    """Outcome of one comparison of identifiers; the numbers are those of ComparisonOutcome in the contract."""

    MATCH = 1
    MISMATCH = 2
    UNREADABLE = 3
    NOT_COMPARED = 4


@dataclass(frozen=True, slots=True)
class Comparison:
    """The vault's word on the identifier in one leaf."""

    leaf: int
    outcome: Outcome


@value(frozen=True, slots=True)
class Judged:
    """A status with its findings, in order of code."""

    status: Status
    findings: tuple[Finding, ...] = ()


@value(frozen=True, slots=True)
class Act:
    """A statement of a therapy's, consignment's, lot's or site's stream, as the rules see it.

    Times are microseconds since 1970-01-01T00:00:00Z. `site` is the signer's site as registered at `leaf_index`.
    `body` is the decoded body without IDENTITY and CLINICAL fields; a co-signature's is None and its `joins` is set.
    `field_numbers` are those committed, one a leaf, so that a finding can name leaves.
    """

    digest: bytes
    stream: bytes
    leaf_index: int
    body_type: str
    body: Message | None
    signer: bytes
    site: bytes
    role: str
    occurred_start: int
    occurred_end: int | None
    signed_at: int
    seen: tuple[tuple[bytes, bytes], ...] = ()
    field_numbers: tuple[int, ...] = ()
    joins: bytes | None = None
    policy_digest: bytes = b""
    entry_findings: tuple[Finding, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    is_authorisation: bool = False
    # Leaf index of the entry at which a pending authorisation took effect; its own where none was outstanding.
    in_effect_at: int | None = field(default=None)

    @property
    def sort_key(self) -> tuple[int, bytes]:
        """Where the act stands among those that nothing else orders: start of occurrence, then digest."""
        return (self.occurred_start, self.digest)

    def leaves_of(self, *numbers: int) -> tuple[int, ...]:
        """Returns the numbers of the leaves that carry these fields of the body."""
        return tuple(i for i, number in enumerate(self.field_numbers) if number in numbers)


@value(frozen=True, slots=True, order=True)
class UnitRef:
    """A part of a site that answers for materials; an empty `unit` means the site as a whole."""

    site: bytes
    unit: str = ""
