"""Measure appends, batches and offline verification against ceilings taken in the same run.

The rules:

* A run measures disk, raw verification, echo, single appends and batches, one after the other. Offline verification
  needs the ledger closed: it comes after all of them, each time with a raw verification of its own.
* Runs follow one another, so that what disturbs the machine disturbs ceilings and ledger alike; medians are of runs.
* Before a measure begins the server has nothing left to do: its views have followed and it uses no processor time.
* Every statement sent is recorded, or the benchmark fails: a fast refusal is no throughput.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.ceilings import Disk, RawSignature, RawVerification, measure_disk, measure_verification, raw_signatures
from benchmarks.founding import Ground, found, opened
from benchmarks.frames import write_frames
from benchmarks.load_generator import APPEND, APPEND_BATCH, ECHO, Answer, Specification
from benchmarks.log_audit import audit_rate, write_log_files
from benchmarks.offline_verification import write_export
from benchmarks.processes import ROOT, Running, children_of, echo_server, generate_load, ledger_server
from benchmarks.timing import Latencies
from benchmarks.workload import SignedFact, Therapy, measured_payload_bytes, to_request
from cellcustody.v1 import ledger_service_pb2

__all__ = ["Offline", "Run", "Sizes", "Throughput", "measure_offline", "measure_throughput", "settle"]

CALLERS: Final = 16  # The target's own number.
BATCH_CALLERS: Final = 4  # So that one batch is judged while the next is verified.
BATCH_STATEMENTS: Final = 500  # The contract's limit.
SETTLED_SECONDS: Final = 0.4
SETTLE_TIMEOUT_SECONDS: Final = 600.0
VERIFY_TIMEOUT_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is sent: for each run, and before any."""

    runs: int
    single_therapies: int
    batch_therapies: int
    singles: int
    batches: int
    probes: int


@dataclass(frozen=True, slots=True)
class Run:
    """One run's measures. Rates are a second."""

    disk: Disk
    raw: RawVerification
    echo: Latencies
    single: Latencies
    bulk_per_second: float

    @property
    def single_ceiling(self) -> float:
        """The most that single appends could reach: the echo's rate, or all callers waiting for two fsyncs each."""
        return min(self.echo.per_second, CALLERS / (2 * self.disk.fsync_median_seconds))

    @property
    def p99_ceiling_seconds(self) -> float:
        """What the slowest appends are held to: slow echoes and slow fsyncs."""
        return self.echo.p99_seconds + self.disk.fsync_p99_seconds


@dataclass(frozen=True, slots=True)
class Throughput:
    """All runs, what was sent, and the ledger that took it."""

    runs: tuple[Run, ...]
    payload_bytes: int
    request_bytes: int
    ground: Ground
    signatures: tuple[RawSignature, ...]


@dataclass(frozen=True, slots=True)
class Offline:
    """Signatures a second: raw, with all that the verifier checks of an export, and with all that an audit checks."""

    raw_per_second: float
    per_second: float
    audit_per_second: float


def measure_throughput(directory: Path, sizes: Sizes) -> Throughput:
    """Founds a ledger under `directory` and measures it.

    Raises:
        RuntimeError: a process failed, or a statement was refused.
    """
    ground = found(directory / "ledger")
    with opened(ground) as ledger:
        singles = ground.scene.begin_therapies(ledger, sizes.single_therapies)
        bulk = ground.scene.begin_therapies(ledger, sizes.batch_therapies)
    load = _Load(directory, ground, singles, bulk, sizes)
    with echo_server(ground.founded.configuration) as echo, ledger_server(ground.founded.configuration) as server:
        load.warm(server)
        measured = tuple(load.run(number, echo, server) for number in range(sizes.runs))
    return Throughput(measured, load.payload_bytes, load.request_bytes, ground, load.signatures)


def measure_offline(directory: Path, after: Throughput) -> Iterator[Offline]:
    """Exports the whole ledger that was measured and yields one measure of its verification for each run.

    Raises:
        RuntimeError: the export does not verify.
    """
    export = directory / "export"
    log = directory / "log"
    with opened(after.ground) as ledger:
        write_export(ledger, export)
        write_log_files(ledger, log)
    for _ in after.runs:
        raw = measure_verification(after.signatures)
        yield Offline(
            raw.per_second,
            _verify_offline(export, after.ground.founded.founding_digest),
            audit_rate(log, after.ground.founded.anchor),
        )


