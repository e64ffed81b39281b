"""Prepare a statement for the writer: everything about it that needs no state (design, section 4, step 3).

The rules, in the order they are checked; the first that fails ends it:

1. Size, envelope form, signatures over the exact bytes, wire form of the payload, key ids, header: `read_statement`.
2. The body type is one of the contract, the payload type is its own, and the stream is of a kind it may be filed in.
3. The openings make the signed root, all together, in the exact wire form of the body.
4. In a consignment's stream, `seen` names no therapy: a consignment's statements lead to no patient.

Runs in any thread. The state of keys is judged later, by the writer, at the position of the entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from google.protobuf.message import Message

from cellcustody.ledger.contract import BodyType, body_type, clear_shreddable, without_shreddable_numbers
from cellcustody.ledger.errors import FormRefusedError
from cellcustody.ledger.statements import (
    KeyLookup,
    Opening,
    ParsedStatement,
    PayloadType,
    StreamKind,
    open_body,
    partial_body,
    read_statement,
)
from cellcustody.ledger.values import value

__all__ = [
    "BodyTypeUnknownError",
    "PayloadTypeMismatchError",
    "Prepared",
    "SeenForbiddenError",
    "StreamKindMismatchError",
    "body_without_shreddable",
    "check_header_fits_body",
    "prepare",
    "prepare_parsed",
]


class BodyTypeUnknownError(FormRefusedError):
    """Raised when a header names a body that this contract does not have."""

    reason = "BODY_TYPE_UNKNOWN"


class PayloadTypeMismatchError(FormRefusedError):
    """Raised when a body travels under another payload type than its own."""

    reason = "PAYLOAD_TYPE_MISMATCH"


class StreamKindMismatchError(FormRefusedError):
    """Raised when a statement is filed in a kind of stream where its body has no place."""

    reason = "STREAM_KIND_MISMATCH"


class SeenForbiddenError(FormRefusedError):
    """Raised when a consignment's statement names a stream that would lead from it to a patient."""

    reason = "SEEN_FORBIDDEN"


_SEEN_BY_CONSIGNMENTS: Final = frozenset(
    {
        StreamKind.CONSIGNMENT,
        StreamKind.SITE,
        StreamKind.EQUIPMENT,
        StreamKind.REGISTRY,
        StreamKind.POLICY,
        StreamKind.SCHEMA,
    }
)


@value(frozen=True, slots=True)
class Prepared:
    """A statement whose bytes, signatures, form and body are right. `body` is None for a co-signature."""

    statement: ParsedStatement
    body_type: BodyType | None
    body: Message | None
    openings: tuple[Opening, ...]
    depends_on_refused: bool = False
    """Whether it names a statement that came in the same call and was refused."""


def prepare(envelope: bytes, openings: Sequence[Opening], key_lookup: KeyLookup) -> Prepared:
    """Returns the statement ready to be judged.

    Raises:
        FormRefusedError: size, envelope, wire form, header, commitment, body type or stream; the leaf class says which.
        SignatureRefusedError: a key is unknown, a signature does not verify, or the header declares other keys.
    """
    return prepare_parsed(read_statement(envelope, key_lookup), openings)


def prepare_parsed(statement: ParsedStatement, openings: Sequence[Opening]) -> Prepared:
    """Returns a statement ready to be judged whose signatures need no verifying here, as for an assessment.

    Raises:
        FormRefusedError: commitment, body type or stream; the leaf class says which.
    """
    body_of = check_header_fits_body(statement)
    if body_of is None:
        if openings:
            raise FormRefusedError("a co-signature has no body to open", openings=len(openings))
        return Prepared(statement, None, None, ())
    body = open_body(statement, openings, body_of.message_class)
    return Prepared(statement, body_of, body, tuple(openings))


def check_header_fits_body(statement: ParsedStatement) -> BodyType | None:
    """Returns the body's row of the contract, or None for a co-signature, if payload type and stream agree with it.

    Raises:
        BodyTypeUnknownError, PayloadTypeMismatchError, StreamKindMismatchError, SeenForbiddenError.
    """
    header = statement.header
    kind = StreamKind(header.stream[0])
    if kind is StreamKind.CONSIGNMENT:
        for stream, _ in statement.seen:
            if StreamKind(stream[0]) not in _SEEN_BY_CONSIGNMENTS:
                raise SeenForbiddenError("a consignment's statement may not name this kind of stream", seen=stream)
    if statement.payload_type is PayloadType.CO_SIGNATURE:
        return None
    found = body_type(header.body_type)
    if found is None:
        raise BodyTypeUnknownError("the contract has no such body", body_type=header.body_type)
    if statement.payload_type is not found.payload_type:
        raise PayloadTypeMismatchError(
            "the body belongs under another payload type",
            body_type=header.body_type,
            payload_type=statement.payload_type.value,
            expected=found.payload_type.value,
        )
    if kind not in found.stream_kinds:
        raise StreamKindMismatchError(
            "the body has no place in this kind of stream", body_type=header.body_type, stream_kind=kind.name
        )
    return found


def body_without_shreddable(found: BodyType, openings: Sequence[Opening], field_numbers: Sequence[int]) -> Message:
    """Returns the body as the rules see it: only records of classes that stay while the ledger runs."""
    closed = without_shreddable_numbers(found.name)
    body = partial_body(
        found.message_class, [opening for opening in openings if field_numbers[opening.index] not in closed]
    )
    clear_shreddable(found.name, body)
    return body
