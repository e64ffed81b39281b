"""Read a log where it lies: at an address over HTTP, or in a folder with the same paths (C2SP tlog-tiles).

    checkpoint                       the signed head
    tile/<L>/<N>[.p/<W>]             hashes
    tile/entries/<N>[.p/<W>]         entries
    openings/<leaf index>            PUBLIC openings of an entry, what is closed by leaf hashes, in a GetEntryResponse

The rules:

* Nothing that is read here is believed. What is longer than it can rightly be is not read to its end.
* A resource that is not there is `NotFound`; nobody answering is `LogSourceUnavailable`, after three attempts; not
  being let in is `AccessDenied`.
* Where a partial tile or bundle is gone, the full one that replaced it is read and cut (tlog-tiles allows a log to
  drop partial ones).
* Plain HTTP serves tests and closed networks: whoever changes what passes there changes no verdict but to broken.
"""

from __future__ import annotations

import http.client
import ssl
import time
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError

from cellcustody.clients.connection import TlsFiles
from cellcustody.clients.errors import AccessDenied, LogInconsistent, NotFound
from cellcustody.ledger.errors import CellcustodyError, ClientError, ConfigurationError
from cellcustody.ledger.transparency import bundle_path, decode_bundle, tile_path
from cellcustody.ledger.transparency.tiles import BUNDLE_ENTRY_SIZE_MAX_BYTES, TILE_WIDTH
from cellcustody.ledger.verification.container import Records, records_of
from cellcustody.v1 import dossier_pb2, ledger_service_pb2

__all__ = [
    "FolderLog",
    "HttpLog",
    "LogSource",
    "LogSourceUnavailable",
    "open_source",
    "read_bundle",
    "read_checkpoint",
    "read_records",
    "read_tile",
]

CHECKPOINT_BYTES_MAX: Final = 1 << 18  # Two signatures of the log and a hundred witnesses; anything longer is none.
OPENINGS_BYTES_MAX: Final = (1 << 20) + (1 << 16)  # A body is at most 1 MiB; the rest is salts and lengths.
BUNDLE_BYTES_MAX: Final = TILE_WIDTH * (BUNDLE_ENTRY_SIZE_MAX_BYTES + 2)
TILE_BYTES_MAX: Final = TILE_WIDTH * 32
ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = 0.2  # Doubled from one attempt to the next.


class LogSourceUnavailable(ClientError):
    """Raised when nobody answers at a log's address, or its folder cannot be read."""

    reason = "LOG_SOURCE_UNAVAILABLE"


class LogSource(Protocol):
    """Where a log is read. Each answer is as it was given; see the module's rules for what is raised."""

    @property
    def name(self) -> str:
        """The address or folder, for messages."""
        ...

    def read(self, path: str, limit: int) -> bytes:
        """Returns a resource of at most `limit` bytes by its path without leading slash."""
        ...


def open_source(where: str, *, tls: TlsFiles | None = None, timeout_seconds: float = 30.0) -> LogSource:
    """Returns the log at an address (http, https) or in a folder.

    `tls` is shown to an https address: entries are for members, unless the log opens them to all.

    Raises:
        ConfigurationError: it is neither.
    """
    parts = urlsplit(where)
    if parts.scheme in ("http", "https"):
        if not parts.hostname or parts.query or parts.fragment:
            raise ConfigurationError("a log's address is a scheme, a host and a path", address=where)
        context = None
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=str(tls.ca) if tls is not None else None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if tls is not None:
                context.load_cert_chain(tls.certificate, tls.key)
        return HttpLog(parts.hostname, parts.port, parts.path, context, timeout_seconds)
    folder = Path(where)
    if not folder.is_dir():
        raise ConfigurationError("there is no such folder, and it is no address", log=where)
    return FolderLog(folder)


class FolderLog:
    """A log in a folder, as a mirror or a web server's files."""

    def __init__(self, folder: Path) -> None:
        """Takes the folder that holds `checkpoint` and `tile`."""
        self._folder = folder

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._folder)

    def read(self, path: str, limit: int) -> bytes:
        """Returns a file's content.

        Raises:
            NotFound: there is none.
            LogSourceUnavailable: it cannot be read.
        """
        try:
            with (self._folder / path).open("rb") as file:
                content = file.read(limit + 1)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as absence:
            raise NotFound("the log has no such file", log=self.name, resource=path) from absence
        except OSError as refusal:
            raise LogSourceUnavailable(
                "a file of the log cannot be read", log=self.name, resource=path, because=refusal.strerror
            ) from refusal
        return _bounded(content, limit, self.name, path)


