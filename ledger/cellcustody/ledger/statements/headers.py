"""Check what a header may say, apart from everything that needs state.

The rules, in the order they are checked; the error names the field:

* Ids have their lengths and forms: ledger 16 bytes, or absent in a registry statement that founds a ledger; statement
  a UUIDv7; stream 17 bytes; device and signer 16 bytes; schema digest 32 bytes; policy digest 32 bytes or absent.
* `seen` is sorted strictly ascending by stream, each with a digest of 32 bytes.
* Key ids are 32 bytes each, one at least, strictly ascending.
* A co-signature names the digest it joins and no body type; every other statement names a body type and joins nothing.
* Times lie within the years 1970 to 9999; an interval does not end before it starts; offsets are within 18 hours; zone
  and clock source are given.
* Role, meaning and way of authentication are given.

Whether a missing ledger id, a role or a time is right for this ledger and now is judged elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cellcustody.ledger.statements.envelope import PayloadType
from cellcustody.ledger.statements.errors import HeaderInvalidError, IdMalformedError
from cellcustody.ledger.statements.ids import (
    DIGEST_BYTES,
    LEDGER_ID_BYTES,
    check_statement_id,
    check_stream_id,
)
from cellcustody.v1 import statement_pb2

__all__ = ["check_header"]

PARTY_ID_BYTES: Final = 16  # Persons and devices have opaque ids of the same length.
SEEN_COUNT_MAX: Final = 256  # A manifest that touches more streams than this does not fit an entry anyway.
TEXT_LENGTH_MAX: Final = 128  # Roles, zones and body types are short names; none of them is free text.
MICROS_MAX: Final = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z, the last instant that calendars here know.
OFFSET_MINUTES_MAX: Final = 18 * 60  # No zone is, or in the time zone database ever was, further from UTC.


def check_header(header: statement_pb2.Header, payload_type: PayloadType) -> None:
    """Returns if the header says nothing that no header of this payload type may say.

    Raises:
        HeaderInvalidError: it does; `field` names where.
    """
    _check_ids(header, payload_type)
    _check_seen(header)
    _check_signer(header.signer)
    _check_kind(header, payload_type)
    _check_times(header)


def _check_ids(header: statement_pb2.Header, payload_type: PayloadType) -> None:
    if header.ledger_id or payload_type is not PayloadType.REGISTRY:
        _check_length("ledger_id", header.ledger_id, LEDGER_ID_BYTES)
    _check_identifier("statement_id", header.statement_id, check_statement_id)
    _check_identifier("stream", header.stream, check_stream_id)
    _check_length("device", header.device, PARTY_ID_BYTES)
    _check_length("schema_digest", header.schema_digest, DIGEST_BYTES)
    if header.policy_digest:
        _check_length("policy_digest", header.policy_digest, DIGEST_BYTES)


def _check_seen(header: statement_pb2.Header) -> None:
    if len(header.seen) > SEEN_COUNT_MAX:
        raise HeaderInvalidError("too many streams were seen", field="seen", count=len(header.seen))
    last = b""
    for seen in header.seen:
        _check_identifier("seen.stream", seen.stream, check_stream_id)
        _check_length("seen.statement_digest", seen.statement_digest, DIGEST_BYTES)
        if seen.stream <= last:
            raise HeaderInvalidError("streams seen ascend, each once", field="seen", stream=seen.stream)
        last = seen.stream


def _check_signer(signer: statement_pb2.Signer) -> None:
    _check_length("signer.signer_id", signer.signer_id, PARTY_ID_BYTES)
    if not signer.key_ids:
        raise HeaderInvalidError("a signer declares a key", field="signer.key_ids")
    last = b""
    for key_id in signer.key_ids:
        _check_length("signer.key_ids", key_id, DIGEST_BYTES)
        if key_id <= last:
            raise HeaderInvalidError("key ids ascend, each once", field="signer.key_ids", key_id=key_id)
        last = key_id
    _check_name("signer.role", signer.role)
    _check_given("signer.meaning", signer.meaning)
    _check_given("signer.authentication", signer.authentication)


def _check_kind(header: statement_pb2.Header, payload_type: PayloadType) -> None:
    if payload_type is PayloadType.CO_SIGNATURE:
        if header.body_type:
            raise HeaderInvalidError("a co-signature has no body", field="body_type", body_type=header.body_type)
        _check_length("co_signature.statement_digest", header.co_signature.statement_digest, DIGEST_BYTES)
    else:
        _check_name("body_type", header.body_type)
        if header.HasField("co_signature"):
            raise HeaderInvalidError("only a co-signature joins a statement", field="co_signature")


def _check_times(header: statement_pb2.Header) -> None:
    for field in ("occurred_at", "signed_at"):
        if not header.HasField(field):
            raise HeaderInvalidError("a time is given", field=field)
    occurred, signed = header.occurred_at, header.signed_at
    _check_instant("occurred_at.start_unix_micros", occurred.start_unix_micros)
    if occurred.HasField("end_unix_micros"):
        _check_instant("occurred_at.end_unix_micros", occurred.end_unix_micros)
        if occurred.end_unix_micros < occurred.start_unix_micros:
            raise HeaderInvalidError("an interval ends before it starts", field="occurred_at.end_unix_micros")
    _check_instant("signed_at.unix_micros", signed.unix_micros)
    for field, reading in (("occurred_at", occurred), ("signed_at", signed)):
        if abs(reading.offset_minutes) > OFFSET_MINUTES_MAX:
            raise HeaderInvalidError(
                "an offset is within 18 hours", field=f"{field}.offset_minutes", minutes=reading.offset_minutes
            )
        _check_name(f"{field}.zone", reading.zone)
        _check_given(f"{field}.clock_source", reading.clock_source)


def _check_identifier(field: str, value: bytes, check: Callable[[bytes], object]) -> None:
    try:
        check(value)
    except IdMalformedError as refusal:
        raise HeaderInvalidError(refusal.message, field=field, value=value) from refusal


def _check_length(field: str, value: bytes, length: int) -> None:
    if len(value) != length:
        raise HeaderInvalidError("an id or digest has another length", field=field, length=len(value), expected=length)


def _check_name(field: str, text: str) -> None:
    if not text:
        raise HeaderInvalidError("a name is given", field=field)
    if len(text) > TEXT_LENGTH_MAX or not text.isascii() or not text.isprintable():
        raise HeaderInvalidError("a name is short printable ASCII", field=field, length=len(text))


def _check_given(field: str, value: int) -> None:
    if not value:
        raise HeaderInvalidError("a value is stated", field=field)


def _check_instant(field: str, micros: int) -> None:
    if not 0 < micros <= MICROS_MAX:
        raise HeaderInvalidError("a time lies within the years 1970 to 9999", field=field, micros=micros)
