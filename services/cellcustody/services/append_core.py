"""Take statements from any rpc to the ledger, and put its answer in the contract's form.

The rules:

* Whichever rpc is used, the ledger judges the same statement in the same way; an rpc of one act only refuses another.
* To know which act it is, the header is read before anything is verified. Nothing is believed for that: whatever
  cannot be read goes on to the ledger, which refuses it with the reason that is its own.
* The operator's TLS key carries statements of the registry, of policies and of schemas alone.
* A caller's deadline bounds the wait. When it passes the outcome is unknown: the same statement sent again settles it.
* Who asks for it gets the receipt when witnesses have cosigned a checkpoint over the entry. When the deadline passes
  before that, or too many wait, the answer says recorded and not witnessed: that is settled, and the rest may follow.
* Statements of a batch are judged in order, each with its own result. An authorisation that was refused because it
  names a refused statement of the same batch says so: DEPENDS_ON_REFUSED; a fact is recorded with that finding.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Final

import grpc
from google.protobuf.message import DecodeError

from cellcustody.ledger.entries import write_judgement
from cellcustody.ledger.errors import RefusedError, RetryableRefusedError
from cellcustody.ledger.recording.answers import Recorded, Submission
from cellcustody.ledger.recording.batches import digest_of_envelope
from cellcustody.ledger.recording.face import LedgerFace
from cellcustody.ledger.recording.planning import Explained
from cellcustody.ledger.statements import ClosedRecord, Opening, StreamKind
from cellcustody.services.access import Caller, WrongCapabilityError
from cellcustody.services.error_status import (
    BatchTooLargeError,
    WrongRpcError,
    findings_of,
    is_retryable,
    values_of,
)
from cellcustody.v1 import dossier_pb2, entry_pb2, envelope_pb2, ledger_service_pb2, statement_pb2

__all__ = [
    "AppendCore",
    "DependsOnRefusedError",
    "NoWitnessesError",
    "explained_findings",
    "named_values",
    "read_openings",
    "write_closed",
    "write_openings",
]

BATCH_STATEMENTS_MAX: Final = 500  # The contract's own limit.
WITNESS_WAITERS_MAX: Final = 12  # A quarter of the default threads: those who do not wait are never kept waiting.
DEADLINE_MARGIN_SECONDS: Final = 0.05  # Leaves time to say that the outcome is unknown before the caller hangs up.
_OPERATOR_KINDS: Final = frozenset({StreamKind.REGISTRY, StreamKind.POLICY, StreamKind.SCHEMA})


class DependsOnRefusedError(RetryableRefusedError):
    """Raised when a statement names one of the same batch that was refused; it may be taken once that one is in."""

    reason = "DEPENDS_ON_REFUSED"


class NoWitnessesError(RefusedError):
    """Raised when a statement is to wait for witnesses, and this ledger asks none; nothing was written."""

    reason = "NO_WITNESSES"


class AppendCore:
    """Submits to one ledger for every servicer."""

    def __init__(self, ledger: LedgerFace, *, timeout_seconds: float) -> None:
        """`timeout_seconds` bounds the calls of those who give no deadline."""
        self._ledger = ledger
        self._timeout_seconds = timeout_seconds
        self._may_wait = threading.BoundedSemaphore(WITNESS_WAITERS_MAX)

    def append(
        self,
        request: ledger_service_pb2.SubmitRequest,
        caller: Caller,
        context: grpc.ServicerContext,
        *,
        body_type: str | None,
    ) -> ledger_service_pb2.SubmitResponse:
        """Returns the ledger's answer to one statement; `body_type` is the only one taken, None for any.

        Raises:
            RefusedError: nothing was written; the leaf class says why.
            OutcomeUnknownError: the deadline passed.
            LedgerStoppedError, LedgerBusyError: the ledger takes nothing, or nothing more for now.
        """
        if body_type is not None or caller.site is None:
            header = _peek(request.envelope)
            if body_type is not None and header is not None and header.body_type != body_type:
                raise WrongRpcError(
                    "this rpc takes another act", field="envelope", body_type=header.body_type, expected=body_type
                )
            _check_caller(caller, header)
        self._check_witnesses([request])
        submission = Submission(request.envelope, read_openings(request.openings), caller.site_id)
        until = time.monotonic() + self._time_left(context)
        response = _response(self._ledger.submit(submission, timeout_seconds=self._time_left(context)))
        if request.await_witnessed:
            self._await_witnesses([response], until)
        return response

    def append_batch(
        self, request: ledger_service_pb2.AppendBatchRequest, caller: Caller, context: grpc.ServicerContext
    ) -> ledger_service_pb2.AppendBatchResponse:
        """Returns one result for each statement, in order.

        Raises:
            BatchTooLargeError: there are too many statements, or none; none was judged.
        """
        count = len(request.statements)
        if not 1 <= count <= BATCH_STATEMENTS_MAX:
            raise BatchTooLargeError(
                "a batch has 1 to 500 statements", field="statements", count=count, limit=BATCH_STATEMENTS_MAX
            )
        if caller.site is None:
            for item in request.statements:
                _check_caller(caller, _peek(item.envelope))
        self._check_witnesses(request.statements)
        until = time.monotonic() + self._time_left(context)
        outcomes = self._ledger.submit_many(
            [Submission(item.envelope, read_openings(item.openings), caller.site_id) for item in request.statements],
            timeout_seconds=self._time_left(context),
            with_receipts=not request.omit_receipts,
        )
        results = [_result(outcome) for outcome in _with_dependence(request.statements, outcomes)]
        self._await_witnesses(
            [
                result.recorded
                for item, result in zip(request.statements, results, strict=True)
                if item.await_witnessed and result.HasField("recorded")
            ],
            until,
        )
        return ledger_service_pb2.AppendBatchResponse(results=results)

    def _check_witnesses(self, items: Iterable[ledger_service_pb2.SubmitRequest]) -> None:
        if any(item.await_witnessed for item in items) and not self._ledger.cosigned.is_gathering:
            raise NoWitnessesError("this ledger asks no witnesses; send the statement without waiting for them")

    def _await_witnesses(self, responses: Sequence[ledger_service_pb2.SubmitResponse], until: float) -> None:
        """Puts witnessed receipts into responses, once there is a checkpoint for them; `until` is monotonic."""
        # Each wait holds a thread of the pool; who finds no place learns that it is recorded, and asks again.
        if not responses or not self._may_wait.acquire(blocking=False):
            return
        try:
            last = max(response.position for response in responses)
            left = max(0.0, until - time.monotonic())
            if self._ledger.witnessed_receipt(last - 1, timeout_seconds=left) is None:
                return
            for response in responses:
                receipt = self._ledger.witnessed_receipt(response.position - 1, timeout_seconds=0)
                if receipt is not None:
                    response.receipt = receipt
                    response.witnessed = True
        finally:
            self._may_wait.release()

    def assess(self, request: ledger_service_pb2.AssessRequest, caller: Caller) -> ledger_service_pb2.AssessResponse:
        """Returns what the ledger would find now; nothing is written."""
        _check_caller(caller, _peek_payload(request.payload))
        found = self._ledger.assess(
            request.payload,
            request.payload_type,
            read_openings(request.openings),
            submitting_site=caller.site_id,
        )
        response = ledger_service_pb2.AssessResponse(
            explained=explained_findings(found.explained),
            position=found.position,
            co_signers_needed=found.co_signers_needed,
        )
        if found.judgement is not None:
            response.judgement.CopyFrom(write_judgement(found.judgement))
        if found.refusal is not None:
            response.refusal_reason = found.refusal.reason
            response.refusal_message = str(found.refusal)
            if not response.explained:
                response.explained.extend(explained_findings(findings_of(found.refusal)))
        return response

    def _time_left(self, context: grpc.ServicerContext) -> float:
        remaining = context.time_remaining()
        if remaining is None:
            return self._timeout_seconds
        return max(0.0, min(remaining - DEADLINE_MARGIN_SECONDS, self._timeout_seconds))


def read_openings(openings: Iterable[entry_pb2.Opening]) -> tuple[Opening, ...]:
    """Returns openings from the contract's form."""
    return tuple(Opening(opening.index, opening.salt, opening.record) for opening in openings)


