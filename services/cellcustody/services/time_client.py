"""Ask time authorities over HTTP (RFC 3161, section 3.4), all at once, and never wait longer than is allowed.

The rules:

* Each authority is asked in a thread of its own; what has not come when the time is up is left behind.
* Redirects are not followed; an answer has status 200, is of the right type, and is small.
* A token is taken after two readers found it good: ours, which alone decides later, and `rfc3161-client`, where it
  knows the algorithms. If they disagree it is not taken, and the log says so.
"""

from __future__ import annotations

import http.client
import os
import queue
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import rfc3161_client
from cryptography import x509

from cellcustody.ledger.errors import CellcustodyError, ConfigurationError
from cellcustody.ledger.timestamps import (
    HashAlgorithm,
    ReceivedToken,
    TimeAuthority,
    TimeRequest,
    TimeResponseError,
    accept_response,
    build_request,
    parse_token,
)
from cellcustody.ledger.timestamps.requests import RESPONSE_BYTES_MAX
from cellcustody.services.structured_log import StructuredLog

__all__ = ["AskedAuthority", "AuthorityUnreachableError", "ask_authorities"]

QUERY_TYPE: Final = "application/timestamp-query"
REPLY_TYPE: Final = "application/timestamp-reply"
NONCE_BYTES: Final = 8
_READ_BY_BOTH: Final = frozenset({"sha256", "sha512"})
_ED25519: Final = "1.3.101.112"


class AuthorityUnreachableError(CellcustodyError):
    """Raised when an authority does not answer, or not as the protocol says."""

    reason = "TIME_AUTHORITY_UNREACHABLE"


@dataclass(frozen=True, slots=True)
class AskedAuthority:
    """An authority and where it answers."""

    authority: TimeAuthority
    url: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError("an authority answers at an http or https address", value=self.url)


def ask_authorities(
    asked: Sequence[AskedAuthority],
    stamped: bytes,
    algorithm: HashAlgorithm,
    *,
    pool: Sequence[bytes],
    timeout_seconds: float,
    now: Callable[[], datetime],
    log: StructuredLog,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> list[ReceivedToken]:
    """Returns the tokens that came in time and are good, in the order of `asked`; none is no error."""
    answers: queue.SimpleQueue[tuple[int, ReceivedToken | CellcustodyError]] = queue.SimpleQueue()
    known = frozenset(pool)

    def ask(place: int, one: AskedAuthority) -> None:
        try:
            # Its certificates are asked for until they are known, so that most tokens are small.
            request = build_request(
                stamped,
                algorithm,
                random_bytes(NONCE_BYTES),
                policy=one.authority.policies[0] if one.authority.policies else "",
                with_certificates=not known,
            )
            answers.put((place, _ask(one, request, pool, timeout_seconds, now)))
        except CellcustodyError as failure:
            answers.put((place, failure))
        except Exception as failure:
            answers.put((place, AuthorityUnreachableError(repr(failure))))

    for place, one in enumerate(asked):
        threading.Thread(target=ask, args=(place, one), name="cellcustody-time", daemon=True).start()
    tokens: dict[int, ReceivedToken] = {}
    silent = set(range(len(asked)))
    deadline = time.monotonic() + timeout_seconds
    while silent and (left := deadline - time.monotonic()) > 0:
        try:
            place, answer = answers.get(timeout=left)
        except queue.Empty:
            break
        silent.discard(place)
        if isinstance(answer, ReceivedToken):
            tokens[place] = answer
        else:
            log.write("time_authority_failed", authority=asked[place].authority.name, reason=answer.reason)
    for place in sorted(silent):
        log.write("time_authority_failed", authority=asked[place].authority.name, reason="TIMEOUT")
    return [tokens[place] for place in sorted(tokens)]


def _ask(
    one: AskedAuthority,
    request: TimeRequest,
    pool: Sequence[bytes],
    timeout_seconds: float,
    now: Callable[[], datetime],
) -> ReceivedToken:
    try:
        return _received(one, request, pool, timeout_seconds, now)
    except CellcustodyError as failure:
        if failure.reason != "TIME_AUTHORITY_UNKNOWN":
            raise
    # It signs with another certificate than those at hand: ask for it.
    again = build_request(
        request.stamped,
        request.hash,
        os.urandom(NONCE_BYTES),
        policy=one.authority.policies[0] if one.authority.policies else "",
    )
    return _received(one, again, pool, timeout_seconds, now)


def _received(
    one: AskedAuthority,
    request: TimeRequest,
    pool: Sequence[bytes],
    timeout_seconds: float,
    now: Callable[[], datetime],
) -> ReceivedToken:
    raw = _post(one.url, request.der, timeout_seconds)
    received = accept_response(raw, request, one.authority, pool, now())
    _read_again(raw, request, received)
    return received


def _post(url: str, body: bytes, timeout_seconds: float) -> bytes:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, parts.port, timeout=timeout_seconds, context=context)
    else:
        # What is asked is public and the answer is signed; most authorities answer over plain HTTP.
        connection = http.client.HTTPConnection(host, parts.port, timeout=timeout_seconds)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, body, {"Content-Type": QUERY_TYPE, "Accept": REPLY_TYPE})
        answer = connection.getresponse()
        kind = (answer.getheader("Content-Type") or "").partition(";")[0].strip().lower()
        if answer.status != http.HTTPStatus.OK or kind != REPLY_TYPE:
            raise AuthorityUnreachableError("another answer than a time-stamp", status=answer.status, type=kind)
        raw = answer.read(RESPONSE_BYTES_MAX + 1)
    except (OSError, http.client.HTTPException) as failure:
        raise AuthorityUnreachableError("the authority does not answer", cause=type(failure).__name__) from failure
    finally:
        connection.close()
    return raw


def _read_again(raw: bytes, request: TimeRequest, received: ReceivedToken) -> None:
    """Lets the other reader look at an answer that ours found good.

    Raises:
        TimeResponseError: it finds something wrong.
    """
    token = parse_token(received.token)
    if request.hash.name not in _READ_BY_BOTH or token.signature_algorithm[0] == _ED25519:
        return
    path = [x509.load_der_x509_certificate(der) for der in received.verified.path]
    try:
        builder = rfc3161_client.VerifierBuilder(
            policy_id=None,
            tsa_certificate=path[0],
            intermediates=path[1:-1],
            roots=[path[-1]],
            nonce=request.nonce,
            common_name=None,
        )
        answer = rfc3161_client.decode_timestamp_response(raw)
        is_good = builder.build().verify(answer, request.hash.digest(request.stamped))
    except (ValueError, rfc3161_client.VerificationError) as refusal:
        raise TimeResponseError("the other reader refuses the token", defect=str(refusal)[:200]) from refusal
    if not is_good:
        raise TimeResponseError("the other reader refuses the token")
