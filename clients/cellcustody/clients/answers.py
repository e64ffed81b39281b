"""Read what the ledger answers to an append into this package's own values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cellcustody.clients.errors import ExplainedFinding, StatementRefused
from cellcustody.clients.session import SignedStatement
from cellcustody.ledger.custody.act import Status
from cellcustody.v1 import ledger_service_pb2

__all__ = ["Recorded", "explained_findings", "recorded_of", "refusal_of"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A statement in the log: durable when this is returned."""

    position: int
    statement_id: bytes
    statement_digest: bytes
    stream: bytes
    status: Status
    findings: tuple[ExplainedFinding, ...]
    receipt: bytes
    already_recorded: bool
    holds_opened: tuple[bytes, ...]
    puts_in_effect: bytes
    """The authorisation that this co-signature put in effect; empty otherwise."""

    witnessed: bool = False
    """Whether the receipt is under a checkpoint that a quorum of witnesses cosigned, as was waited for."""

    @property
    def leaf_index(self) -> int:
        """Where the entry stands in the log, from 0."""
        return self.position - 1


def recorded_of(statement: SignedStatement, answer: ledger_service_pb2.SubmitResponse) -> Recorded:
    """Returns what became of a statement."""
    return Recorded(
        position=answer.position,
        statement_id=statement.statement_id,
        statement_digest=answer.statement_digest,
        stream=statement.stream,
        status=Status(answer.judgement.status),
        findings=explained_findings(answer.explained),
        receipt=answer.receipt,
        already_recorded=answer.already_recorded,
        holds_opened=tuple(answer.holds_opened),
        puts_in_effect=answer.judgement.puts_in_effect,
        witnessed=answer.witnessed,
    )


def refusal_of(statement: SignedStatement, refusal: ledger_service_pb2.Refusal) -> StatementRefused:
    """Returns the refusal of one statement of a batch."""
    return StatementRefused(
        refusal.message,
        refusal_reason=refusal.reason,
        refused_values={value.name: value.value for value in refusal.values},
        findings=explained_findings(refusal.findings),
        retryable=refusal.retryable,
        statement=statement,
    )


def explained_findings(findings: Iterable[ledger_service_pb2.ExplainedFinding]) -> tuple[ExplainedFinding, ...]:
    """Returns findings in words."""
    return tuple(
        ExplainedFinding(
            finding.code,
            finding.strength,
            finding.explanation,
            tuple((value.name, value.value) for value in finding.values),
        )
        for finding in findings
    )
