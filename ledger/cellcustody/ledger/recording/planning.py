"""What judging one statement yields: the entries to record, and everything that must become durable with them.

The rules:

* A plan is one or more entries: the statement's own first, then the ledger's statements that its arrival causes.
* A plan holds no leaf index: the writer gives places in the log and in the streams, in the order of the group.
* Openings are sealed when the group is made, after the keys of their subjects are durable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.entries import JudgedEntry
from cellcustody.ledger.errors import AuthorisationRefusedError, RetryableRefusedError
from cellcustody.ledger.recording.prepared import Prepared
from cellcustody.ledger.statements import Opening
from cellcustody.ledger.store import Claim, IdentityMac, StreamLink
from cellcustody.ledger.values import value

__all__ = [
    "AlreadyRecorded",
    "Explained",
    "Judge",
    "Plan",
    "PlannedEntry",
    "RuleRefusedError",
    "RuleRefusedRetryableError",
    "SealedGroup",
]


@value(frozen=True, slots=True)
class Explained:
    """A finding in words, with its values by name."""

    code: str
    strength: str
    explanation: str
    values: tuple[tuple[str, str], ...] = ()


class RuleRefusedError(AuthorisationRefusedError):
    """Raised when rules refuse an authorisation; `findings` says all of them at once."""

    reason = "RULES_REFUSED"

    def __init__(self, message: str, findings: Sequence[Explained], /, **values: object) -> None:
        super().__init__(message, codes=" ".join(finding.code for finding in findings), **values)
        self.findings = tuple(findings)


class RuleRefusedRetryableError(RetryableRefusedError):
    """Raised when an authorisation names or has seen what is not in the log yet; send it again later."""

    reason = "PREDECESSOR_MISSING"

    def __init__(self, message: str, findings: Sequence[Explained], /, **values: object) -> None:
        super().__init__(message, codes=" ".join(finding.code for finding in findings), **values)
        self.findings = tuple(findings)


@value(frozen=True, slots=True)
class SealedGroup:
    """Openings of one (subject, class) that go to the vault."""

    subject: bytes
    disclosure_class: DisclosureClass
    openings: tuple[Opening, ...]


@value(frozen=True, slots=True)
class PlannedEntry:
    """One entry to record."""

    stream: bytes
    statement_id: bytes
    statement_digest: bytes
    envelope: bytes
    submitting_site: bytes
    judgement: JudgedEntry
    sealed: tuple[SealedGroup, ...] = ()


@dataclass(slots=True)
class Plan:
    """Everything that one statement's recording makes durable, and what its submitter is told."""

    entries: list[PlannedEntry]
    claims: list[Claim] = field(default_factory=list)
    links: list[StreamLink] = field(default_factory=list)
    identity_macs: list[IdentityMac] = field(default_factory=list)
    explained: tuple[Explained, ...] = ()
    holds_opened: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class AlreadyRecorded:
    """The statement is in the log already, or in the group being made."""

    leaf_index: int
    judgement: JudgedEntry | None


class Judge(Protocol):
    """Judges statements one after the other against state that includes earlier members of the same group."""

    def judge(self, prepared: Prepared, submitting_site: bytes, *, leaf_index: int, now: int) -> Plan | AlreadyRecorded:
        """Returns the plan for a statement that would be recorded at `leaf_index`, and moves the state on.

        Raises:
            RefusedError: it is refused; the state is as before.
        """

    def expect(self, statement_ids: Sequence[bytes]) -> None:
        """Tells which statements the next group brings, so that the store is asked for all of them at once."""

    def committed(self) -> None:
        """Tells that everything planned since the last call is durable."""

    def abandon(self) -> None:
        """Tells that nothing planned since the last call was committed; the state is read again from the store."""
