"""Read what a log shows: its files over HTTP (C2SP tlog-tiles), and openings, as far as the reader is entitled to them.

The rules:

* Nothing that is read here is believed. What is longer than it can rightly be is refused.
* Over HTTP everyone may have PUBLIC openings; over gRPC a site has what its capabilities open to it.
* The entry that comes with openings is the entry of the tiles, or the log shows two.
"""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError

from cellcustody.ledger.errors import AccessDeniedError, ClientError, ConfigurationError, NotFoundError
from cellcustody.ledger.transparency import bundle_path, decode_bundle, tile_path
from cellcustody.ledger.transparency.tiles import BUNDLE_ENTRY_SIZE_MAX_BYTES, TILE_WIDTH
from cellcustody.ledger.verification.container import Records, records_of
from cellcustody.v1 import dossier_pb2, ledger_service_pb2, transparency_service_pb2
from cellcustody.v1.ledger_service_pb2_grpc import LedgerServiceStub
from cellcustody.v1.transparency_service_pb2_grpc import TransparencyServiceStub

__all__ = [
    "EntitledOpenings",
    "LogFiles",
    "LogUnavailableError",
    "OpeningsSource",
    "PublicOpenings",
    "Shown",
    "TlsPaths",
    "fetch",
]

CHECKPOINT_BYTES_MAX: Final = 1 << 18  # Two signatures of the log and a hundred witnesses.
OPENINGS_BYTES_MAX: Final = (1 << 20) + (1 << 17)  # A body is at most 1 MiB; the rest is salts, lengths, the entry.
BUNDLE_BYTES_MAX: Final = TILE_WIDTH * (BUNDLE_ENTRY_SIZE_MAX_BYTES + 2)
TIMEOUT_SECONDS: Final = 30.0
MESSAGE_BYTES_MAX: Final = 32 * 1024 * 1024


class LogUnavailableError(ClientError):
    """Raised when nobody answers at an address, or not as a log does."""

    reason = "LOG_UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class TlsPaths:
    """Whose certificates are believed, and the own one with its key."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of an entry beside the tiles: its bytes, where they come with it, and its records."""

    entry: bytes | None
    records: Records | None


class OpeningsSource(Protocol):
    """Where openings come from."""

    def of(self, leaf_index: int) -> Shown:
        """Returns what is shown of an entry."""
        ...


