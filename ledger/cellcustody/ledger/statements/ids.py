"""Make and check the identifiers of the statement format.

The rules:

* A stream id is 17 bytes: its kind, then 16 bytes drawn at random by the client that opens the stream.
* The kinds registry, policy, schema and log have one stream each, whose 16 bytes are zero; the others never are.
* The text form of every identifier is lower-case hexadecimal.
* A statement id is a UUIDv7 (RFC 9562, section 5.7) in its 16 bytes; uniqueness rests on its 74 random bits.
* A ledger id is 16 bytes, a key id and every digest 32 bytes.

Time and randomness are passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final, NewType

from cellcustody.ledger.statements.errors import IdMalformedError

__all__ = [
    "DIGEST_BYTES",
    "LEDGER_ID_BYTES",
    "STATEMENT_ID_BYTES",
    "STREAM_ID_BYTES",
    "Digest",
    "KeyId",
    "LedgerId",
    "RandomBytes",
    "StatementId",
    "StreamId",
    "StreamKind",
    "check_statement_id",
    "check_stream_id",
    "key_id_from_text",
    "new_statement_id",
    "new_stream_id",
    "single_stream_id",
    "stream_id_from_text",
    "stream_kind",
]

StreamId = NewType("StreamId", bytes)
StatementId = NewType("StatementId", bytes)
LedgerId = NewType("LedgerId", bytes)
KeyId = NewType("KeyId", bytes)
Digest = NewType("Digest", bytes)

RandomBytes = Callable[[int], bytes]
"""Returns as many random bytes as asked for, as `os.urandom` and `secrets.token_bytes` do."""

STREAM_ID_BYTES: Final = 17
STATEMENT_ID_BYTES: Final = 16
LEDGER_ID_BYTES: Final = 16
DIGEST_BYTES: Final = 32
_RANDOM_BYTES: Final = 16
_ZERO: Final = bytes(_RANDOM_BYTES)
_MILLISECONDS_MAX: Final = (1 << 48) - 1  # A UUIDv7 holds 48 bits of Unix milliseconds.


class StreamKind(IntEnum):
    """What a stream is the history of; the first byte of its id."""

    THERAPY = 1
    CONSIGNMENT = 2
    LOT = 3
    SITE = 4
    PERSON = 5
    REGISTRY = 6
    POLICY = 7
    SCHEMA = 8
    LOG = 9
    EQUIPMENT = 10

    @property
    def has_one_stream(self) -> bool:
        """Tells whether a ledger has exactly one stream of this kind, under 16 zero bytes."""
        return StreamKind.REGISTRY <= self <= StreamKind.LOG


# As plain numbers: every stream id of every statement is held to them.
_FIRST_SINGLE: Final = int(StreamKind.REGISTRY)
_LAST_SINGLE: Final = int(StreamKind.LOG)
_FIRST_KIND: Final = int(StreamKind.THERAPY)
_LAST_KIND: Final = int(StreamKind.EQUIPMENT)


def new_stream_id(kind: StreamKind, random_bytes: RandomBytes) -> StreamId:
    """Returns the id of a stream that is about to be opened, with 16 bytes from `random_bytes`."""
    if kind.has_one_stream:
        raise IdMalformedError("a stream of this kind is never opened", kind=kind.name)
    drawn = random_bytes(_RANDOM_BYTES)
    if len(drawn) != _RANDOM_BYTES or drawn == _ZERO:
        raise IdMalformedError("the source of randomness did not give 16 random bytes", drawn=drawn)
    return StreamId(bytes((kind,)) + drawn)


def single_stream_id(kind: StreamKind) -> StreamId:
    """Returns the id of the one stream of a kind that has only one."""
    if not kind.has_one_stream:
        raise IdMalformedError("a kind with many streams has no single one", kind=kind.name)
    return StreamId(bytes((kind,)) + _ZERO)


def check_stream_id(raw: bytes) -> StreamId:
    """Returns `raw` as a stream id.

    Raises:
        IdMalformedError: it is not 17 bytes, its kind is unknown, or its 16 bytes do not suit the kind.
    """
    if len(raw) != STREAM_ID_BYTES:
        raise IdMalformedError("a stream id has 17 bytes", length=len(raw))
    if not _FIRST_KIND <= raw[0] <= _LAST_KIND:
        raise IdMalformedError("a stream id begins with a known kind", kind=raw[0])
    if (raw[1:] == _ZERO) != (_FIRST_SINGLE <= raw[0] <= _LAST_SINGLE):
        raise IdMalformedError("16 zero bytes belong to the kinds with one stream, and to no other", stream=raw)
    return StreamId(raw)


def stream_kind(stream: StreamId) -> StreamKind:
    """Returns what the stream is the history of."""
    return StreamKind(stream[0])


def stream_id_from_text(text: str) -> StreamId:
    """Returns the stream id that `text` writes in lower-case hexadecimal."""
    return check_stream_id(_from_hex(text))


def key_id_from_text(text: str) -> KeyId:
    """Returns the key id that `text` writes in lower-case hexadecimal, as an envelope's hint does."""
    raw = _from_hex(text)
    if len(raw) != DIGEST_BYTES:
        raise IdMalformedError("a key id has 32 bytes", length=len(raw))
    return KeyId(raw)


def new_statement_id(unix_milliseconds: int, random_bytes: RandomBytes) -> StatementId:
    """Returns a UUIDv7 of the given Unix time in milliseconds, with 74 bits from `random_bytes`."""
    if not 0 <= unix_milliseconds <= _MILLISECONDS_MAX:
        raise IdMalformedError("a statement id holds 48 bits of milliseconds", milliseconds=unix_milliseconds)
    drawn = random_bytes(10)
    if len(drawn) != 10:
        raise IdMalformedError("the source of randomness did not give ten bytes", length=len(drawn))
    head = bytes((0x70 | drawn[0] & 0x0F, drawn[1], 0x80 | drawn[2] & 0x3F))
    return StatementId(unix_milliseconds.to_bytes(6, "big") + head + drawn[3:])


def check_statement_id(raw: bytes) -> StatementId:
    """Returns `raw` as a statement id.

    Raises:
        IdMalformedError: it is not 16 bytes with UUID version 7 and the variant of RFC 9562.
    """
    if len(raw) != STATEMENT_ID_BYTES:
        raise IdMalformedError("a statement id has 16 bytes", length=len(raw))
    if raw[6] >> 4 != 7:
        raise IdMalformedError("a statement id is a UUID of version 7", version=raw[6] >> 4)
    if raw[8] >> 6 != 2:
        raise IdMalformedError("a statement id has the variant of RFC 9562", variant=raw[8] >> 6)
    return StatementId(raw)


def _from_hex(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if raw.hex() != text or not text:
        raise IdMalformedError("an identifier's text form is lower-case hexadecimal", text=text)
    return raw
