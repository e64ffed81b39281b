"""Ask a time authority for a token, and hold its answer to what was asked (RFC 3161, sections 2.4.1 and 2.4.2).

The rules:

* Every request has a nonce of 64 bits of its own; the answer repeats it.
* Granted, or granted with modifications, is an answer; everything else is a refusal and told in its words.
* The token stamps the imprint that was asked for, holds in itself (`tokens`), and its time is near the asker's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from cellcustody.ledger.timestamps.der import (
    BIT_STRING,
    BOOLEAN,
    NULL,
    OCTET_STRING,
    SEQUENCE,
    UTF8_STRING,
    Reader,
    encode,
    encode_integer,
    encode_oid,
)
from cellcustody.ledger.timestamps.errors import DerMalformedError, TimeResponseError
from cellcustody.ledger.timestamps.hashes import HashAlgorithm
from cellcustody.ledger.timestamps.paths import TimeAuthority
from cellcustody.ledger.timestamps.tokens import TOKEN_BYTES_MAX, VerifiedToken, parse_token, verify_token

__all__ = [
    "RESPONSE_BYTES_MAX",
    "ReceivedToken",
    "TimeRequest",
    "accept_response",
    "build_request",
    "token_in_response",
]

NONCE_BYTES: Final = 8
RESPONSE_BYTES_MAX: Final = TOKEN_BYTES_MAX + 4_096
CLOCK_TOLERANCE: Final = timedelta(minutes=5)  # The same five minutes that statements may be ahead.
_GRANTED: Final = (0, 1)


class TimeRequest(NamedTuple):
    """A request as it is sent, and what its answer is held to."""

    der: bytes
    stamped: bytes
    hash: HashAlgorithm
    nonce: int


class ReceivedToken(NamedTuple):
    """A token that answers a request, and what it was verified to say."""

    token: bytes
    verified: VerifiedToken


def build_request(
    stamped: bytes, algorithm: HashAlgorithm, random_bytes: bytes, *, policy: str = "", with_certificates: bool = True
) -> TimeRequest:
    """Returns a request to stamp these bytes; `random_bytes` are 8, drawn for this request alone.

    Raises:
        ValueError: they are not 8.
    """
    if len(random_bytes) != NONCE_BYTES:
        raise ValueError("a nonce is drawn from 8 bytes")
    nonce = int.from_bytes(random_bytes)
    parts = [
        encode_integer(1),
        encode(
            SEQUENCE,
            encode(SEQUENCE, encode_oid(algorithm.oid), encode(NULL)),
            encode(OCTET_STRING, algorithm.digest(stamped)),
        ),
    ]
    if policy:
        parts.append(encode_oid(policy))
    parts.append(encode_integer(nonce))
    if with_certificates:
        parts.append(encode(BOOLEAN, b"\xff"))
    return TimeRequest(encode(SEQUENCE, *parts), stamped, algorithm, nonce)


def token_in_response(raw: bytes) -> bytes:
    """Returns the token in an answer that grants one.

    Raises:
        TimeResponseError: it grants none, or is no answer.
    """
    if len(raw) > RESPONSE_BYTES_MAX:
        raise TimeResponseError("an answer is too long", length=len(raw))
    try:
        outer = Reader(raw)
        response = outer.inside(SEQUENCE)
        outer.end()
        status = response.inside(SEQUENCE)
        number = status.integer()
        words: list[str] = []
        if status.next_tag() == SEQUENCE:
            texts = status.inside(SEQUENCE)
            while not texts.is_at_end:
                words.append(texts.take(UTF8_STRING).decode("utf-8", "replace")[:200])
        failure = status.take(BIT_STRING) if status.next_tag() == BIT_STRING else b""
        status.end()
        if number not in _GRANTED:
            raise TimeResponseError("the authority refuses", status=number, words=" ".join(words), failure=failure)
        token = response.any()[2]
        response.end()
    except DerMalformedError as defect:
        raise TimeResponseError("the answer is not in its exact form", defect=str(defect)) from defect
    return token


def accept_response(
    raw: bytes, request: TimeRequest, authority: TimeAuthority, pool: Sequence[bytes], now: datetime
) -> ReceivedToken:
    """Returns the token that answers a request, verified; `now` is aware and UTC.

    Raises:
        TimeResponseError: the answer is not one to this request, or its time is far from the clock.
        TokenMalformedError, TokenInvalidError, AuthorityUnknownError: the token is not good.
    """
    token = token_in_response(raw)
    parsed = parse_token(token)
    if parsed.nonce != request.nonce:
        raise TimeResponseError("the answer is to another request", nonce=parsed.nonce)
    if parsed.imprint_hash is not request.hash:
        raise TimeResponseError("the answer is with another hash", hash=parsed.imprint_hash.name)
    verified = verify_token(token, request.stamped, (authority,), pool)
    if abs(verified.gen_time - now) > CLOCK_TOLERANCE:
        raise TimeResponseError(
            "the authority's time is far from ours", gen_time=verified.gen_time.isoformat(), now=now.isoformat()
        )
    return ReceivedToken(token, verified)
