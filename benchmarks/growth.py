"""Measure what a grown ledger costs against a small one: bedside query, start, memory.

The rules:

* Both ledgers have the same number of therapies' worth of work in each therapy; the grown one has more therapies. The
  entries are recorded in this process, through the same ledger, and the views follow once before anything is measured.
* Small and grown are measured by turns. Each start is a process's; memory is what is resident after the queries.
* The queries are for the custody of therapies spread over the whole ledger, one after the other, over one connection.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from benchmarks.founding import Ground, found, opened
from benchmarks.processes import Running, ledger_server
from benchmarks.throughput import settle
from benchmarks.timing import median, percentile
from cellcustody.ledger.recording.ledger import Recorded
from cellcustody.v1 import custody_query_service_pb2, custody_query_service_pb2_grpc

__all__ = ["Grown", "Standing", "measure_growth"]

FACTS_PER_THERAPY: Final = 34  # With the six of its beginning, 40 entries; a whole course has some 120.
BEGINNING: Final = 6
QUERIES: Final = 300
RECORD_AT_ONCE: Final = 500
TIMEOUT_SECONDS: Final = 300.0

_Stub = custody_query_service_pb2_grpc.CustodyQueryServiceStub


@dataclass(frozen=True, slots=True)
class Standing:
    """One measure of one ledger. Queries are answered in `query_seconds` (median) and `query_p99_seconds`."""

    start_seconds: float
    query_seconds: float
    query_p99_seconds: float
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class Grown:
    """Medians of the small and of the grown ledger, with their numbers of entries."""

    small_entries: int
    large_entries: int
    small: Standing
    large: Standing


def measure_growth(directory: Path, small_entries: int, large_entries: int, runs: int) -> Grown:
    """Builds both ledgers under `directory` and measures them by turns."""
    grounds = []
    for name, wanted in (("small", small_entries), ("large", large_entries)):
        ground = found(directory / name)
        grounds.append((ground, _fill(ground, wanted)))
        with ledger_server(ground.founded.configuration) as server:
            _wait_for_views(ground, server, grounds[-1][1])
            settle(server)
    samples: list[list[Standing]] = [[], []]
    for _ in range(runs):
        for (ground, size), taken in zip(grounds, samples, strict=True):
            taken.append(_measure(ground, size))
    (_, small_size), (_, large_size) = grounds
    return Grown(small_size, large_size, _middle(samples[0]), _middle(samples[1]))


def _fill(ground: Ground, entries: int) -> int:
    """Records until the ledger has about that many entries; returns how many it has."""
    scene = ground.scene
    with opened(ground) as ledger:
        count = max(8, (entries - ledger.checkpoint_size()) // (FACTS_PER_THERAPY + BEGINNING))
        for start in range(0, count, 200):
            therapies = scene.begin_therapies(ledger, min(200, count - start))
            facts = scene.facts(therapies, len(therapies) * FACTS_PER_THERAPY)
            for at in range(0, len(facts), RECORD_AT_ONCE):
                results = ledger.submit_many(
                    [fact.submission for fact in facts[at : at + RECORD_AT_ONCE]],
                    timeout_seconds=TIMEOUT_SECONDS,
                    with_receipts=False,
                )
                if not all(isinstance(one, Recorded) for one in results):
                    raise RuntimeError("a statement was refused")
        return ledger.checkpoint_size()


def _stub(ground: Ground, server: Running) -> tuple[grpc.Channel, _Stub]:
    credentials = grpc.ssl_channel_credentials(
        ground.founded.authority.read_bytes(), ground.site.key.read_bytes(), ground.site.certificate.read_bytes()
    )
    channel = grpc.secure_channel(server.target, credentials)
    return channel, custody_query_service_pb2_grpc.CustodyQueryServiceStub(channel)


def _wait_for_views(ground: Ground, server: Running, size: int) -> None:
    channel, stub = _stub(ground, server)
    last = ground.scene.therapies[-1].stream
    waited = time.monotonic() + TIMEOUT_SECONDS
    with channel:
        while time.monotonic() < waited:
            try:
                _ask(stub, last, size)
            except grpc.RpcError:
                time.sleep(0.5)
            else:
                return
    raise RuntimeError("the views do not follow")


def _ask(stub: _Stub, stream: bytes, size: int) -> None:
    request = custody_query_service_pb2.GetTherapyRequest(
        therapy=custody_query_service_pb2.TherapyName(stream=stream), position_min=size
    )
    answer = stub.GetTherapy(request, timeout=10)
    if len(answer.materials) != 1:
        raise RuntimeError("a therapy has not the bag that it should have")


def _measure(ground: Ground, size: int) -> Standing:
    therapies = ground.scene.therapies
    step = max(1, len(therapies) // QUERIES)
    asked = [one.stream for one in therapies[::step]][:QUERIES]
    with ledger_server(ground.founded.configuration) as server:
        settle(server)
        channel, stub = _stub(ground, server)
        samples: list[float] = []
        with channel:
            for turn in range(QUERIES + 20):
                started = time.perf_counter()
                _ask(stub, asked[turn % len(asked)], size)
                if turn >= 20:  # The first of a connection are its handshake's.
                    samples.append(time.perf_counter() - started)
        return Standing(server.start_seconds, median(samples), percentile(samples, 0.99), server.resident_bytes())


def _middle(samples: Sequence[Standing]) -> Standing:
    return Standing(
        median([one.start_seconds for one in samples]),
        median([one.query_seconds for one in samples]),
        median([one.query_p99_seconds for one in samples]),
        int(median([one.resident_bytes for one in samples])),
    )
