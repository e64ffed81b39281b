"""A time authority of one's own over HTTP, for trying out and for tests (RFC 3161, section 3.4).

Nobody should believe it who does not run it: its clock is this machine's, and its key lies in memory. What it issues is
what any authority issues, so that a ledger, its dossiers and its verifiers can be tried without asking anybody.

The rules:

* POST of a time-stamp request at any path; everything else is refused. A request is small.
* Serial numbers ascend from the time in microseconds, so that none is given twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Final

from cellcustody.ledger.timestamps.issuing import AuthorityKeys, answer_request
from cellcustody.services.bounded_http import BoundedHttpServer, HttpLimits
from cellcustody.services.configuration_table import ListenAddress
from cellcustody.services.structured_log import StructuredLog
from cellcustody.services.time_client import QUERY_TYPE, REPLY_TYPE

__all__ = ["TimeAuthorityServer"]

REQUEST_BYTES_MAX: Final = 4_096
CONNECTIONS_MAX: Final = 16
IDLE_SECONDS: Final = 10.0


class TimeAuthorityServer(BoundedHttpServer):
    """Answers requests for time-stamps; `start` it, `stop` it."""

    def __init__(
        self, keys: AuthorityKeys, listen: ListenAddress, now: Callable[[], datetime], log: StructuredLog
    ) -> None:
        """Binds the address; `now` is aware and UTC.

        Raises:
            OSError: the address is taken.
        """
        self.keys = keys
        self.now = now
        self._serial = 0
        self._serial_lock = threading.Lock()
        super().__init__(HttpLimits(listen, CONNECTIONS_MAX, IDLE_SECONDS), _Handler, None, log)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}/tsa"

    def answer(self, request: bytes) -> bytes:
        """Returns the answer to a request."""
        now = self.now()
        with self._serial_lock:
            self._serial = max(self._serial + 1, int(now.timestamp() * 1_000_000))
            serial = self._serial
        return answer_request(request, self.keys, serial=serial, now=now)


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    server: TimeAuthorityServer

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdecimal() or int(length) > REQUEST_BYTES_MAX:
            self.close_connection = True
            self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"", "text/plain")
            return
        body = self.rfile.read(int(length))
        if self.headers.get("Content-Type", "") != QUERY_TYPE:
            self._send(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, b"", "text/plain")
            return
        self._send(HTTPStatus.OK, self.server.answer(body), REPLY_TYPE)

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Writes nothing: the base class's lines name the caller's address."""