def write_openings(openings: Iterable[Opening]) -> list[entry_pb2.Opening]:
    """Returns openings in the contract's form."""
    return [entry_pb2.Opening(index=one.index, salt=one.salt, record=one.record) for one in openings]


def write_closed(records: Iterable[ClosedRecord]) -> list[dossier_pb2.ClosedRecord]:
    """Returns closed records in the contract's form."""
    return [dossier_pb2.ClosedRecord(index=one.index, leaf_hash=one.leaf_hash) for one in records]


def explained_findings(findings: Iterable[Explained]) -> list[ledger_service_pb2.ExplainedFinding]:
    """Returns findings in the contract's form."""
    return [
        ledger_service_pb2.ExplainedFinding(
            code=one.code, strength=one.strength, explanation=one.explanation, values=named_values(one.values)
        )
        for one in findings
    ]


def named_values(values: Iterable[tuple[str, str]]) -> list[ledger_service_pb2.NamedValue]:
    """Returns values by name in the contract's form."""
    return [ledger_service_pb2.NamedValue(name=name, value=value) for name, value in values]


def _peek(envelope: bytes) -> statement_pb2.Header | None:
    """Returns the header in an envelope, unverified; None where there is none to read."""
    try:
        return _peek_payload(envelope_pb2.Envelope.FromString(envelope).payload)
    except DecodeError:
        return None


