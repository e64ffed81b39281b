"""What a client can meet, as one branch of the tree in `cellcustody.ledger.errors`; no transport type leaks.

    ClientError
    |- StatementRefused      the ledger did not take a statement; nothing of it is in the log
    |- OutcomeUnknown        it may or may not be recorded: retry with the same statement id
    |  `- LedgerStopped      the ledger has stopped recording, and someone must look at it first
    |- ServerUnavailable     nobody answered, and nothing was written
    |- Busy                  the server has too much to do, and wrote nothing
    |- MessageTooLarge       a request or an answer is larger than a side takes; sending it again does not help
    |- AccessDenied          this site or person may not call or read this
    |- NotFound              what was asked for is not recorded there
    |- RequestInvalid        the server did not understand the question
    |- ServerFailed          the server failed while answering a question
    |- SigningDeclined       whoever was shown the statement did not confirm it
    |- OutboxUnusable        the outbox file cannot be opened or does not hold what it should
    |- ExportTruncated       an export ended without its closing message
    |- ExportMismatched      an export's bytes are not those that its closing message promises
    `- LogInconsistent       the log showed something that does not follow from what it showed before

`reason` of the class says which of these it is; `refusal_reason` of a refusal is the ledger's own word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cellcustody.ledger.errors import ClientError

if TYPE_CHECKING:
    from cellcustody.clients.session import SignedStatement

__all__ = [
    "AccessDenied",
    "Busy",
    "ExplainedFinding",
    "ExportMismatched",
    "ExportTruncated",
    "LedgerStopped",
    "LogInconsistent",
    "MessageTooLarge",
    "NotFound",
    "OutboxUnusable",
    "OutcomeUnknown",
    "RequestInvalid",
    "ServerFailed",
    "ServerUnavailable",
    "SigningDeclined",
    "StatementRefused",
]


@dataclass(frozen=True, slots=True)
class ExplainedFinding:
    """One rule's word on a statement: a stable code, its strength, an explanation, and values by name."""

    code: str
    strength: str
    explanation: str
    values: tuple[tuple[str, str], ...] = ()


class StatementRefused(ClientError):
    """Raised when the ledger did not take a statement; `retryable` says whether it may be sent again unchanged."""

    reason = "STATEMENT_REFUSED"

    def __init__(
        self,
        message: str,
        /,
        *,
        refusal_reason: str,
        refused_values: Mapping[str, str] | None = None,
        findings: tuple[ExplainedFinding, ...] = (),
        retryable: bool = False,
        statement: SignedStatement | None = None,
    ) -> None:
        super().__init__(message)
        self.values.update(refused_values or {})
        self.refusal_reason = refusal_reason
        self.findings = findings
        self.retryable = retryable
        self.statement = statement

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={value}" for name, value in self.values.items())
        lines = [f"{self.refusal_reason}: {self.message}" + (f" ({shown})" if shown else "")]
        lines += [f"  {finding.strength} {finding.code}: {finding.explanation}" for finding in self.findings]
        return "\n".join(lines)


class OutcomeUnknown(ClientError):
    """Raised when a statement may or may not be recorded; sending `statement` again, unchanged, settles it."""

    reason = "OUTCOME_UNKNOWN"

    def __init__(self, message: str, /, *, statement: SignedStatement | None = None) -> None:
        super().__init__(f"{message}; retry with the same statement id")
        self.statement = statement
        if statement is not None:
            self.values["statement_id"] = statement.statement_id.hex()


class LedgerStopped(OutcomeUnknown):
    """Raised when the ledger has stopped recording and says why; a statement on its way then may be recorded or not.

    Trying again is of no use before someone has looked; then the same statement settles it.
    """

    reason = "LEDGER_STOPPED"


class ServerUnavailable(ClientError):
    """Raised when no server answered and nothing was written."""

    reason = "SERVER_UNAVAILABLE"


class Busy(ClientError):
    """Raised when the server has too much to do now and wrote nothing."""

    reason = "SERVER_BUSY"


class MessageTooLarge(ClientError):
    """Raised when a message is larger than the side that receives it takes; a request that large changed nothing."""

    reason = "MESSAGE_TOO_LARGE"


class AccessDenied(ClientError):
    """Raised when this site or person may not call or read this."""

    reason = "ACCESS_DENIED"


class NotFound(ClientError):
    """Raised when what was asked for is not recorded there, or not for this caller."""

    reason = "NOT_FOUND"


class RequestInvalid(ClientError):
    """Raised when the server could make no sense of a question; values name the fields."""

    reason = "REQUEST_INVALID"


class ServerFailed(ClientError):
    """Raised when the server failed while answering a question."""

    reason = "SERVER_FAILED"


class SigningDeclined(ClientError):
    """Raised when whoever was shown a statement did not confirm it; nothing was signed."""

    reason = "SIGNING_DECLINED"


class OutboxUnusable(ClientError):
    """Raised when an outbox, or an export of one, cannot be opened or does not hold what it should."""

    reason = "OUTBOX_UNUSABLE"


class ExportTruncated(ClientError):
    """Raised when an export ended without its closing message; what arrived is kept for resuming."""

    reason = "EXPORT_TRUNCATED"


class ExportMismatched(ClientError):
    """Raised when an export's length or digest is not what its closing message promises; the file is removed."""

    reason = "EXPORT_MISMATCHED"


class LogInconsistent(ClientError):
    """Raised when the log shows something that does not follow from what it showed before."""

    reason = "LOG_INCONSISTENT"
