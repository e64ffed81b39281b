"""The log over HTTP: whatever is fetched verifies against the checkpoint, and nothing beyond it is given."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.registry import founding_keys, parse_anchor
from cellcustody.ledger.statements import Opening, open_body, read_statement
from cellcustody.ledger.transparency import (
    TileTree,
    VerifiedCheckpoint,
    bundle_path,
    decode_bundle,
    leaf_hash,
    root_of,
    tile_path,
    verify_checkpoint,
)
from cellcustody.v1 import ledger_service_pb2, options_pb2, registry_pb2

from .served_ledger import ServedLedger, founded_in, served


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedLedger]:
    with served(founded_in(tmp_path_factory.mktemp("http") / "ledger", entries_open=True)) as running:
        site = running.enrol_site("plant", options_pb2.CAPABILITY_PROCESS)
        batch = [running.deviation(site.administrator) for _ in range(300)]
        for statements in (batch[:200], batch[200:]):
            running.ledger_service("plant").AppendBatch(
                ledger_service_pb2.AppendBatchRequest(statements=statements, omit_receipts=True), timeout=60
            )
        yield running


@pytest.fixture
def connection(ledger: ServedLedger) -> Iterator[http.client.HTTPConnection]:
    assert ledger.server.http_port is not None
    made = http.client.HTTPConnection("127.0.0.1", ledger.server.http_port, timeout=30)
    yield made
    made.close()


def get(
    connection: http.client.HTTPConnection, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and content of one request on a connection that is kept."""
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def verified_head(ledger: ServedLedger, connection: http.client.HTTPConnection) -> VerifiedCheckpoint:
    """The checkpoint, verified against the anchor file alone."""
    anchor = parse_anchor(ledger.founded.anchor.read_bytes())
    _, _, note = get(connection, "/checkpoint")
    return verify_checkpoint(note, anchor.log_origin, anchor.log_keys, required_vkeys=anchor.log_keys)


class _TilesOverHttp:
    """Reads tiles as any client would."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        status, _, content = get(self._connection, "/" + tile_path(level, index, width))
        assert status == 200
        return content


def test_the_tiles_make_the_signed_root(ledger: ServedLedger, connection: http.client.HTTPConnection) -> None:
    head = verified_head(ledger, connection)

    assert head.size > 300
    assert TileTree(_TilesOverHttp(connection)).root(head.size) == head.root


def test_the_entries_make_the_signed_root(ledger: ServedLedger, connection: http.client.HTTPConnection) -> None:
    head = verified_head(ledger, connection)
    entries: list[bytes] = []
    while len(entries) < head.size:
        width = min(256, head.size - len(entries))
        status, headers, content = get(connection, "/" + bundle_path(len(entries) // 256, width))
        assert (status, headers["Content-Type"]) == (200, "application/octet-stream")
        entries += decode_bundle(content, width)

    assert root_of([leaf_hash(entry) for entry in entries]) == head.root


def _folded(hashes: list[bytes]) -> bytes:
    """The RFC 6962 root over node hashes, written from the RFC for this test alone."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _folded(hashes[:split]) + _folded(hashes[split:])).digest()


def test_a_client_written_from_the_specification_alone_walks_the_log(connection: http.client.HTTPConnection) -> None:
    """C2SP tlog-tiles with nothing of ours: bundles hash to level 0, a full tile to its hash above, all to the root."""
    _, _, note = get(connection, "/checkpoint")
    _, size_text, root_text = note.split(b"\n")[:3]
    size, root = int(size_text), base64.b64decode(root_text)
    assert 256 < size < 512

    level_0, leaves = b"", []
    for suffix, width in (("000", 256), (f"001.p/{size - 256}", size - 256)):
        status, _, tile = get(connection, f"/tile/0/{suffix}")
        assert (status, len(tile)) == (200, width * 32)
        level_0 += tile
        _, _, bundle = get(connection, f"/tile/entries/{suffix}")
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            leaves.append(hashlib.sha256(b"\x00" + bundle[2 : 2 + length]).digest())
            bundle = bundle[2 + length :]
    status, _, level_1 = get(connection, "/tile/1/000.p/1")

    assert status == 200 and b"".join(leaves) == level_0
    assert _folded(leaves[:256]) == level_1
    assert _folded(leaves) == root


@pytest.mark.parametrize("width", [1, 3, 255])
def test_a_partial_tile_is_still_served_when_it_is_full(connection: http.client.HTTPConnection, width: int) -> None:
    """Who read an older checkpoint asks for the widths of then; tiles and entries are prefixes of today's."""
    _, _, full_tile = get(connection, "/tile/0/000")
    _, _, full_bundle = get(connection, "/tile/entries/000")
    tile_status, headers, tile = get(connection, f"/tile/0/000.p/{width}")
    bundle_status, _, bundle = get(connection, f"/tile/entries/000.p/{width}")
    beyond, _, _ = get(connection, "/tile/1/000.p/2")

    assert (tile_status, bundle_status, beyond) == (200, 200, 404)
    assert tile == full_tile[: width * 32]
    assert full_bundle.startswith(bundle) and len(decode_bundle(bundle, width)) == width
    assert "immutable" in headers["Cache-Control"]


