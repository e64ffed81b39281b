"""Measure what this machine can do at all: fsync, raw commits, raw signature verification.

The rules:

* The disk is measured in the folder where the ledger under test lies, by the way in which SQLite's log grows: a write
  at the end of a file, then fsync.
* Raw verification is `cryptography`'s Ed25519 over the very same signatures and the very same bytes that the ledger
  gets, with keys parsed beforehand, by two threads and by two processes on two cores. The faster of the two counts.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from benchmarks.timing import median, percentile
from benchmarks.workload import Party, SignedFact
from cellcustody.ledger.statements import parse_public_key, parse_statement

__all__ = ["Disk", "RawSignature", "RawVerification", "measure_disk", "measure_verification", "raw_signatures"]

CORES: Final = 2  # What the targets are stated for.
BLOCK: Final = bytes(4096)

RawSignature = tuple[bytes, bytes, bytes]
"""A public key's 32 bytes, a signature's 64, and the bytes signed."""


@dataclass(frozen=True, slots=True)
class Disk:
    """How long the disk takes; `commits_per_second` is of one row at a time, with synchronous=FULL."""

    fsync_median_seconds: float
    fsync_p99_seconds: float
    commits_per_second: float


@dataclass(frozen=True, slots=True)
class RawVerification:
    """Signatures verified a second on both cores."""

    threads_per_second: float
    processes_per_second: float

    @property
    def per_second(self) -> float:
        """The faster way, which is the ceiling."""
        return max(self.threads_per_second, self.processes_per_second)

    @property
    def faster(self) -> str:
        """Which way is the faster."""
        return "threads" if self.threads_per_second >= self.processes_per_second else "processes"


def measure_disk(directory: Path, count: int) -> Disk:
    """Measures `count` fsyncs and `count` commits in `directory`."""
    path = directory / "fsync.probe"
    samples: list[float] = []
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        for _ in range(count):
            os.write(file, BLOCK)
            started = time.perf_counter()
            os.fsync(file)
            samples.append(time.perf_counter() - started)
    finally:
        os.close(file)
        path.unlink()
    return Disk(median(samples), percentile(samples, 0.99), _commits(directory / "commit.probe", count))


def _commits(path: Path, count: int) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE row (content BLOB)")
        started = time.perf_counter()
        for _ in range(count):
            connection.execute("INSERT INTO row VALUES (?)", (BLOCK[:1024],))
        return count / (time.perf_counter() - started)
    finally:
        connection.close()
        for left in path.parent.glob(path.name + "*"):
            left.unlink()


def raw_signatures(facts: Sequence[SignedFact], signers: Sequence[Party]) -> list[RawSignature]:
    """Returns the signatures of facts with the bytes that they cover."""
    raw_keys = {one.signer.key_id.hex(): parse_public_key(one.signer.public_key_spki).handle for one in signers}
    result: list[RawSignature] = []
    for fact in facts:
        envelope = parse_statement(fact.submission.envelope).envelope
        (signature,) = envelope.signatures
        handle = raw_keys[signature.keyid]
        if not isinstance(handle, bytes):
            raise TypeError("the load is signed with Ed25519")
        result.append((handle, signature.sig, envelope.signed_bytes))
    return result


def measure_verification(signatures: Sequence[RawSignature]) -> RawVerification:
    """Verifies all signatures by two threads, then by two processes, and returns both rates."""
    with ThreadPoolExecutor(CORES) as threads:
        by_threads = _rate(threads, signatures)
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as processes:
        by_processes = _rate(processes, signatures)
    return RawVerification(by_threads, by_processes)


def _rate(executor: Executor, signatures: Sequence[RawSignature]) -> float:
    """Returns the sum of what the workers reach, each timed by itself while all of them run."""
    shares = [list(signatures[core::CORES]) for core in range(CORES)]
    list(executor.map(_verify_all, [share[:50] for share in shares]))  # Every worker runs before any is timed.
    return sum(len(share) / taken for share, taken in zip(shares, executor.map(_verify_all, shares), strict=True))


def _verify_all(signatures: Sequence[RawSignature]) -> float:
    keys = {raw: Ed25519PublicKey.from_public_bytes(raw) for raw in {key for key, _, _ in signatures}}
    ready = [(keys[key], signature, message) for key, signature, message in signatures]
    started = time.perf_counter()
    for public, signature, message in ready:
        public.verify(signature, message)
    return time.perf_counter() - started
