"""Follow the log into the views.

The rules:

* One thread pulls entries up to the last checkpoint that left, a bounded batch at a time: nothing is shown that the
  log has not signed.
* Each stream that a batch touches is folded once with its recorded judgements, and its rows are replaced as a set, in
  one transaction with the leaf index followed to. A consignment's news reaches the therapies linked to it.
* Views are a function of the log: to stop anywhere and go on, or to drop them and begin again, ends in the same rows.
* While the log moves on and nobody waits to read, the thread lets some seconds of it come together, and pauses after
  each batch for many times as long as that took: nobody who appends waits for views. When nothing has been written for
  a moment the pause ends: what one person says, another reads at once.
* What is kept in memory is bounded by statements, not by the length of the log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

from cellcustody.ledger.custody.policy import DEFAULT_PACK, PolicyPack
from cellcustody.ledger.entries import leaf_hash_of
from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.statements import StreamKind
from cellcustody.ledger.views.database import Changes, Followed, RowSet, ViewsDatabase
from cellcustody.ledger.views.folding import StreamView, cited_consignments
from cellcustody.ledger.views.pinned import pinned_digest
from cellcustody.ledger.views.reading import LedgerSource, Told, read_one_of, read_told
from cellcustody.ledger.views.rows_consignment import alone_rows, consignment_rows
from cellcustody.ledger.views.rows_therapy import therapy_rows
from cellcustody.ledger.views.tables import TABLES

__all__ = ["Follower", "LedgerSource", "Packs"]

# Bounds a transaction and what one batch holds in memory: some megabytes. Under load a stream is read and folded once
# for all that it got meanwhile, so large batches are cheap ones.
BATCH_ENTRIES_MAX: Final = 2_048
KEPT_STATEMENTS_MAX: Final = 6_000  # About 15 MiB of acts and folds; fifty therapies of ordinary length.
IDLE_SECONDS: Final = 0.02  # Between two looks at the checkpoint; a reader who wants a position wakes the thread.
QUIET_SECONDS: Final = 0.04  # Without news for so long, nobody is writing who would have to wait for views.
GATHER_SECONDS_MAX: Final = 2.0  # What is written to one stream within it is folded once; a lone entry does not wait.
PAUSE_FACTOR: Final = 19  # Under load, views take a twentieth of the interpreter at most; nobody waits for the pause.
# With more streams written to than are kept, a batch folds most of them anew, seconds of work: at a limit of two
# seconds views took two thirds of an interpreter under load. Who names a position, as every client that has written
# does, and who asks when nothing is being written, waits for no pause.
PAUSE_SECONDS_MAX: Final = 20.0
RETRY_SECONDS: Final = 1.0  # After the ledger's store or the file did not answer.
PACKS_KEPT_MAX: Final = 64

_FOLDED: Final = frozenset(
    {StreamKind.THERAPY, StreamKind.CONSIGNMENT, StreamKind.LOT, StreamKind.SITE, StreamKind.EQUIPMENT}
)
_LOG: Final = logging.getLogger("cellcustody.views")


class Packs:
    """Policy packs by digest, as published; a digest without one stands for the built-in pack."""

    def __init__(self, source: LedgerSource) -> None:
        self._source = source
        self._parsed = lru_cache(maxsize=PACKS_KEPT_MAX)(PolicyPack.parse)

    def of(self, digest: bytes) -> PolicyPack:
        """Returns the pack with this digest, or the built-in one."""
        found = self._source.registry.latest.policy(digest) if digest else None
        return DEFAULT_PACK if found is None else self._parsed(found.pack)


class Follower:
    """Owns the following thread and everything that writes the views' file."""

    def __init__(
        self,
        path: Path | str,
        source: LedgerSource,
        *,
        batch_entries_max: int = BATCH_ENTRIES_MAX,
        kept_statements_max: int = KEPT_STATEMENTS_MAX,
    ) -> None:
        self._source = source
        self._batch_max = batch_entries_max
        self._kept_max = kept_statements_max
        self.packs = Packs(source)
        self._kept: OrderedDict[bytes, StreamView] = OrderedDict()
        self._kept_statements = 0
        self._writing = threading.RLock()
        self._moved = threading.Condition()
        self._wake = threading.Event()
        self._wanted = 0
        """The highest position that a reader has asked for; a lost race costs that reader one pause."""
        self._stop = threading.Event()
        self.database = ViewsDatabase(path)
        self._position = self._resume()
        self._thread = threading.Thread(target=self._run, name="cellcustody-views", daemon=True)

    # What others ask ------------------------------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """The position (tree size) that the views reflect."""
        return self._position

    def wait_for(self, position: int, timeout_seconds: float) -> bool:
        """Returns once the views reflect `position`, telling whether they do when the time is up."""
        if self._position >= position:
            return True
        self._wanted = max(self._wanted, position)
        self._wake.set()
        with self._moved:
            return self._moved.wait_for(
                lambda: self._position >= position or self._stop.is_set(), timeout_seconds
            ) and (self._position >= position)

    def start(self) -> None:
        """Starts following."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread after the batch under way and closes the file."""
        self._stop.set()
        self._wake.set()
        with self._moved:
            self._moved.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        with self._writing:
            self.database.close()

    def drop_and_rebuild(self) -> None:
        """Drops all rows; the log is followed from its first entry again."""
        with self._writing:
            self.database.empty()
            self._forget()
            self._position = 0
        self._wake.set()

    def catch_up(self) -> int:
        """Follows up to the last checkpoint in the calling thread and returns the position."""
        while self.follow_batch():
            pass
        return self._position

    # The thread -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        seen_size, still_since = self._position, time.monotonic()
        while not self._stop.is_set():
            self._wake.clear()
            began = time.monotonic()
            size = self._source.checkpoint_size()
            if size != seen_size and self._position >= self._wanted and began - still_since < GATHER_SECONDS_MAX:
                seen_size = size
                self._wake.wait(IDLE_SECONDS)
                continue
            seen_size = size
            try:
                followed = self.follow_batch()
            except CellcustodyError as error:
                # The ledger's store or the file did not answer; what was committed stands, so that it is tried again.
                _LOG.warning("views could not follow the log", extra={"reason": error.reason})
                self._stop.wait(RETRY_SECONDS)
                continue
            if followed:
                # What is being written comes first, unless somebody waits to read it.
                if self._position >= self._wanted:
                    self._pause(min(PAUSE_FACTOR * (time.monotonic() - began), PAUSE_SECONDS_MAX))
            else:
                self._wake.wait(IDLE_SECONDS)
            still_since = time.monotonic()

    def _pause(self, seconds: float) -> None:
        """Waits so long, or until a reader wants a position, or nothing has been written for a moment."""
        until, size = time.monotonic() + seconds, self._source.checkpoint_size()
        while not self._wake.wait(QUIET_SECONDS) and time.monotonic() < until:
            last, size = size, self._source.checkpoint_size()
            if size == last:
                return

    def follow_batch(self) -> int:
        """Follows at most one batch and returns how many entries it had; 0 if the views are up to the checkpoint."""
        with self._writing:
            first = self._position
            goal = min(self._source.checkpoint_size(), first + self._batch_max)
            if goal <= first:
                return 0
            entries = self._source.store.entries(first, goal - first)
            if not entries:
                return 0
            position = first + len(entries)
            try:
                changes = self._changes(first, entries, position)
                self.database.write(changes, Followed(position, leaf_hash_of(entries[-1])))
            except BaseException:
                self._forget()  # What is kept may be ahead of the rows.
                raise
            self._position = position
            self._let_go()
        with self._moved:
            self._moved.notify_all()
        return len(entries)

    # One batch ------------------------------------------------------------------------------------------------------

    def _changes(self, first: int, entries: list[bytes], position: int) -> Changes:
        news = self._news(first, entries)
        views = {stream: self._advance(stream, told, position) for stream, told in news.items()}
        dirty = set(views)
        for stream, view in views.items():
            if view.kind is StreamKind.CONSIGNMENT:
                dirty.update(self._reach(stream, position))
        changes = Changes.none()
        for stream in sorted(dirty):
            view = views.get(stream) or self._view(stream, position)
            if not view.told:
                continue  # Linked by a statement beyond this position.
            if view.rows is None:
                view.rows = self.database.stream_rows(stream, TABLES)
            rows = self._rows(view, position)
            changes.replace(view.rows, rows)
            view.rows = rows
        return changes

    def _news(self, first: int, entries: list[bytes]) -> dict[bytes, list[Told]]:
        """Returns what these entries tell, by stream; the registry's streams have no views."""
        news: dict[bytes, list[Told]] = {}
        for leaf_index, raw in enumerate(entries, start=first):
            told = read_one_of(self._source, _FOLDED, leaf_index, raw)
            if told is not None:
                news.setdefault(told.act.stream, []).append(told)
        return news

    def _advance(self, stream: bytes, told: list[Told], position: int) -> StreamView:
        kept = self._kept.get(stream)
        if kept is None and told[0].sequence == 1:
            kept = self._keep(StreamView(stream))
        if kept is None:
            return self._view(stream, position)
        self._kept.move_to_end(stream)
        self._kept_statements += len(told)
        kept.add(told)
        return kept

    def _reach(self, consignment: bytes, position: int) -> Iterable[bytes]:
        """Returns the therapies that cite a consignment; their folds begin again, for its news may stand anywhere."""
        for stream in self._source.store.linked(consignment):
            if stream[0] == StreamKind.THERAPY:
                self._view(stream, position).forget_folds()
                yield stream

    def _rows(self, view: StreamView, position: int) -> RowSet:
        match view.kind:
            case StreamKind.THERAPY:
                cited = sorted(cited_consignments(view.told))
                consignments = {stream: self._view(stream, position).told for stream in cited}
                return therapy_rows(view, view.therapy(consignments, self._pack(view), self.packs.of))
            case StreamKind.CONSIGNMENT:
                return consignment_rows(view, view.consignment())
            case _:
                return alone_rows(view)

    def _pack(self, view: StreamView) -> PolicyPack:
        """Returns the pack that the therapy is pinned to, as its entries say."""
        return self.packs.of(pinned_digest(view.told))

    # What is kept ---------------------------------------------------------------------------------------------------

    def _view(self, stream: bytes, position: int) -> StreamView:
        kept = self._kept.get(stream)
        if kept is not None:
            self._kept.move_to_end(stream)
            return kept
        return self._keep(StreamView(stream, read_told(self._source, stream, position)))

    def _keep(self, view: StreamView) -> StreamView:
        self._kept[view.stream] = view
        self._kept_statements += view.sequence
        return view

    def _let_go(self) -> None:
        while self._kept_statements > self._kept_max and self._kept:
            _, view = self._kept.popitem(last=False)
            self._kept_statements -= view.sequence

    def _forget(self) -> None:
        self._kept.clear()
        self._kept_statements = 0

    def _resume(self) -> int:
        """Returns where to go on; empties a file that is of another ledger or ahead of this one."""
        followed = self.database.followed()
        if followed.position == 0:
            return 0
        hashes = self._source.store.leaf_hashes(followed.position - 1, 1)
        if hashes != [followed.leaf_hash] or followed.position > self._source.checkpoint_size():
            self.database.empty()
            return 0
        return followed.position
