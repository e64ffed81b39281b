"""Say what a replay found of each entry, and count it.

The rules:

* JUDGED: the rules, run again over the same acts, make the judgement that the entry carries, word for word.
* UNVERIFIED: they could not be run, because a record that they read is closed, a stream that they look at is closed or
  disputed, or their rule-set is not known here. The reason is told; it is never taken for a success.
* FALSE: they make another judgement, or what the entry shows cannot be at all. It is a lie of the ledger, whoever runs
  it: the same program says otherwise over the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["ReplayFinding", "ReplayOutcome", "Replayed"]


class ReplayOutcome(StrEnum):
    """What a replay found of one entry."""

    JUDGED = "JUDGED"
    UNVERIFIED = "UNVERIFIED"
    FALSE = "FALSE"


@dataclass(frozen=True, slots=True)
class ReplayFinding:
    """What is wrong with an entry: a stable code, where, and what was said instead of what."""

    code: str
    leaf_index: int
    stream: bytes
    said: str
    expected: str


@dataclass(slots=True)
class Replayed:
    """What became of entries so far. In `comparisons` entries, comparisons of identifiers were the ledger's word."""

    entries: int = 0
    judged: int = 0
    unverified: int = 0
    comparisons: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    findings: list[ReplayFinding] = field(default_factory=list)

    def count(self, outcome: ReplayOutcome, reason: str = "") -> None:
        """Counts one entry."""
        self.entries += 1
        match outcome:
            case ReplayOutcome.JUDGED:
                self.judged += 1
            case ReplayOutcome.UNVERIFIED:
                self.unverified += 1
                self.reasons[reason] = self.reasons.get(reason, 0) + 1
            case ReplayOutcome.FALSE:
                pass
