"""Witnesses that lie, forget or babble: none of it counts, none of it holds up the others, and the log tells of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from served_ledger import EnrolledSite, ServedLedger

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.transparency import (
    Ed25519Cosigner,
    cosign,
    parse_add_checkpoint,
    parse_note,
    read_cosignatures,
)
from cellcustody.ledger.verification import verify_receipt
from cellcustody.services.witness.client import WitnessAddress, WitnessClient
from cellcustody.v1 import ledger_service_pb2, options_pb2, transparency_service_pb2

from .small_log import SmallLog
from .witnessed_ledger import NAMES, Witnesses, anchor_of, eventually, witnessed_ledger

World = tuple[ServedLedger, Witnesses, EnrolledSite]
Answer = tuple[int, str, bytes]
STRANGER = Ed25519Cosigner(NAMES[1], Ed25519PrivateKey.generate())
WITNESS = Ed25519Cosigner(NAMES[1], Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with witnessed_ledger(tmp_path_factory.mktemp("lying")) as (ledger, witnesses):
        yield ledger, witnesses, ledger.enrol_site("plant", options_pb2.CAPABILITY_PROCESS)


@dataclass
class Liar:
    """Somebody at a witness's address, and what was sent there."""

    port: int = 0
    asked: list[bytes] = field(default_factory=list)


@contextmanager
def answering(port: int, answer: Callable[[bytes], Answer]) -> Iterator[Liar]:
    """Somebody else listens at a witness's address."""
    liar = Liar()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            liar.asked.append(body)
            status, content_type, content = answer(body)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Writes nothing."""

    ThreadingHTTPServer.allow_reuse_address = True
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        liar.port = server.server_port
        yield liar
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def by_a_stranger(body: bytes) -> Answer:
    """A cosignature under the witness's name, by another key: an unknown one."""
    text = parse_note(parse_add_checkpoint(body).checkpoint).text
    return 200, "text/plain", cosign(text, [STRANGER], timestamp_seconds=1_800_000_000)


def append(ledger: ServedLedger, plant: EnrolledSite) -> ledger_service_pb2.SubmitResponse:
    """Records something that waits for the quorum."""
    request = ledger.deviation(plant.administrator)
    request.await_witnessed = True
    return ledger.ledger_service("plant").Append(request, timeout=30)


def failure_of(ledger: ServedLedger, number: int) -> str:
    """Why a witness failed last."""
    asked = transparency_service_pb2.GetWitnessesRequest()
    return ledger.transparency("plant").GetWitnesses(asked, timeout=30).witnesses[number].failure


LIES: list[tuple[Callable[[bytes], Answer], str]] = [
    (lambda body: (200, "text/plain", b""), "NOTE_MALFORMED"),
    (lambda body: (200, "text/plain", b"babble\n"), "NOTE_MALFORMED"),
    (lambda body: (200, "text/plain", b"x" * 300_000), "WITNESS_FAILED"),
    (by_a_stranger, "NOTE_UNSIGNED"),
    (lambda body: (302, "text/plain", b""), "WITNESS_FAILED"),
    (lambda body: (500, "text/plain", b"no\n"), "WITNESS_FAILED"),
    (lambda body: (409, "text/plain", b"3\n"), "WITNESS_FAILED"),
    (lambda body: (409, "text/x.tlog.size", b"3"), "WITNESS_FAILED"),
    (lambda body: (409, "text/x.tlog.size", b"+3\n"), "WITNESS_FAILED"),
    (lambda body: (409, "text/x.tlog.size", "٣\n".encode()), "WITNESS_FAILED"),
    (lambda body: (409, "text/x.tlog.size", b"18446744073709551616\n"), "WITNESS_FAILED"),
    (lambda body: (409, "text/x.tlog.size", b"3\n"), "WITNESS_ELSEWHERE"),
]


@pytest.mark.parametrize(("answer", "reason"), LIES)
def test_what_a_liar_answers_is_no_cosignature(answer: Callable[[bytes], Answer], reason: str) -> None:
    log = SmallLog().grow(3)
    with answering(0, answer) as asked:
        address = WitnessAddress(f"http://127.0.0.1:{asked.port}", {b"w": WITNESS.vkey})
        client = WitnessClient(address, timeout_seconds=5)
        try:
            with pytest.raises(CellcustodyError) as refusal:
                read_cosignatures(
                    client.add_checkpoint(log.request(0)), parse_note(log.checkpoint()).text, [WITNESS.vkey]
                )
        finally:
            client.close()
    assert refusal.value.reason == reason


def test_a_liar_holds_up_nobody(world: World) -> None:
    """It claims sizes that nobody has seen, which is no proof, and says anything else; the others are the quorum."""
    ledger, witnesses, plant = world
    witnesses.stop(1)
    lies = [lambda body: (409, "text/x.tlog.size", b"18446744073709551615\n"), *(lie for lie, _ in LIES)]
    with answering(witnesses.ports[1], lambda body: lies.pop(0)(body) if lies else (500, "text/plain", b"")) as liar:
        recorded = append(ledger, plant)
        assert recorded.witnessed
        eventually(lambda: len(liar.asked) >= 3)
        assert failure_of(ledger, 1)
        assert append(ledger, plant).witnessed
    witnesses.start(1)
    assert ledger.server.ledger.stopped is None
    entry = ledger.ledger_service("plant").GetEntry(
        ledger_service_pb2.GetEntryRequest(leaf_index=recorded.position - 1), timeout=30
    )
    names = verify_receipt(recorded.receipt, entry.entry, anchor_of(ledger)).witnesses or ()
    assert not any(name.startswith(NAMES[1]) for name in names)


def test_a_witness_that_lost_its_memory_is_told_and_stops(world: World) -> None:
    """Database and journal are gone. The ledger shows it what it cosigned, and it does not begin a second history."""
    ledger, witnesses, plant = world
    eventually(lambda: failure_of(ledger, 2) == "" and append(ledger, plant).witnessed)
    asked = transparency_service_pb2.GetWitnessesRequest()
    eventually(lambda: ledger.transparency("plant").GetWitnesses(asked, timeout=30).witnesses[2].size > 0)
    witnesses.stop(2)
    folder: Path = witnesses.made[2].configuration.parent
    for part in ("data", "journal"):
        for path in (folder / part).iterdir():
            path.unlink()
    witnesses.start(2)
    assert append(ledger, plant).witnessed
    eventually(lambda: bool(witnesses.running[2][1].witness.stopped))
    assert any(line["event"] == "witness_rolled_back" for line in ledger.log_lines())
    assert append(ledger, plant).witnessed, "the others are still a quorum"
