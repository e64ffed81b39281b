"""Serve the log over HTTP as C2SP tlog-tiles says, beside gRPC in the same process.

    /checkpoint                          the signed head, text/plain; never cached
    /tile/<L>/<N>[.p/<W>]                hashes, application/octet-stream; immutable
    /tile/entries/<N>[.p/<W>]            entries, likewise; members alone unless the configuration opens them
    /timestamps/<number>                 an item of time evidence; immutable
    /timestamps/count                    how many there are; never cached
    /timestamps/certificates             certificates of time authorities, a TimeCertificates; never cached
    /openings/<leaf index>               PUBLIC openings of an entry, in a GetEntryResponse, with what is closed by its
                                         leaf hashes; immutable

The rules:

* GET and HEAD alone. A path has one spelling; every other, and whatever lies beyond the last checkpoint, is 404 and is
  not cached, for it may be there after the next checkpoint.
* Tiles and entries never change once a checkpoint covers them; caches may keep them for good. Entries that only members
  may have are not for shared caches.
* A member is known by the client certificate of the connection, looked up in the registry on every request.
* Connections are kept alive, are limited in number, and end when nothing comes for a while. A request with a body is
  answered and its connection closed, so that no body is taken for the next request.
"""

from __future__ import annotations

import gzip
import re
import ssl
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Final

from cellcustody.ledger.errors import AccessDeniedError, CellcustodyError, MalformedError, NotFoundError, StoreError
from cellcustody.ledger.recording.face import LedgerFace
from cellcustody.ledger.store.time_evidence import TimeEvidenceFile
from cellcustody.ledger.transparency import parse_bundle_path, parse_tile_path
from cellcustody.services.access import Gate, Right, TlsKeyUnknownError, check_right, tls_key_id_of_der
from cellcustody.services.append_core import write_closed, write_openings
from cellcustody.services.bounded_http import BoundedHttpServer, HttpLimits, server_tls
from cellcustody.services.configuration import HttpSettings, TlsSettings
from cellcustody.services.structured_log import StructuredLog
from cellcustody.v1 import ledger_service_pb2, timestamps_pb2

__all__ = ["LogHttpServer"]

IMMUTABLE: Final = "public, max-age=31536000, immutable"
IMMUTABLE_PRIVATE: Final = "private, max-age=31536000, immutable"
NOT_CACHED: Final = "no-store"
CHECKPOINT_CACHING: Final = "no-cache"
BINARY: Final = "application/octet-stream"
TEXT: Final = "text/plain; charset=utf-8"
PROTOBUF: Final = "application/x-protobuf"
COMPRESSED_BYTES_MIN: Final = 512  # Below it the header that says so outweighs what is saved.
_LEAF: Final = re.compile(r"/openings/(0|[1-9][0-9]{0,18})")
_BUNDLES: Final = "/tile/entries/"
_TIMESTAMP: Final = re.compile(r"/timestamps/(0|[1-9][0-9]{0,18}|count|certificates)")


@dataclass(frozen=True, slots=True)
class _Answer:
    """A status with its content and how long it may be kept."""

    status: HTTPStatus
    content: bytes
    content_type: str = TEXT
    caching: str = NOT_CACHED
    may_compress: bool = False


class LogHttpServer:
    """The HTTP face of one ledger; `start` it, `close` it."""

    def __init__(
        self,
        ledger: LedgerFace,
        gate: Gate,
        settings: HttpSettings,
        tls: TlsSettings,
        log: StructuredLog,
        evidence: TimeEvidenceFile | None = None,
    ) -> None:
        """Binds the address.

        Raises:
            OSError: the address is taken.
        """
        context = _tls_context(tls) if settings.tls else None
        self._server = _Server(ledger, gate, settings, context, log, evidence)

    @property
    def port(self) -> int:
        """The port that is bound."""
        return self._server.server_port

    def start(self) -> None:
        """Answers from now on."""
        self._server.start()

    def close(self) -> None:
        """Accepts nothing more and lets go of the address."""
        self._server.stop()


def _tls_context(tls: TlsSettings) -> ssl.SSLContext:
    context = server_tls(tls.certificate, tls.key)
    context.load_verify_locations(tls.client_ca)
    context.verify_mode = ssl.CERT_OPTIONAL  # Checkpoint and tiles are for everyone.
    return context