class _Load:
    """The requests of every run, signed before the first."""

    def __init__(
        self,
        directory: Path,
        ground: Ground,
        singles: Sequence[Therapy],
        bulk: Sequence[Therapy],
        sizes: Sizes,
    ) -> None:
        self._directory = directory
        self._ground = ground
        self._sizes = sizes
        scene = ground.scene
        self._warm = scene.facts(singles, len(singles)), _for_batches(scene.facts(bulk, len(bulk)))
        self._singles = [scene.facts(singles, sizes.singles) for _ in range(sizes.runs)]
        self._bulk = [_for_batches(scene.facts(bulk, sizes.batches * BATCH_STATEMENTS)) for _ in range(sizes.runs)]
        self._raw = [raw_signatures(facts, scene.nurses) for facts in self._singles]
        self.signatures = tuple(one for raw in self._raw for one in raw)
        self.payload_bytes = measured_payload_bytes(self._singles[0])
        self.request_bytes = to_request(self._singles[0][0]).ByteSize()

    def warm(self, server: Running) -> None:
        """Sends one fact to every therapy, so that what is measured is not the first reading of their streams."""
        singles, bulk = self._warm
        self._send(server, APPEND, singles)
        self._send(server, APPEND_BATCH, bulk)
        settle(server)

    def run(self, number: int, echo: Running, server: Running) -> Run:
        """Measures once."""
        disk = measure_disk(self._ground.directory / "data", self._sizes.probes)
        raw = measure_verification(self._raw[number])
        singles = self._singles[number]
        echoed = self._send(echo, ECHO, singles).calls
        single = self._send(server, APPEND, singles).calls
        settle(server)
        bulk = self._send(server, APPEND_BATCH, self._bulk[number])
        settle(server)
        return Run(disk, raw, echoed, single, bulk.statements / bulk.calls.elapsed_seconds)

    def _send(self, server: Running, method: str, facts: Sequence[SignedFact]) -> Answer:
        path = self._directory / "requests"
        callers = CALLERS
        requests = [to_request(fact) for fact in facts]
        if method == APPEND_BATCH:
            callers = BATCH_CALLERS
            frames = [
                ledger_service_pb2.AppendBatchRequest(
                    statements=requests[start : start + BATCH_STATEMENTS], omit_receipts=True
                ).SerializeToString()
                for start in range(0, len(requests), BATCH_STATEMENTS)
            ]
        else:
            frames = [request.SerializeToString() for request in requests]
        write_frames(path, frames)
        tls = self._ground
        answer = generate_load(
            Specification(
                server.target,
                method,
                str(path),
                callers,
                str(tls.founded.authority),
                str(tls.site.certificate),
                str(tls.site.key),
            ),
            self._directory,
        )
        if answer.refused or (method != ECHO and answer.statements != len(facts)):
            raise RuntimeError(f"{answer.refused} statements were refused, the first for {answer.first_refusal}")
        return answer


def _for_batches(facts: Sequence[SignedFact]) -> list[SignedFact]:
    """Returns facts in such an order that batch n is of the therapies of caller n modulo `BATCH_CALLERS` alone."""
    shares = [facts[caller::BATCH_CALLERS] for caller in range(BATCH_CALLERS)]
    ordered: list[SignedFact] = []
    for start in range(0, max(map(len, shares)), BATCH_STATEMENTS):
        for share in shares:
            ordered.extend(share[start : start + BATCH_STATEMENTS])
    return ordered


def settle(server: Running) -> None:
    """Returns when the server has used next to no processor time for a while.

    Raises:
        RuntimeError: it does not come to rest.
    """
    waited = time.monotonic() + SETTLE_TIMEOUT_SECONDS
    allowed = SETTLED_SECONDS * 0.15 * os.sysconf("SC_CLK_TCK")  # Idle threads look round now and then.
    before = _ticks(server)
    while time.monotonic() < waited:
        time.sleep(SETTLED_SECONDS)
        now = _ticks(server)
        if now - before <= allowed:
            return
        before = now
    raise RuntimeError("the server does not come to rest")


def _ticks(server: Running) -> int:
    return sum(_ticks_of(pid) for pid in (server.process.pid, *children_of(server.process.pid)))


def _ticks_of(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])  # User and system time; see proc(5).


def _verify_offline(export: Path, founding_digest: bytes) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.offline_verification", str(export), founding_digest.hex()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=VERIFY_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the export does not verify: {done.stderr[-2000:]}")
    answer = json.loads(done.stdout)
    return float(answer["signatures"]) / float(answer["seconds"])
