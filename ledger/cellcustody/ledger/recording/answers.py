"""What goes into a ledger and what comes out: submissions, answers, assessments, entries with their openings.

The rules:

* An answer tells a position only for what is durable, in the log, and under a signed and journalled checkpoint.
* A caller who stops waiting knows nothing of the outcome; the same statement sent again gets the same position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from cellcustody.ledger.custody.act import Judged, Status
from cellcustody.ledger.entries import JudgedEntry
from cellcustody.ledger.errors import NotFoundError, RefusedError, StoreError
from cellcustody.ledger.recording.planning import Explained
from cellcustody.ledger.statements import Opening
from cellcustody.ledger.values import value

__all__ = [
    "Assessment",
    "BeyondCheckpointError",
    "EntryView",
    "OutcomeUnknownError",
    "PlainRecorded",
    "Recorded",
    "Submission",
    "plain_of",
    "recorded_of",
]


class OutcomeUnknownError(StoreError):
    """Raised when the time to wait is up: the statement may be recorded or not. Send the same one again."""

    reason = "OUTCOME_UNKNOWN"


class BeyondCheckpointError(NotFoundError):
    """Raised when a proof, tile or entry is asked for that no checkpoint covers yet."""

    reason = "BEYOND_CHECKPOINT"


@value(frozen=True, slots=True)
class Submission:
    """One signed statement with the openings of its whole body, and the site whose TLS key brought it (or empty)."""

    envelope: bytes
    openings: tuple[Opening, ...]
    submitting_site: bytes


@value(frozen=True, slots=True)
class Recorded:
    """What became of a statement that was recorded; `position` is its leaf index + 1."""

    position: int
    statement_digest: bytes
    judgement: JudgedEntry | None
    explained: tuple[Explained, ...]
    receipt: bytes | None
    already_recorded: bool
    holds_opened: tuple[bytes, ...]


PlainJudgement: TypeAlias = JudgedEntry | tuple[str, bytes, bytes, int] | None
PlainRecorded: TypeAlias = tuple[
    int, bytes, PlainJudgement, tuple[Explained, ...], bytes | None, bool, tuple[bytes, ...]
]
"""An answer as it travels to another process; a judgement without findings, as most are, as plain values."""


def plain_of(recorded: Recorded, checkpoint: bytes) -> PlainRecorded:
    """Returns an answer as plain values; a receipt that ends in `checkpoint`, which travels beside it, without that."""
    judgement = recorded.judgement
    told: PlainJudgement = judgement
    if judgement is not None and not judgement.judged.findings and not judgement.comparisons:
        status = judgement.judged.status.name
        told = (status, judgement.policy_digest, judgement.puts_in_effect, judgement.rule_set)
    receipt = recorded.receipt
    return (
        recorded.position,
        recorded.statement_digest,
        told,
        recorded.explained,
        None if receipt is None else receipt.removesuffix(checkpoint),
        recorded.already_recorded,
        recorded.holds_opened,
    )


def recorded_of(plain: PlainRecorded, checkpoint: bytes) -> Recorded:
    """Returns the answer that `plain_of` made these values of."""
    position, statement_digest, told, explained, receipt, already_recorded, holds_opened = plain
    if isinstance(told, tuple):
        status, policy_digest, puts_in_effect, rule_set = told
        told = JudgedEntry(Judged(Status[status]), policy_digest, (), puts_in_effect, rule_set)
    if receipt is not None:
        receipt += checkpoint
    return Recorded(position, statement_digest, told, explained, receipt, already_recorded, holds_opened)


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the ledger would find now; nothing was written."""

    judgement: JudgedEntry | None
    explained: tuple[Explained, ...]
    refusal: RefusedError | None
    position: int
    co_signers_needed: int


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry with everything of its body that is still there, and the judgement that counts now."""

    leaf_index: int
    stream: bytes
    entry: bytes
    openings: tuple[Opening, ...]
    latest_judgement: JudgedEntry
