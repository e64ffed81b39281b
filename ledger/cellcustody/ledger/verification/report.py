"""Say what was checked, with what result, how often; and what was not.

The rules:

* Every check has a line, whatever became of it. What a verifier cannot do is UNVERIFIED, never PASSED.
* PASSED carries how many things were checked and is never said of none.
* Without an anchor the most that is said is CONSISTENT, ISSUER UNPROVEN.
* A report tells what was verified; whether what was signed is true no verifier can tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import NamedTuple

__all__ = ["Check", "CheckLine", "KeyFinding", "Outcome", "Report", "Result", "StatementVerdict", "TimeFinding"]


class Outcome(StrEnum):
    """What a verifier says of a whole dossier."""

    VERIFIED = "VERIFIED"
    CONSISTENT_ISSUER_UNPROVEN = "CONSISTENT, ISSUER UNPROVEN"
    BROKEN = "BROKEN"


class Result(StrEnum):
    """What became of one check."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    UNVERIFIED = "UNVERIFIED"
    NOT_REACHED = "NOT REACHED"


class Check(Enum):
    """The checks, in the order in which they are made; the value says in words what each shows."""

    CONTAINER = "the file is the one ZIP that its contents make"
    ENTRIES = "every entry is in its exact form"
    ISSUER = "the founding is the one that the anchor names"
    REGISTRY = "every act of the registry was lawful at its position"
    CHECKPOINT = "every key of the log at that size signed the checkpoint"
    INCLUSION = "every entry is in the tree that the checkpoint names"
    MANIFEST = "the ledger signed the list of these files"
    SCOPE = "the streams are those listed and those cited"
    SIGNATURES = "every signature covers the exact bytes"
    BODIES = "the records shown are those that were signed"
    SIGNERS = "keys, roles and capabilities stood at each position, or the entry says that they did not"
    STREAMS = "every stream is an unbroken chain from its first entry"
    JUDGEMENTS = "every entry carries a judgement that can stand, revised by the ledger alone"
    CO_SIGNATURES = "every authorisation in effect has the persons that it needs"
    REFERENCES = "schemas, policies and statements relied on were there before"
    EMBEDDED_VERIFIERS = "the verifiers in the file are the published ones of this release"
    WITNESSES = "other organisations saw the same log"
    COMPLETENESS = "nothing of these streams is left out, up to the size that the log's map covers"
    ALIASES = "the therapy's aliases name it, and its chain of identity identifier no other"
    TIME = "times are as claimed"
    REPLAY = "the judgements are those that the rules make"


class TimeFinding(StrEnum):
    """What is known of when a statement was in the log."""

    BOUNDED = "BOUNDED"
    UNVERIFIED = "UNVERIFIED"
    SUSPECT = "SUSPECT"


class CheckLine(NamedTuple):
    """One check with its result; `checked` things were, `note` says what else there is to say."""

    check: Check
    result: Result
    checked: int = 0
    note: str = ""


class KeyFinding(StrEnum):
    """What the signature of a statement is worth by all that the dossier's registry knows."""

    VALID = "VALID"
    SUSPECT = "SUSPECT"
    INVALID = "INVALID"


class StatementVerdict(NamedTuple):
    """What was found of one statement. What is not named here failed nothing: a failure ends the verification."""

    leaf_index: int
    stream: bytes
    sequence: int
    statement_digest: bytes
    body_type: str
    signer: bytes
    site: bytes
    role: str
    signatures: int
    records_open: int
    records_closed: int
    commitment: Result
    key: KeyFinding
    status: int
    findings: tuple[str, ...]
    co_signers: tuple[bytes, ...]
    recorded_at: int
    time: TimeFinding = TimeFinding.UNVERIFIED
    not_before: datetime | None = None
    not_after: datetime | None = None
    remarks: tuple[str, ...] = ()
    """What contradicts the statement's times, and on which broken algorithm it rests, in words."""


@dataclass(frozen=True, slots=True)
class Report:
    """The whole of what a verification found. Times are microseconds since 1970-01-01T00:00:00Z.

    `ledger_id`, `log_origin`, `position` and `therapy` are the dossier's own words until the outcome is VERIFIED.
    Nothing of the dossier's streams is left out below `complete_below`, a number of log entries.
    """

    outcome: Outcome
    checks: tuple[CheckLine, ...]
    statements: tuple[StatementVerdict, ...] = ()
    ledger_id: bytes = b""
    log_origin: str = ""
    position: int = 0
    therapy: bytes = b""
    complete_below: int = 0

    @property
    def untimely(self) -> tuple[StatementVerdict, ...]:
        """The statements whose times contradict what is proven of them."""
        return tuple(verdict for verdict in self.statements if verdict.time is TimeFinding.SUSPECT)

    @property
    def invalid(self) -> tuple[StatementVerdict, ...]:
        """The statements that rest on algorithms held broken."""
        return tuple(verdict for verdict in self.statements if verdict.key is KeyFinding.INVALID)

    @property
    def suspect(self) -> tuple[StatementVerdict, ...]:
        """The statements signed with a key that was later said to have been compromised by then."""
        return tuple(verdict for verdict in self.statements if verdict.key is KeyFinding.SUSPECT)

    def line(self, check: Check) -> CheckLine:
        """Returns the line of one check."""
        return next(line for line in self.checks if line.check is check)
