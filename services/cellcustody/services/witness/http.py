"""Speak tlog-witness over HTTP.

    POST <prefix>/add-checkpoint                 what a log submits; answered with signature lines
    GET  <prefix>/<origin hash>/checkpoint       the last checkpoint cosigned for a log, for monitors
    GET  <prefix>/health                         whether every log is cosigned

The rules:

* 200 with signature lines; 400 for a request that is not in its form; 403 where the log did not sign; 404 for a log
  that is not known; 409 with the last size as text/x.tlog.size; 422 for what does not continue the last one. Beyond the
  specification: 405, 411 without a length, 413 above the limit, 503 where nothing can be kept or promised.
* A body is read whole before anything is looked at, and up to the limit.
* Every request is a line in the log: status, reason, origin's hash, size, duration. No address is written.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Final

from cellcustody.ledger.errors import CellcustodyError, MalformedError, StoreError
from cellcustody.ledger.transparency import origin_hash
from cellcustody.ledger.transparency.errors import (
    CheckpointRootError,
    CheckpointUnsignedError,
    ConsistencyProofError,
    NoteSignatureError,
    NoteUnsignedError,
    OriginUnknownError,
    WitnessStateError,
)
from cellcustody.ledger.transparency.witnessing import SIZE_CONTENT_TYPE
from cellcustody.services.bounded_http import BoundedHttpServer, server_tls
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.witness.configuration import WitnessConfiguration
from cellcustody.services.witness.cosigning import Witness

__all__ = ["WitnessHttpServer", "status_of"]

TEXT: Final = "text/plain; charset=utf-8"
_LENGTH: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_STATUS: Final[Mapping[type[CellcustodyError], HTTPStatus]] = {
    OriginUnknownError: HTTPStatus.NOT_FOUND,
    NoteUnsignedError: HTTPStatus.FORBIDDEN,
    NoteSignatureError: HTTPStatus.FORBIDDEN,
    CheckpointUnsignedError: HTTPStatus.FORBIDDEN,
    WitnessStateError: HTTPStatus.CONFLICT,
    ConsistencyProofError: HTTPStatus.UNPROCESSABLE_ENTITY,
    CheckpointRootError: HTTPStatus.UNPROCESSABLE_ENTITY,
    MalformedError: HTTPStatus.BAD_REQUEST,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
}


def status_of(error: CellcustodyError) -> HTTPStatus:
    """Returns the status that an error is answered with: that of its nearest class in the table."""
    return next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), HTTPStatus.INTERNAL_SERVER_ERROR)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    content: bytes
    content_type: str = TEXT
    reason: str | None = None


class WitnessHttpServer(BoundedHttpServer):
    """The HTTP face of one witness; `start` it, `stop` it."""

    def __init__(self, witness: Witness, configuration: WitnessConfiguration, log: StructuredLog) -> None:
        """Binds the address.

        Raises:
            OSError: the address is taken, or a TLS file cannot be read.
        """
        certificate, key = configuration.certificate, configuration.key
        context = None if certificate is None or key is None else server_tls(certificate, key)
        self.witness = witness
        self.prefix = configuration.prefix
        self.body_bytes_max = configuration.body_bytes_max
        self.origins = {origin_hash(origin): origin for origin in witness.origins()}
        super().__init__(configuration.http, _Handler, context, log)


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    server: WitnessHttpServer

    def version_string(self) -> str:
        """Names the product and no versions."""
        return "cellcustody-witness"

    def do_GET(self) -> None:
        started = time.monotonic()
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True
        self._send(self._find(), started, with_content=True)

    def do_HEAD(self) -> None:
        self._send(self._find(), time.monotonic(), with_content=False)

    def do_POST(self) -> None:
        started = time.monotonic()
        self._send(self._take(), started, with_content=True)

    def _path(self) -> str | None:
        """Returns the path below the prefix, None where the request is not below it."""
        prefix = self.server.prefix + "/"
        return self.path[len(prefix) :] if self.path.startswith(prefix) else None

    def _find(self) -> _Answer:
        path = self._path()
        witness = self.server.witness
        if path == "health":
            stopped = witness.stopped
            status = HTTPStatus.SERVICE_UNAVAILABLE if stopped else HTTPStatus.OK
            told = "".join(f"{why.reason} {origin_hash(origin)}\n" for origin, why in stopped.items())
            return _Answer(status, (told or "OK\n").encode())
        if path == "add-checkpoint":
            return _Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"POST\n")
        name, _, rest = (path or "").partition("/")
        origin = self.server.origins.get(name)
        if origin is None or rest != "checkpoint":
            return _Answer(HTTPStatus.NOT_FOUND, b"NOT_FOUND\n")
        kept = witness.latest(origin)
        if kept is None:
            return _Answer(HTTPStatus.NOT_FOUND, b"NOT_COSIGNED\n")
        return _Answer(HTTPStatus.OK, kept.note)

    def _take(self) -> _Answer:
        if self._path() != "add-checkpoint":
            self.close_connection = True
            return _Answer(HTTPStatus.NOT_FOUND, b"NOT_FOUND\n")
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or _LENGTH.fullmatch(length) is None:
            self.close_connection = True
            return _Answer(HTTPStatus.LENGTH_REQUIRED, b"LENGTH_REQUIRED\n")
        if int(length) > self.server.body_bytes_max:
            self.close_connection = True
            return _Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"BODY_OVERSIZE\n")
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            self.close_connection = True
            return _Answer(HTTPStatus.BAD_REQUEST, b"BODY_SHORT\n")
        try:
            return _Answer(HTTPStatus.OK, self.server.witness.add_checkpoint(body))
        except WitnessStateError as conflict:
            size = f"{conflict.size}\n".encode()
            return _Answer(HTTPStatus.CONFLICT, size, SIZE_CONTENT_TYPE, reason=conflict.reason)
        except CellcustodyError as refusal:
            return _Answer(status_of(refusal), f"{refusal}\n".encode(), reason=refusal.reason)
        except Exception as error:
            self.server.log.unexpected("witness_unexpected", error)
            return _Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"INTERNAL\n", reason="INTERNAL")

    def _send(self, answer: _Answer, started: float, *, with_content: bool) -> None:
        self.send_response(answer.status)
        if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "POST")
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if with_content:
            self.wfile.write(answer.content)
        self.server.log.write(
            "witness",
            method=self.command,
            status=int(answer.status),
            reason=answer.reason,
            duration_ms=round((time.monotonic() - started) * 1000, 3),
        )

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answers what never reached a method of ours: another method, a garbled or oversized request."""
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED  # Every method but three is known and not allowed here.
        self.close_connection = True
        self._send(
            _Answer(status, f"{status.phrase}\n".encode()), time.monotonic(), with_content=self.command != "HEAD"
        )

    def log_message(self, format: str, *args: object) -> None:
        """Writes nothing: the base class's lines name the caller's address."""