class HttpLog:
    """A log at an address; one connection, kept open. Not for several threads at once."""

    def __init__(
        self, host: str, port: int | None, prefix: str, context: ssl.SSLContext | None, timeout_seconds: float
    ) -> None:
        """Takes the parts of the address; with a context it is spoken to over TLS."""
        self._prefix = prefix.rstrip("/") + "/"
        self._connection = (
            http.client.HTTPConnection(host, port, timeout=timeout_seconds)
            if context is None
            else http.client.HTTPSConnection(host, port, timeout=timeout_seconds, context=context)
        )
        scheme = "http" if context is None else "https"
        self._name = f"{scheme}://{self._connection.host}:{self._connection.port}{self._prefix}"

    @property
    def name(self) -> str:
        """The address."""
        return self._name

    def read(self, path: str, limit: int) -> bytes:
        """Returns what the log answers.

        Raises:
            NotFound: the log says that there is nothing.
            AccessDenied: it does not let this caller in.
            LogSourceUnavailable: nobody answered, or with another status, three times.
        """
        pause = _PAUSE_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            try:
                status, content = self._ask(path, limit)
            except (OSError, http.client.HTTPException) as failure:
                self._connection.close()
                because = str(failure) or type(failure).__name__
            else:
                match status:
                    case 200:
                        return _bounded(content, limit, self.name, path)
                    case 404 | 410:
                        raise NotFound("the log has no such resource", log=self.name, resource=path)
                    case 401 | 403:
                        raise AccessDenied(
                            "the log gives this to members alone: show a certificate", log=self.name, resource=path
                        )
                    case _:
                        because = f"status {status}"
            if attempt < ATTEMPTS:
                time.sleep(pause)
                pause *= 2
        raise LogSourceUnavailable("the log does not answer", log=self.name, resource=path, because=because)

    def _ask(self, path: str, limit: int) -> tuple[int, bytes]:
        self._connection.request("GET", self._prefix + path, headers={"Accept-Encoding": "identity"})
        answer = self._connection.getresponse()
        content = answer.read(limit + 1)
        if answer.read(1):
            self._connection.close()  # What was left unread must not be taken for the next answer.
        return answer.status, content


def _bounded(content: bytes, limit: int, name: str, path: str) -> bytes:
    if len(content) > limit:
        raise LogInconsistent("the log gives more than there can be", log=name, resource=path, limit_bytes=limit)
    return content


def read_checkpoint(source: LogSource) -> bytes:
    """Returns the signed head, as it was given."""
    return source.read("checkpoint", CHECKPOINT_BYTES_MAX)


def read_bundle(source: LogSource, index: int, width: int) -> list[bytes]:
    """Returns `width` entries of a bundle.

    Raises:
        LogInconsistent: the bytes are not so many entries.
    """
    path = bundle_path(index, width)
    try:
        raw = source.read(path, BUNDLE_BYTES_MAX)
        held = width
    except NotFound:
        if width == TILE_WIDTH:
            raise
        raw = source.read(bundle_path(index), BUNDLE_BYTES_MAX)
        held = TILE_WIDTH
    try:
        return decode_bundle(raw, held)[:width]
    except CellcustodyError as defect:
        raise LogInconsistent(
            "the log gives what is no bundle of entries", log=source.name, resource=path, defect=str(defect)
        ) from defect


def read_tile(source: LogSource, level: int, index: int, width: int) -> bytes:
    """Returns `width` hashes of a tile, 32 bytes each, as they were given."""
    try:
        return source.read(tile_path(level, index, width), TILE_BYTES_MAX)
    except NotFound:
        if width == TILE_WIDTH:
            raise
        return source.read(tile_path(level, index), TILE_BYTES_MAX)[: width * 32]


def read_records(source: LogSource, leaf_index: int) -> Records:
    """Returns the records of an entry's body, PUBLIC ones open, in order; none where the log has none to give.

    Raises:
        LogInconsistent: the answer is none.
    """
    path = f"openings/{leaf_index}"
    raw = source.read(path, OPENINGS_BYTES_MAX)
    try:
        answer = ledger_service_pb2.GetEntryResponse.FromString(raw)
        return records_of(dossier_pb2.DossierBody(openings=answer.openings, closed=answer.closed))
    except (DecodeError, CellcustodyError) as defect:
        raise LogInconsistent(
            "the log gives what are no openings", log=source.name, resource=path, defect=str(defect)
        ) from defect