class _Server(BoundedHttpServer):
    """Knows the ledger whose log it serves."""

    def __init__(
        self,
        ledger: LedgerFace,
        gate: Gate,
        settings: HttpSettings,
        context: ssl.SSLContext | None,
        log: StructuredLog,
        evidence: TimeEvidenceFile | None,
    ) -> None:
        self.ledger = ledger
        self.gate = gate
        self.settings = settings
        self.evidence = evidence
        limits = HttpLimits(settings.listen, settings.connections_max, settings.idle_seconds)
        super().__init__(limits, _Handler, context, log)


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def version_string(self) -> str:
        """Names the product and no versions."""
        return "cellcustody"

    def do_GET(self) -> None:
        self._respond(with_content=True)

    def do_HEAD(self) -> None:
        self._respond(with_content=False)

    def _respond(self, *, with_content: bool) -> None:
        started = time.monotonic()
        answer = self._answer()
        content, is_compressed = answer.content, False
        if answer.may_compress and self._takes_gzip() and len(content) >= COMPRESSED_BYTES_MIN:
            content, is_compressed = gzip.compress(content, compresslevel=6, mtime=0), True
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", answer.caching)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("X-Content-Type-Options", "nosniff")
        if answer.may_compress:
            self.send_header("Vary", "Accept-Encoding")
        if is_compressed:
            self.send_header("Content-Encoding", "gzip")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if with_content:
            self.wfile.write(content)
        self.server.log.write(
            "http",
            resource=self.path.lstrip("/").partition("/")[0][:16],
            status=int(answer.status),
            duration_ms=round((time.monotonic() - started) * 1000, 3),
        )

    def _answer(self) -> _Answer:
        try:
            return self._find()
        except (NotFoundError, MalformedError) as absence:
            return _Answer(HTTPStatus.NOT_FOUND, f"{absence.reason}\n".encode())
        except AccessDeniedError as denial:
            return _Answer(HTTPStatus.FORBIDDEN, f"{denial.reason}\n".encode())
        except StoreError as failure:
            self.server.log.write("http_store", reason=failure.reason)
            return _Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{failure.reason}\n".encode())
        except CellcustodyError as error:
            self.server.log.unexpected("http_unexpected", error)
            return _Answer(HTTPStatus.INTERNAL_SERVER_ERROR, b"INTERNAL\n")

    def _find(self) -> _Answer:
        ledger = self.server.ledger
        if self.path == "/checkpoint":
            return _Answer(HTTPStatus.OK, ledger.checkpoint(), TEXT, CHECKPOINT_CACHING)
        if self.path.startswith(_BUNDLES):
            bundle = parse_bundle_path(self.path[1:])
            is_open = self.server.settings.entries_open
            if not is_open:
                self._check_member()
            content = ledger.entry_bundle(bundle.index, bundle.width)
            return _Answer(HTTPStatus.OK, content, BINARY, IMMUTABLE if is_open else IMMUTABLE_PRIVATE, True)
        leaf = _LEAF.fullmatch(self.path)
        if leaf is not None:
            openings, closed = ledger.public_records(int(leaf[1]))
            response = ledger_service_pb2.GetEntryResponse(
                leaf_index=int(leaf[1]), openings=write_openings(openings), closed=write_closed(closed)
            )
            return _Answer(HTTPStatus.OK, response.SerializeToString(deterministic=True), PROTOBUF, IMMUTABLE, True)
        stamp = _TIMESTAMP.fullmatch(self.path)
        if stamp is not None:
            return self._timestamp(stamp[1])
        tile = parse_tile_path(self.path[1:])
        return _Answer(HTTPStatus.OK, ledger.tile(tile.level, tile.index, tile.width), BINARY, IMMUTABLE)

    def _timestamp(self, name: str) -> _Answer:
        evidence = self.server.evidence
        count = 0 if evidence is None else evidence.count
        if name == "count":
            return _Answer(HTTPStatus.OK, f"{count}\n".encode(), TEXT)
        if name == "certificates":
            message = timestamps_pb2.TimeCertificates(certificates=() if evidence is None else evidence.certificates)
            return _Answer(HTTPStatus.OK, message.SerializeToString(deterministic=True), PROTOBUF)
        number = int(name)
        if evidence is None or number >= count:
            raise NotFoundError("there is no such item of time evidence", number=number)
        return _Answer(HTTPStatus.OK, evidence.raw(number), PROTOBUF, IMMUTABLE)

    def _check_member(self) -> None:
        connection = self.connection
        der = connection.getpeercert(binary_form=True) if isinstance(connection, ssl.SSLSocket) else None
        if der is None:
            raise TlsKeyUnknownError("entries are for members, who show a certificate")
        check_right(Right.MEMBER, self.server.gate.caller_with_key(tls_key_id_of_der(der)), self.path)

    def _takes_gzip(self) -> bool:
        """Tells whether the client takes gzip: named, and not with a weight of zero."""
        for part in self.headers.get("Accept-Encoding", "").split(","):
            name, _, weight = part.strip().partition(";")
            if name.strip().lower() == "gzip":
                return not re.fullmatch(r"q=0(\.0*)?", weight.strip())
        return False

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answers what never reached a method of ours: another method, a garbled or oversized request."""
        status = HTTPStatus(code)
        if status is HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED  # Every method but two is known and not allowed here.
        self.close_connection = True
        content = f"{status.phrase}\n".encode()
        self.send_response(status)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Type", TEXT)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Writes nothing: the base class's lines name the caller's address."""