def _peek_payload(payload: bytes) -> statement_pb2.Header | None:
    try:
        return statement_pb2.Payload.FromString(payload).header
    except DecodeError:
        return None


def _check_caller(caller: Caller, header: statement_pb2.Header | None) -> None:
    if caller.site is not None or header is None:
        return
    if not header.stream or header.stream[0] not in _OPERATOR_KINDS:
        raise WrongCapabilityError("the operator carries statements of the registry alone", stream=header.stream)


def _response(recorded: Recorded) -> ledger_service_pb2.SubmitResponse:
    return ledger_service_pb2.SubmitResponse(
        position=recorded.position,
        statement_digest=recorded.statement_digest,
        judgement=None if recorded.judgement is None else write_judgement(recorded.judgement),
        explained=explained_findings(recorded.explained),
        receipt=recorded.receipt or b"",
        already_recorded=recorded.already_recorded,
        holds_opened=recorded.holds_opened,
    )


def _result(outcome: Recorded | RefusedError) -> ledger_service_pb2.BatchResult:
    if isinstance(outcome, Recorded):
        return ledger_service_pb2.BatchResult(recorded=_response(outcome))
    return ledger_service_pb2.BatchResult(
        refused=ledger_service_pb2.Refusal(
            reason=outcome.reason,
            message=outcome.message,
            values=named_values(values_of(outcome).items()),
            findings=explained_findings(findings_of(outcome)),
            retryable=is_retryable(outcome),
        )
    )


def _with_dependence(
    items: Sequence[ledger_service_pb2.SubmitRequest], outcomes: Sequence[Recorded | RefusedError]
) -> list[Recorded | RefusedError]:
    """Returns the outcomes, with what was refused for want of a refused statement of this batch saying so."""
    refused: list[bytes] = []
    told: list[Recorded | RefusedError] = []
    for item, outcome in zip(items, outcomes, strict=True):
        if isinstance(outcome, Recorded):
            told.append(outcome)
            continue
        missing = _named_of(item, refused) if is_retryable(outcome) else []
        if missing:
            told.append(
                DependsOnRefusedError(
                    "a statement that this one names was refused in this batch",
                    statement_digest=missing[0],
                    refused_for=outcome.reason,
                )
            )
        else:
            told.append(outcome)
        digest = digest_of_envelope(item.envelope)
        if digest is not None:
            refused.append(digest)
    return told


def _named_of(item: ledger_service_pb2.SubmitRequest, digests: Iterable[bytes]) -> list[bytes]:
    """Returns those of the digests that a statement's header or body names.

    A digest is found in a body wherever it stands: 32 bytes of a hash do not occur there by chance.
    """
    header = _peek(item.envelope)
    if header is None:
        return []
    in_header = {seen.statement_digest for seen in header.seen} | {header.co_signature.statement_digest}
    return [digest for digest in digests if digest in in_header or any(digest in one.record for one in item.openings)]
