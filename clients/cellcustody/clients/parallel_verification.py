"""Verify a large export on all cores.

The rules:

* Chunks run on threads, one for each core: almost all of the time goes into signatures, which OpenSSL checks without
  Python's lock, so that threads use every core and nothing is copied between processes.
* Results come back in the order of the log; a few chunks ahead are under way, so that memory stays bounded.
* A broken entry is told as the first in the log, whichever thread met one first; what is left is not started.

Nothing is ever forked: a process that has used gRPC cannot be.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from cellcustody.ledger.verification import (
    CheckedStatement,
    EntryToVerify,
    ExportReport,
    ReplayedRegistry,
    verify_entries,
)

__all__ = ["verify_export"]

CHUNKS_AHEAD_PER_THREAD: Final = 3  # Enough that no thread waits for the one that checks across entries.

_VerifyChunk = Callable[[Sequence[EntryToVerify]], list[CheckedStatement]]


def verify_export(
    entries: Iterable[EntryToVerify],
    registry: ReplayedRegistry,
    *,
    root: bytes | None = None,
    threads: int | None = None,
) -> ExportReport:
    """Returns what was verified of entries in the order of the log, on `threads` threads (none given: one a core).

    `root` may be given where the entries are the whole log: the root that a verified checkpoint names.

    Raises:
        DossierError: the first broken link; `leaf_index` says where.
    """
    count = threads or os.cpu_count() or 1

    def run(verify: _VerifyChunk, chunks: Iterable[Sequence[EntryToVerify]]) -> Iterator[list[CheckedStatement]]:
        under_way: deque[Future[list[CheckedStatement]]] = deque()
        with ThreadPoolExecutor(count, thread_name_prefix="cellcustody-verifier") as pool:
            try:
                for chunk in chunks:
                    under_way.append(pool.submit(verify, chunk))
                    if len(under_way) > count * CHUNKS_AHEAD_PER_THREAD:
                        yield under_way.popleft().result()
                while under_way:
                    yield under_way.popleft().result()
            finally:
                for waiting in under_way:
                    waiting.cancel()

    return verify_entries(entries, registry, run=run, root=root)
