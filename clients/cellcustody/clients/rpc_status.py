"""Read the details of a google.rpc.Status, as a server sends them in `grpc-status-details-bin`.

The rules:

* Four kinds of detail are read: ErrorInfo, PreconditionFailure, BadRequest and RetryInfo; others are passed over.
* The messages are read from their wire form here, because a site's install does not carry their generated modules.
* What cannot be read is treated as absent: a garbled detail must never hide the refusal that it explains.

Field numbers are those of google/rpc/status.proto and google/rpc/error_details.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from cellcustody.ledger.statements.errors import WireFormError
from cellcustody.ledger.statements.varints import WIRE_LENGTH, read_record_end, read_tag

__all__ = ["StatusDetails", "Violation", "read_status_details"]

_PREFIX: Final = "type.googleapis.com/google.rpc."


@dataclass(frozen=True, slots=True)
class Violation:
    """One violation of a PreconditionFailure (`name` is its type) or of a BadRequest (`name` is the field)."""

    name: str
    subject: str
    description: str


@dataclass(slots=True)
class StatusDetails:
    """What a server says about an error beside its code; empty where it says nothing."""

    message: str = ""
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    preconditions: list[Violation] = field(default_factory=list)
    bad_fields: list[Violation] = field(default_factory=list)
    has_retry_info: bool = False


def read_status_details(raw: bytes) -> StatusDetails:
    """Returns what a serialised google.rpc.Status says; whatever cannot be read is left out."""
    details = StatusDetails()
    try:
        for number, value in _fields(raw):
            if number == 2:
                details.message = _text(value)
            elif number == 3:
                _read_any(value, details)
    except WireFormError:
        pass  # Said above: what was read so far counts, the rest is absent.
    return details


def _read_any(raw: bytes, details: StatusDetails) -> None:
    parts = dict(_fields(raw))
    value = parts.get(2, b"")
    match _text(parts.get(1, b"")).removeprefix(_PREFIX):
        case "ErrorInfo":
            for number, inner in _fields(value):
                if number == 1:
                    details.reason = _text(inner)
                elif number == 3:
                    pair = dict(_fields(inner))
                    details.metadata[_text(pair.get(1, b""))] = _text(pair.get(2, b""))
        case "PreconditionFailure":
            details.preconditions += [_violation(inner) for number, inner in _fields(value) if number == 1]
        case "BadRequest":
            for number, inner in _fields(value):
                if number == 1:
                    parts = dict(_fields(inner))
                    details.bad_fields.append(Violation(_text(parts.get(1, b"")), "", _text(parts.get(2, b""))))
        case "RetryInfo":
            details.has_retry_info = True


def _violation(raw: bytes) -> Violation:
    parts = dict(_fields(raw))
    return Violation(_text(parts.get(1, b"")), _text(parts.get(2, b"")), _text(parts.get(3, b"")))


def _fields(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields number and content of every length-delimited field; numbers and fixed-width values are passed over."""
    at, end = 0, len(raw)
    while at < end:
        number, wire_type, start = read_tag(raw, at, end)
        content, at = read_record_end(raw, start, end, wire_type)
        if wire_type == WIRE_LENGTH:
            yield number, raw[content:at]


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
