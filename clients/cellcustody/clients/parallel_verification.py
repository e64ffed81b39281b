"""Verify a large export on all cores.

The rules:

* A large export is verified in processes, one a core, this one among them: all of the work on one entry is then done
  side by side, not its signature alone. Starting the others costs half a second, in which this one verifies; a small
  export is verified on threads.
* A process is started afresh, never forked (one that has used gRPC cannot be), and from a module of ours: it does not
  import the caller's program again, which need not be made for it. Entries go in as plain bytes.
* The checks across entries are made here, in the order of the log, as chunks come back; whenever the next one is not
  there yet, this process verifies one itself. So many are ahead of the order, and no more, that memory stays bounded.
* A broken entry is told as the first in the log, whoever met one first; what is left is not started.
* Whatever ends the verification ends the processes. One that ends by itself is an error, never a verdict.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from threading import Lock
from typing import Final

from cellcustody.clients.verification_worker import pack_chunk, read_answer, read_frame, write_frame
from cellcustody.ledger.errors import ClientError
from cellcustody.ledger.verification import (
    ChunkRunner,
    EntryToVerify,
    ExportReport,
    ReplayedRegistry,
    SoFar,
    VerifiedChunk,
    VerifyChunk,
    verify_entries,
)

__all__ = ["PROCESSES_ENTRIES_MIN", "VerificationProcessError", "verify_export"]

PROCESSES_ENTRIES_MIN: Final = 8_000  # Some half a second's work on two cores: about what starting processes costs.
CHUNKS_AHEAD_PER_THREAD: Final = 3  # Enough that none waits for the one that checks across entries.
CHUNKS_AHEAD_PER_PROCESS: Final = 32  # What one core verifies while the others start: some 10 MB of entries.
CHUNKS_SENT_PER_PROCESS: Final = 4  # So many that none waits while this process is at a chunk of its own.
_WORKER: Final = ("-P", "-m", "cellcustody.clients.verification_worker")


class VerificationProcessError(ClientError):
    """Raised when a process that verifies ended by itself; nothing can be said of the export."""

    reason = "VERIFICATION_PROCESS_ENDED"


def verify_export(
    entries: Iterable[EntryToVerify],
    registry: ReplayedRegistry,
    *,
    root: bytes | None = None,
    threads: int | None = None,
    processes_from: int = PROCESSES_ENTRIES_MIN,
    signed_before: int = 0,
    watch: Callable[[SoFar], None] | None = None,
) -> ExportReport:
    """Returns what was verified of entries in the order of the log, on `threads` cores (none given: on all).

    `root` may be given where the entries are the whole log: the root that a verified checkpoint names. From
    `processes_from` entries on each core has a process of its own, below a thread. The signatures below leaf
    `signed_before` were verified before, over the same bytes. `watch` is told after each chunk, in order.

    Raises:
        DossierError: the first broken link; `leaf_index` says where.
        VerificationProcessError: a process ended by itself.
    """
    count = threads or os.cpu_count() or 1
    waiting = iter(entries)
    first = list(islice(waiting, processes_from))
    is_large = count > 1 and len(first) >= processes_from and bool(sys.executable)
    run = _in_processes(count, registry, signed_before) if is_large else _on_threads(count)
    return verify_entries(chain(first, waiting), registry, run=run, root=root, signed_before=signed_before, watch=watch)


def _on_threads(count: int) -> ChunkRunner:
    def run(verify: VerifyChunk, chunks: Iterable[Sequence[EntryToVerify]]) -> Iterator[VerifiedChunk]:
        with ThreadPoolExecutor(count, thread_name_prefix="cellcustody-verifier") as pool:
            yield from _in_order(pool, verify, chunks, count * CHUNKS_AHEAD_PER_THREAD)

    return run


def _in_processes(count: int, registry: ReplayedRegistry, signed_before: int) -> ChunkRunner:
    def run(verify: VerifyChunk, chunks: Iterable[Sequence[EntryToVerify]]) -> Iterator[VerifiedChunk]:
        others = count - 1
        workers: list[_Worker] = []
        # Each thread moves one chunk there and its answer back, and waits in between.
        with ThreadPoolExecutor(others * CHUNKS_SENT_PER_PROCESS, thread_name_prefix="cellcustody-verifier") as pool:
            try:
                workers.extend(_Worker() for _ in range(others))
                registry_entries = pack_chunk(registry.given)
                free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
                for worker in workers:
                    worker.begin(registry_entries, signed_before)
                for worker in workers * CHUNKS_SENT_PER_PROCESS:
                    free.put(worker)

                def verify_there(chunk: Sequence[EntryToVerify]) -> VerifiedChunk:
                    worker = free.get()
                    try:
                        return worker.verify(chunk)
                    finally:
                        free.put(worker)

                yield from _shared(pool, verify_there, verify, iter(chunks), count)
            finally:
                for worker in workers:
                    worker.end()

    return run


def _shared(
    pool: ThreadPoolExecutor,
    verify_there: VerifyChunk,
    verify_here: VerifyChunk,
    chunks: Iterator[Sequence[EntryToVerify]],
    count: int,
) -> Iterator[VerifiedChunk]:
    """Yields what is found of the chunks in their order; the others are kept busy first, the rest is done here."""
    sent_at_most = (count - 1) * CHUNKS_SENT_PER_PROCESS
    ahead = count * CHUNKS_AHEAD_PER_PROCESS
    under_way: deque[Future[VerifiedChunk]] = deque()
    try:
        while True:
            while len(under_way) < ahead and sum(not one.done() for one in under_way) < sent_at_most:
                chunk = next(chunks, None)
                if chunk is None:
                    break
                under_way.append(pool.submit(verify_there, chunk))
            if not under_way:
                return
            if len(under_way) < ahead and not under_way[0].done() and (chunk := next(chunks, None)) is not None:
                done_here: Future[VerifiedChunk] = Future()
                done_here.set_result(verify_here(chunk))
                under_way.append(done_here)
                continue
            yield under_way.popleft().result()
    finally:
        for waiting in under_way:
            waiting.cancel()


def _in_order(
    pool: ThreadPoolExecutor,
    verify: Callable[[Sequence[EntryToVerify]], VerifiedChunk],
    chunks: Iterable[Sequence[EntryToVerify]],
    ahead: int,
) -> Iterator[VerifiedChunk]:
    under_way: deque[Future[VerifiedChunk]] = deque()
    try:
        for chunk in chunks:
            under_way.append(pool.submit(verify, chunk))
            if len(under_way) > ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for waiting in under_way:
            waiting.cancel()


class _Worker:
    """A process that verifies chunks, in the order in which they are sent."""

    def __init__(self) -> None:
        """Starts the process; it finds its modules where this one does."""
        self._process = subprocess.Popen(
            [sys.executable, *_WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        self._sending = Lock()
        self._receiving = Lock()

    def begin(self, registry_entries: bytes, signed_before: int) -> None:
        """Hands over the registry, and how many leaves had their signatures verified before."""
        self._send(signed_before.to_bytes(8, "big"))
        self._send(registry_entries)

    def verify(self, chunk: Sequence[EntryToVerify]) -> VerifiedChunk:
        """Returns what the process finds of a chunk.

        Raises:
            VerificationProcessError: it ended by itself.
        """
        content = pack_chunk(chunk)
        # Whoever has sent takes its turn to receive before the next may send: answers come in that order.
        with self._sending:
            self._send(content)
            self._receiving.acquire()
        try:
            assert self._process.stdout is not None
            answer = read_frame(self._process.stdout)
        finally:
            self._receiving.release()
        if answer is None:
            raise VerificationProcessError("a process that verifies ended", exit_code=self._process.wait())
        return read_answer(answer)

    def end(self) -> None:
        """Ends the process, whatever it does; returns when it is gone."""
        self._process.kill()
        self._process.wait()

    def _send(self, content: bytes) -> None:
        assert self._process.stdin is not None
        try:
            write_frame(self._process.stdin, content)
        except OSError as broken:
            raise VerificationProcessError("a process that verifies ended", exit_code=self._process.wait()) from broken