def test_the_founding_verifies_with_entries_and_public_openings_alone(connection: http.client.HTTPConnection) -> None:
    _, _, bundle = get(connection, "/" + bundle_path(0, 1))
    _, headers, raw = get(connection, "/openings/0")
    answer = ledger_service_pb2.GetEntryResponse.FromString(raw)
    openings = [Opening(one.index, one.salt, one.record) for one in answer.openings]
    envelope = read_entry(decode_bundle(bundle, 1)[0]).envelope

    body = registry_pb2.LedgerFounded.FromString(b"".join(one.record for one in openings))
    statement = read_statement(envelope, founding_keys(body).get)

    assert open_body(statement, openings, registry_pb2.LedgerFounded) == body
    assert "immutable" in headers["Cache-Control"]


def test_content_types_and_caching_are_those_of_the_specification(connection: http.client.HTTPConnection) -> None:
    _, checkpoint, _ = get(connection, "/checkpoint")
    _, tile, content = get(connection, "/tile/0/000")

    assert checkpoint["Content-Type"] == "text/plain; charset=utf-8"
    assert checkpoint["Cache-Control"] == "no-cache"
    assert tile["Content-Type"] == "application/octet-stream"
    assert tile["Cache-Control"] == "public, max-age=31536000, immutable"
    assert len(content) == 8192


def test_head_has_the_headers_and_no_content(connection: http.client.HTTPConnection) -> None:
    _, got, _ = get(connection, "/tile/0/000")
    status, headed, content = get(connection, "/tile/0/000", "HEAD")

    assert (status, content) == (200, b"")
    assert headed["Content-Length"] == got["Content-Length"] == "8192"


def test_entries_are_compressed_for_those_who_take_it(connection: http.client.HTTPConnection) -> None:
    path = "/" + bundle_path(0, 16)
    _, plain_headers, plain = get(connection, path, Accept_Encoding="identity")
    _, headers, compressed = get(connection, path, Accept_Encoding="br, gzip;q=0.5")
    _, refused_headers, refused = get(connection, path, Accept_Encoding="gzip;q=0")

    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(compressed) == plain == refused
    assert "Content-Encoding" not in plain_headers and "Content-Encoding" not in refused_headers


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/checkpoint/",
        "/checkpoint?x=1",
        "/tile/0/001",
        "/tile/0/001.p/255",
        "/tile/0/000.p/256",
        "/tile/0/000.p/0",
        "/tile/0/0",
        "/tile/00/000",
        "/tile/0/x000/000",
        "/tile/64/000",
        "/tile/9/000",
        "/tile/entries/x999/999",
        "/tile/entries/000/",
        "/openings/01",
        "/openings/-1",
        "/openings/99999",
        "/openings/9999999999999999999",
        "/../checkpoint",
        "/%63heckpoint",
    ],
)
def test_what_is_not_there_is_404_and_not_cached(connection: http.client.HTTPConnection, path: str) -> None:
    status, headers, _ = get(connection, path)

    assert (status, headers["Cache-Control"]) == (404, "no-store")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_not_allowed(connection: http.client.HTTPConnection, method: str) -> None:
    status, headers, _ = get(connection, "/checkpoint", method)

    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_a_body_is_never_taken_for_the_next_request(ledger: ServedLedger) -> None:
    assert ledger.server.http_port is not None
    hidden = b"GET /tile/0/000 HTTP/1.1\r\nHost: x\r\n\r\n"
    request = b"GET /checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(hidden), hidden)
    with socket.create_connection(("127.0.0.1", ledger.server.http_port), timeout=30) as raw:
        raw.sendall(request)
        raw.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: raw.recv(65_536), b""))

    assert answer.count(b"HTTP/1.1 ") == 1


def test_connections_are_kept_alive(connection: http.client.HTTPConnection) -> None:
    get(connection, "/checkpoint")
    first = connection.sock
    get(connection, "/tile/0/000")
    assert connection.sock is first and first is not None


def test_entries_that_are_not_open_need_a_members_certificate(tmp_path: Path) -> None:
    """Over TLS: tiles for everyone, entries for enrolled sites, and for nobody whose key was never enrolled."""
    founded = founded_in(tmp_path / "closed")
    text = founded.configuration.read_text().replace("entries_open = false", "entries_open = false\ntls = true")
    founded.configuration.write_text(text)
    with served(founded) as ledger:
        ledger.enrol_site("member", options_pb2.CAPABILITY_AUDIT)
        ledger.certificate("stranger")

        def statuses(name: str | None) -> list[tuple[int, str]]:
            context = ssl.create_default_context(cafile=str(founded.authority))
            if name is not None:
                context.load_cert_chain(ledger.tls / f"{name}.pem", ledger.tls / f"{name}.key")
            assert ledger.server.http_port is not None
            connection = http.client.HTTPSConnection("127.0.0.1", ledger.server.http_port, context=context, timeout=30)
            try:
                answers = [get(connection, path) for path in ("/tile/0/000.p/4", "/tile/entries/000.p/4")]
            finally:
                connection.close()
            return [(status, headers["Cache-Control"].partition(",")[0]) for status, headers, _ in answers]

        assert statuses("member") == [(200, "public"), (200, "private")]
        assert statuses("stranger") == [(200, "public"), (403, "no-store")]
        assert statuses(None) == [(200, "public"), (403, "no-store")]
