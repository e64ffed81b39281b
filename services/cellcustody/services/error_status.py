"""Say what an error is in gRPC: one table from class to status code, and the details that travel with it.

The rules:

* The most derived class with a row decides the code; the class's `reason` travels as google.rpc.ErrorInfo.reason.
* A refusal for form adds google.rpc.BadRequest where it names a field; rules that refuse add one violation of
  google.rpc.PreconditionFailure for each finding: type is its code, subject its strength, description its words.
* Whatever may be sent again unchanged carries `retryable` = `true`.
* An error without a row is INTERNAL, and nothing about it is told.
* Details are cut to what fits a client's limit on metadata; `truncated` says that something was left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from cellcustody.ledger.errors import (
    AccessDeniedError,
    AuthorisationRefusedError,
    CellcustodyError,
    ConflictError,
    FatalStoreError,
    FormRefusedError,
    MalformedError,
    NotFoundError,
    RefusedError,
    RetryableRefusedError,
    SignatureRefusedError,
    StoreError,
)
from cellcustody.ledger.recording.ledger import OutcomeUnknownError
from cellcustody.ledger.recording.planning import Explained
from cellcustody.ledger.recording.writer import LedgerBusyError
from cellcustody.ledger.statements.errors import OversizeError
from cellcustody.ledger.store import ShreddedError, StoreUnavailableError

__all__ = [
    "STATUS_CODES",
    "BatchTooLargeError",
    "RequestInvalidError",
    "ServerBusyError",
    "WrongRpcError",
    "findings_of",
    "is_retryable",
    "status_code_of",
    "status_details_of",
    "values_of",
]

DOMAIN: Final = "cellcustody"
DETAILS_BYTES_MAX: Final = 6_000  # Clients take 8 KiB of metadata by default, base64 and other entries included.
VALUE_LENGTH_MAX: Final = 512


class WrongRpcError(FormRefusedError):
    """Raised when a statement of one act comes by the rpc of another."""

    reason = "WRONG_RPC"


class BatchTooLargeError(FormRefusedError):
    """Raised when a batch has more statements than the contract allows, or none."""

    reason = "BATCH_SIZE"


class RequestInvalidError(MalformedError):
    """Raised when a question cannot be understood; `field` names the field."""

    reason = "REQUEST_INVALID"


class ServerBusyError(StoreError):
    """Raised when as many streams run as the server holds threads for; come back later."""

    reason = "SERVER_BUSY"


STATUS_CODES: Final[dict[type[CellcustodyError], grpc.StatusCode]] = {
    FormRefusedError: grpc.StatusCode.INVALID_ARGUMENT,
    OversizeError: grpc.StatusCode.INVALID_ARGUMENT,
    SignatureRefusedError: grpc.StatusCode.UNAUTHENTICATED,
    AuthorisationRefusedError: grpc.StatusCode.FAILED_PRECONDITION,
    ConflictError: grpc.StatusCode.ALREADY_EXISTS,
    RetryableRefusedError: grpc.StatusCode.ABORTED,
    RefusedError: grpc.StatusCode.FAILED_PRECONDITION,
    MalformedError: grpc.StatusCode.INVALID_ARGUMENT,
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    ShreddedError: grpc.StatusCode.NOT_FOUND,
    AccessDeniedError: grpc.StatusCode.PERMISSION_DENIED,
    FatalStoreError: grpc.StatusCode.UNAVAILABLE,
    LedgerBusyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ServerBusyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    OutcomeUnknownError: grpc.StatusCode.DEADLINE_EXCEEDED,
    StoreError: grpc.StatusCode.UNAVAILABLE,
}
"""Code by class; a class without a row takes that of its nearest base with one."""

_RETRYABLE: Final = (
    RetryableRefusedError,
    LedgerBusyError,
    ServerBusyError,
    OutcomeUnknownError,
    StoreUnavailableError,  # Views that are behind are one.
)


@dataclass(frozen=True, slots=True)
class StatusDetails:
    """What is sent: the code, one line in words, and the serialised google.rpc.Status."""

    code: grpc.StatusCode
    message: str
    serialised: bytes


def status_code_of(error: BaseException) -> grpc.StatusCode:
    """Returns the code of an error; INTERNAL where no row of the table covers its class."""
    for base in type(error).__mro__:
        if issubclass(base, CellcustodyError) and base in STATUS_CODES:
            return STATUS_CODES[base]
    return grpc.StatusCode.INTERNAL


def is_retryable(error: BaseException) -> bool:
    """Tells whether the same request may be sent again unchanged, later."""
    return isinstance(error, _RETRYABLE)


def findings_of(error: BaseException) -> tuple[Explained, ...]:
    """Returns the findings that a refusal by rules carries."""
    found = getattr(error, "findings", ())
    return tuple(finding for finding in found if isinstance(finding, Explained))


def values_of(error: CellcustodyError) -> dict[str, str]:
    """Returns the values of an error, none longer than a line."""
    return {
        name: value if len(value) <= VALUE_LENGTH_MAX else value[: VALUE_LENGTH_MAX - 1] + "…"
        for name, value in error.values.items()
    }


def status_details_of(error: CellcustodyError) -> StatusDetails:
    """Returns code, message and details of an error that has a row in the table."""
    code = status_code_of(error)
    code_number: int = code.value[0]
    status = status_pb2.Status(code=code_number, message=error.message)
    information = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=values_of(error))
    if is_retryable(error):
        information.metadata["retryable"] = "true"
    details: list[Message] = []
    findings = findings_of(error)
    if findings:
        details.append(
            error_details_pb2.PreconditionFailure(
                violations=[
                    error_details_pb2.PreconditionFailure.Violation(
                        type=finding.code, subject=finding.strength, description=_described(finding)
                    )
                    for finding in findings
                ]
            )
        )
    field = error.values.get("field") or error.values.get("rule")
    if code is grpc.StatusCode.INVALID_ARGUMENT and field:
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[error_details_pb2.BadRequest.FieldViolation(field=field, description=error.message)]
            )
        )
    _cut(information, details)
    for detail in [information, *details]:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return StatusDetails(code, error.message, status.SerializeToString())


def _described(finding: Explained) -> str:
    values = "; ".join(f"{name}: {value}" for name, value in finding.values)
    return f"{finding.explanation} ({values})" if values else finding.explanation


def _cut(information: error_details_pb2.ErrorInfo, details: list[Message]) -> None:
    """Leaves out violations, last first, then values, until the details fit."""
    while sum(part.ByteSize() for part in [information, *details]) > DETAILS_BYTES_MAX:
        information.metadata["truncated"] = "true"
        failure = next((part for part in details if isinstance(part, error_details_pb2.PreconditionFailure)), None)
        if failure is not None and failure.violations:
            # Every code stays in the value `codes`; only words are lost, and GetEntry or Assess give them again.
            del failure.violations[-1]
            continue
        longest = max(information.metadata, key=lambda name: len(information.metadata[name]))
        information.metadata[longest] = "…"
