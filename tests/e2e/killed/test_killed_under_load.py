"""The real server is killed with SIGKILL under load, again and again, and nothing that it acknowledged is lost.

Sixteen callers send facts, each therapy's in order, and send again what they got no answer to. After every kill the
ledger is opened again and everything new in it is verified from its bytes: chain, tree, checkpoint, openings.
"""

from __future__ import annotations

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from benchmarks.founding import ORIGIN, Ground, found, opened
from benchmarks.processes import ROOT, Running, ledger_server
from benchmarks.workload import SignedFact, to_request

from cellcustody.ledger.contract import BODIES
from cellcustody.ledger.entries import leaf_hash_of, read_entry
from cellcustody.ledger.recording.ledger import Ledger
from cellcustody.ledger.statements import open_body, parse_statement
from cellcustody.ledger.transparency import root_of, verify_checkpoint, verify_consistency
from cellcustody.v1 import (
    custody_query_service_pb2,
    custody_query_service_pb2_grpc,
    ledger_service_pb2_grpc,
)

pytestmark = pytest.mark.torture

KILLS = 20
CALLERS = 16
FACTS = 16_000  # More than can be recorded while the server lives.
DEAD = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN)


@dataclass
class Load:
    """What callers have sent and what they were told; positions by statement digest."""

    shares: list[list[SignedFact]]
    sent: list[int] = field(default_factory=lambda: [0] * CALLERS)
    acknowledged: dict[bytes, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def call(self, caller: int, ground: Ground, target: str) -> None:
        """Sends one caller's facts in order until the server is gone."""
        with channel_to(ground, target) as channel:
            stub = ledger_service_pb2_grpc.LedgerServiceStub(channel)
            while self.sent[caller] < len(self.shares[caller]):
                fact = self.shares[caller][self.sent[caller]]
                try:
                    answer = stub.Append(to_request(fact), timeout=20)
                except grpc.RpcError as failure:
                    if failure.code() not in DEAD:
                        self.failures.append(str(failure))
                    return
                if answer.statement_digest != fact.statement_digest:
                    self.failures.append("an answer is for another statement")
                self.acknowledged[fact.statement_digest] = answer.position
                self.sent[caller] += 1


@dataclass
class Checked:
    """What has been verified of the log so far."""

    leaf_hashes: list[bytes] = field(default_factory=list)
    heads: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    size: int = 0
    root: bytes = b""

    def check(self, ledger: Ledger) -> None:
        """Verifies everything new, and that the log only grew."""
        published = ledger.published
        assert published is not None
        vkeys = ledger.registry.latest.log_keys
        assert vkeys is not None
        keys = vkeys.signing(published.head.size)
        checkpoint = verify_checkpoint(published.checkpoint, ORIGIN, keys, required_vkeys=keys)
        entries = ledger.store.entries(self.size, checkpoint.size)
        assert self.size + len(entries) == checkpoint.size == ledger.store.head().size
        for raw in entries:
            self._take(ledger, raw)
        assert root_of(self.leaf_hashes) == checkpoint.root
        if self.size:
            proof, _, _ = ledger.consistency_proof(self.size, checkpoint.size)
            verify_consistency(self.size, checkpoint.size, self.root, checkpoint.root, proof)
        self.size, self.root = checkpoint.size, checkpoint.root

    def _take(self, ledger: Ledger, raw: bytes) -> None:
        entry = read_entry(raw)
        statement = parse_statement(entry.envelope)
        leaf_hash = leaf_hash_of(raw)
        sequence, previous = self.heads.get(statement.stream, (0, bytes(32)))
        assert (entry.sequence, entry.previous_leaf_hash) == (sequence + 1, previous)
        self.heads[statement.stream] = (entry.sequence, leaf_hash)
        found = BODIES.get(statement.header.body_type)
        if found is not None:
            # All of its body is there: the openings make the root that was signed.
            openings = ledger.read_entry(leaf_index=len(self.leaf_hashes)).openings
            open_body(statement, openings, found.message_class)
        self.leaf_hashes.append(leaf_hash)


def channel_to(ground: Ground, target: str) -> grpc.Channel:
    """Returns a connection of the site's."""
    credentials = grpc.ssl_channel_credentials(
        ground.founded.authority.read_bytes(), ground.site.key.read_bytes(), ground.site.certificate.read_bytes()
    )
    return grpc.secure_channel(target, credentials, options=[("grpc.use_local_subchannel_pool", 1)])


def kill_under_load(ground: Ground, server: Running, load: Load, after_seconds: float) -> None:
    """Lets all callers send, kills the server, and returns when no caller waits any more."""
    threads = [threading.Thread(target=load.call, args=(caller, ground, server.target)) for caller in range(CALLERS)]
    for thread in threads:
        thread.start()
    time.sleep(after_seconds)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A founded ledger with therapies under way."""
    made = found(tmp_path / "ledger")
    with opened(made) as ledger:
        made.scene.begin_therapies(ledger, 2 * CALLERS)
    yield made


def test_what_was_acknowledged_survives_every_kill(ground: Ground, tmp_path: Path) -> None:
    """Twenty kills under load: all that was acknowledged is in the log, whole, under a checkpoint that only grew."""
    draw = random.Random(20)
    facts = ground.scene.facts(ground.scene.therapies, FACTS)
    load = Load([facts[caller::CALLERS] for caller in range(CALLERS)])
    checked = Checked()
    data = ground.directory / "data"

    for kill in range(KILLS):
        told = len(load.acknowledged)
        with ledger_server(ground.founded.configuration) as server:
            kill_under_load(ground, server, load, draw.uniform(0.2, 1.5))
        assert load.failures == []
        if kill == KILLS // 2:
            shutil.copytree(data, tmp_path / "earlier")
        with opened(ground) as ledger:
            checked.check(ledger)
            for digest, position in list(load.acknowledged.items())[told:]:
                found_at = ledger.store.find_statement(digest)
                assert found_at is not None
                assert found_at.leaf_index + 1 == position
        check_no_rows_beyond(data, checked.size)
    assert len(load.acknowledged) > KILLS * CALLERS

    # The views catch up with the log, and count what it holds.
    with ledger_server(ground.founded.configuration) as server, channel_to(ground, server.target) as channel:
        stub = custody_query_service_pb2_grpc.CustodyQueryServiceStub(channel)
        for therapy in ground.scene.therapies:
            name = custody_query_service_pb2.TherapyName(stream=therapy.stream)
            answer = stub.GetTherapy(
                custody_query_service_pb2.GetTherapyRequest(therapy=name, position_min=checked.size), timeout=120
            )
            assert answer.entries == checked.heads[therapy.stream][0]

    # A database from before the last checkpoint is refused: the journal outside it remembers.
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "earlier", data)
    command = [sys.executable, "-m", "cellcustody.services", "serve", "--config", str(ground.founded.configuration)]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode != 0
    assert "STORE_ROLLED_BACK" in refused.stderr + refused.stdout or "older" in refused.stderr


def check_no_rows_beyond(data: Path, size: int) -> None:
    """Asserts that no table holds a row of a statement that the log does not."""
    connection = sqlite3.connect(f"file:{data / 'ledger.sqlite'}?mode=ro", uri=True)
    try:
        for table in ("leaf", "vault"):
            (beyond,) = connection.execute(f"SELECT count(*) FROM {table} WHERE leaf_index >= ?", (size,)).fetchone()
            assert beyond == 0, table
        assert connection.execute("SELECT count(*) FROM stored_events").fetchone() == (size,)
    finally:
        connection.close()