class LogFiles:
    """A log's files at an address; one connection, kept open, for one thread."""

    def __init__(self, url: str, tls: TlsPaths | None = None) -> None:
        """Takes http or https; over the latter, `tls` shows a certificate, for entries may be for members alone.

        Raises:
            ConfigurationError: the address is none, or a file of `tls` cannot be read.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigurationError("a log is read at an http or https address", value=url)
        self.url = url.rstrip("/")
        self._prefix = parts.path.rstrip("/") + "/"
        if parts.scheme == "https":
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=TIMEOUT_SECONDS, context=_client_tls(tls)
            )
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def read(self, path: str, limit: int) -> bytes:
        """Returns a resource of at most `limit` bytes.

        Raises:
            NotFoundError, AccessDeniedError: it is not there, or not for this reader.
            LogUnavailableError: nobody answers, or with another status, or more than there can be.
        """
        for is_last in (False, True):  # A kept connection may have been closed by the other end meanwhile.
            try:
                self._connection.request("GET", self._prefix + path, headers={"Accept-Encoding": "identity"})
                answer = self._connection.getresponse()
                content = answer.read(limit + 1)
                break
            except (OSError, http.client.HTTPException) as failure:
                self._connection.close()
                if is_last:
                    raise LogUnavailableError(
                        "nobody answers", url=self.url, resource=path, cause=type(failure).__name__
                    ) from failure
        if len(content) > limit:
            self._connection.close()
            raise LogUnavailableError("more is answered than there can be", url=self.url, resource=path)
        match answer.status:
            case 200:
                return content
            case 404 | 410:
                raise NotFoundError("there is no such resource", url=self.url, resource=path)
            case 401 | 403:
                raise AccessDeniedError("this is for members: show a certificate", url=self.url, resource=path)
            case status:
                raise LogUnavailableError("the answer is none of a log", url=self.url, resource=path, status=status)

    def checkpoint(self) -> bytes:
        """Returns the signed head as it is shown."""
        return self.read("checkpoint", CHECKPOINT_BYTES_MAX)

    def bundle(self, index: int, width: int) -> list[bytes]:
        """Returns the first `width` entries of a bundle; a partial one may have given way to the full one."""
        held = width
        try:
            raw = self.read(bundle_path(index, width), BUNDLE_BYTES_MAX)
        except NotFoundError:
            if width == TILE_WIDTH:
                raise
            raw, held = self.read(bundle_path(index), BUNDLE_BYTES_MAX), TILE_WIDTH
        return decode_bundle(raw, held)[:width]

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        """Returns the first `width` hashes of a tile, as a `TileReader` does."""
        try:
            return self.read(tile_path(level, index, width), TILE_WIDTH * 32)
        except NotFoundError:
            if width == TILE_WIDTH:
                raise
            return self.read(tile_path(level, index), TILE_WIDTH * 32)[: width * 32]


def fetch(url: str, path: str, tls: TlsPaths | None) -> bytes:
    """Returns one resource below an address, over a connection of its own."""
    files = LogFiles(url, tls)
    try:
        return files.read(path, CHECKPOINT_BYTES_MAX)
    finally:
        files.close()


class PublicOpenings:
    """PUBLIC openings, as everyone may have them over HTTP."""

    def __init__(self, files: LogFiles) -> None:
        self._files = files

    def of(self, leaf_index: int) -> Shown:
        """Returns the PUBLIC records of an entry, the others closed.

        Raises:
            LogUnavailableError: the answer is none.
        """
        raw = self._files.read(f"openings/{leaf_index}", OPENINGS_BYTES_MAX)
        try:
            return _shown(ledger_service_pb2.GetEntryResponse.FromString(raw))
        except DecodeError as defect:
            raise LogUnavailableError("what is answered are no openings", leaf_index=leaf_index) from defect


class EntitledOpenings:
    """What a site may read of bodies, over gRPC with its certificate."""

    def __init__(self, target: str, tls: TlsPaths) -> None:
        """Takes host:port.

        Raises:
            ConfigurationError: a file cannot be read.
        """
        try:
            credentials = grpc.ssl_channel_credentials(
                tls.ca.read_bytes(), tls.key.read_bytes(), tls.certificate.read_bytes()
            )
        except OSError as defect:
            raise ConfigurationError("a TLS file cannot be read", cause=defect.strerror) from defect
        options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX), ("grpc.use_local_subchannel_pool", 1)]
        self._target = target
        self._channel = grpc.secure_channel(target, credentials, options)
        self._ledger: LedgerServiceStub = LedgerServiceStub(self._channel)
        self._log: TransparencyServiceStub = TransparencyServiceStub(self._channel)

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def of(self, leaf_index: int) -> Shown:
        """Returns an entry with what this site may read of it.

        Raises:
            AccessDeniedError, LogUnavailableError: it is not given.
        """
        request = ledger_service_pb2.GetEntryRequest(leaf_index=leaf_index)
        try:
            answer = self._ledger.GetEntry(request, timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as failure:
            raise _of_call(failure, self._target, leaf_index) from failure
        shown = _shown(answer)
        return Shown(answer.entry, shown.records)

    def alias_key(self) -> bytes | None:
        """Returns the key of blinded aliases, None where this site is not entitled to it."""
        try:
            answer = self._log.GetAliasKey(transparency_service_pb2.GetAliasKeyRequest(), timeout=TIMEOUT_SECONDS)
        except grpc.RpcError:
            return None
        return answer.alias_key


def _shown(answer: ledger_service_pb2.GetEntryResponse) -> Shown:
    if not answer.openings and not answer.closed:
        return Shown(None, None)
    return Shown(None, records_of(dossier_pb2.DossierBody(openings=answer.openings, closed=answer.closed)))


def _of_call(failure: object, target: str, leaf_index: int) -> AccessDeniedError | LogUnavailableError:
    code = failure.code() if isinstance(failure, grpc.Call) else grpc.StatusCode.UNKNOWN
    if code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED):
        return AccessDeniedError("this site may not read the entry", target=target, leaf_index=leaf_index)
    return LogUnavailableError("the ledger does not answer", target=target, leaf_index=leaf_index, status=code.name)


def _client_tls(tls: TlsPaths | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if tls is None else tls.ca)
        if tls is not None:
            context.load_cert_chain(tls.certificate, tls.key)
    except OSError as defect:
        raise ConfigurationError("a TLS file cannot be read", cause=defect.strerror) from defect
    return context
