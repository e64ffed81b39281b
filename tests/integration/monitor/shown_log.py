"""A log as somebody shows it over HTTP: any entries, signed by the log's own keys, honest or not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from copies import Copy
from courses import World

from cellcustody.ledger.registry import Anchor
from cellcustody.ledger.statements import ClosedRecord, Opening
from cellcustody.ledger.transparency import (
    NoteSigner,
    RightEdge,
    encode_bundle,
    leaf_hash,
    origin_hash,
    parse_bundle_path,
    parse_tile_path,
    sign_checkpoint,
)
from cellcustody.services.bounded_http import BoundedHttpServer, HttpLimits
from cellcustody.services.configuration_table import ListenAddress
from cellcustody.services.structured_log import StructuredLog
from cellcustody.v1 import dossier_pb2, entry_pb2, ledger_service_pb2

NOW_SECONDS = 1_800_000_000


@dataclass
class ShownLog:
    """What is shown: `copy` up to `size`, whatever `checkpoint` says."""

    origin: str
    signers: Sequence[NoteSigner]
    copy: Copy
    size: int
    checkpoint: bytes = b""
    instead: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.show(self.size)

    def show(self, size: int, copy: Copy | None = None) -> bytes:
        """Signs and shows the first so many entries, of another copy if one is given; returns the checkpoint."""
        self.copy = copy or self.copy
        self.size = size
        edge = RightEdge()
        edge.extend([leaf_hash(given.entry) for given in self.copy.given[:size]])
        self.checkpoint = sign_checkpoint(self.origin, size, edge.root(), self.signers, timestamp_seconds=NOW_SECONDS)
        return self.checkpoint

    def answer(self, path: str) -> bytes | None:
        """The content of a path, None where there is none."""
        if path in self.instead:
            return self.instead[path]
        if path == "checkpoint":
            return self.checkpoint
        if path.startswith("tile/entries/"):
            bundle = parse_bundle_path(path)
            start = bundle.index * 256
            given = self.copy.given[start : min(start + bundle.width, self.size)]
            return encode_bundle([one.entry for one in given])
        if path.startswith("tile/"):
            tile = parse_tile_path(path)
            edge = RightEdge()
            writes = edge.extend([leaf_hash(one.entry) for one in self.copy.given[: self.size]])
            found = {(one.level, one.index): one.hashes for one in writes}
            return found.get((tile.level, tile.index), b"")[: tile.width * 32]
        leaf = re.fullmatch(r"openings/(\d+)", path)
        if leaf is not None:
            return self.openings(int(leaf[1]))
        return None

    def openings(self, leaf_index: int) -> bytes:
        """Openings and closed records, as the copy has them."""
        answer = ledger_service_pb2.GetEntryResponse(leaf_index=leaf_index)
        for one in self.copy.given[leaf_index].records or ():
            match one:
                case Opening():
                    answer.openings.append(entry_pb2.Opening(index=one.index, salt=one.salt, record=one.record))
                case ClosedRecord():
                    answer.closed.append(dossier_pb2.ClosedRecord(index=one.index, leaf_hash=one.leaf_hash))
        return answer.SerializeToString()


class _Server(BoundedHttpServer):
    shown: ShownLog


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        content = self.server.shown.answer(self.path.removeprefix("/"))
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: object) -> None:
        """Writes nothing."""


@contextmanager
def at_an_address(shown: ShownLog) -> Iterator[str]:
    """Yields the address at which a log is shown."""
    server = _Server(HttpLimits(ListenAddress("127.0.0.1", 0), 16, 30), _Handler, None, StructuredLog())
    server.shown = shown
    server.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.stop()


def anchor_of(world: World) -> Anchor:
    """The anchor of a world's ledger."""
    founding = world.harness.ledger.registry.latest.founding
    assert founding is not None
    return Anchor(founding.statement_digest, founding.log_origin, tuple(one.vkey for one in world.harness.log_signers))


def as_a_witness_shows(shown: ShownLog, checkpoint: bytes) -> ShownLog:
    """Somebody who shows one checkpoint of a log, where a witness does."""
    return ShownLog(
        shown.origin, shown.signers, shown.copy, 0, instead={f"{origin_hash(shown.origin)}/checkpoint": checkpoint}
    )
