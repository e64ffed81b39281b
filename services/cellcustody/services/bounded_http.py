"""Serve HTTP on threads, with a limit on everything: the base of the log's server and of a witness's.

The rules:

* Each connection holds a thread, and there are so many at most; one more is closed at once.
* A connection ends when nothing comes for a while. TLS is spoken in the connection's own thread, so that accepting
  never waits for anybody.
* On stopping, connections are read no more: what is being answered is answered, and then each ends.
* What a handler did not foresee is written to the log with its place, and ends that connection alone.
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from cellcustody.services.configuration_table import ListenAddress
from cellcustody.services.structured_log import StructuredLog

__all__ = ["BoundedHttpServer", "HttpLimits", "server_tls"]

STOP_POLL_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Where to listen, and how much to take at once."""

    listen: ListenAddress
    connections_max: int
    idle_seconds: float


def server_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """Returns the TLS of a server with this certificate, which asks clients for none.

    Raises:
        OSError: a file cannot be read or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


class BoundedHttpServer(ThreadingHTTPServer):
    """Accepts connections and gives each a thread, up to a limit; `start` it, `stop` it."""

    daemon_threads = True  # An idle connection never delays the end of the process.
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        limits: HttpLimits,
        handler: type[BaseHTTPRequestHandler],
        context: ssl.SSLContext | None,
        log: StructuredLog,
    ) -> None:
        """Binds the address.

        Raises:
            OSError: the address is taken.
        """
        if ":" in limits.listen.host:
            self.address_family = socket.AF_INET6
        self.log = log
        self._context = context
        self._idle_seconds = limits.idle_seconds
        self._free = threading.BoundedSemaphore(limits.connections_max)
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__((limits.listen.host, limits.listen.port), handler)
        # Looks for the end this often; the default of half a second is what every stop would wait.
        self._thread = threading.Thread(
            target=self.serve_forever, args=(STOP_POLL_SECONDS,), name="cellcustody-http", daemon=True
        )

    def start(self) -> None:
        """Answers from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Accepts nothing more and lets go of the address."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()
        with self._open_lock:
            for connection in self._open:
                with suppress(OSError):  # It has ended by itself meanwhile.
                    connection.shutdown(socket.SHUT_RD)

    def server_bind(self) -> None:
        # The base class asks the resolver for the host's name here, which may take seconds and serves nothing.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def verify_request(self, request: object, client_address: object) -> bool:
        return self._free.acquire(blocking=False)

    def process_request_thread(self, request: object, client_address: object) -> None:
        try:
            if isinstance(request, socket.socket):
                self._answer_connection(request, client_address)
        except (OSError, ValueError):
            pass  # The other side went away, or spoke something else than TLS.
        except Exception as error:
            self.log.unexpected("http_unexpected", error)
        finally:
            self._free.release()

    def _answer_connection(self, connection: socket.socket, client_address: object) -> None:
        connection.settimeout(self._idle_seconds)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True)  # Here, so that accepting never waits.
        with connection:
            with self._open_lock:
                self._open.add(connection)
            try:
                self.finish_request(connection, client_address)
            finally:
                with self._open_lock:
                    self._open.discard(connection)
