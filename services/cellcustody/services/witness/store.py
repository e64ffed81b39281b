"""Keep the last head that was cosigned for each log, so that no crash and no race ever takes one back.

The rules:

* One SQLite database, `synchronous=FULL` set and read back. Looking at the last head, deciding, signing and keeping the
  new one happen in one `BEGIN IMMEDIATE` transaction: two requests for one log never both go on from the same head.
* After the commit, the note is appended to a journal of that log outside the database, and synced; only then is it
  answered. A crash in between leaves a head that was kept and not answered: the log asks again and is told the size.
* A database behind its journal was restored from an older copy. The witness refuses to start: it would cosign a second
  history. So it does when a log shows it a cosignature of its own over a larger tree than it remembers.
* Sizes are kept as text, for they may exceed what SQLite counts to.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cellcustody.ledger.errors import FatalStoreError, StoreError
from cellcustody.ledger.store import HeadJournal
from cellcustody.ledger.transparency import CosignedHead, origin_hash, parse_checkpoint

__all__ = ["Kept", "WitnessRolledBackError", "WitnessStore"]

JOURNAL_BYTES_MAX: Final = 1_048_576  # A hundred notes with ML-DSA-44 on both sides.
BUSY_MILLISECONDS: Final = 10_000
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS heads (
    origin TEXT PRIMARY KEY,
    size TEXT NOT NULL,
    root BLOB NOT NULL,
    note BLOB NOT NULL,
    cosigned_at INTEGER NOT NULL
) STRICT
"""


class WitnessRolledBackError(FatalStoreError):
    """Raised when a witness's database is older than what it has cosigned."""

    reason = "WITNESS_ROLLED_BACK"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a log: its last head, the note with log's and witness's signatures, and when (Unix seconds)."""

    head: CosignedHead
    note: bytes
    cosigned_at: int


class WitnessStore:
    """The heads of all logs that are witnessed here; safe to use from many threads."""

    def __init__(self, database: Path, journal_directory: Path, origins: Iterable[str]) -> None:
        """Opens or makes database and journals, and holds one against the other.

        Raises:
            WitnessRolledBackError: the database is behind a journal, or holds another history.
            StoreError: a file cannot be opened, or another process has the journal.
        """
        try:
            database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            journal_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                database, isolation_level=None, check_same_thread=False, timeout=BUSY_MILLISECONDS / 1000
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            found = self._connection.execute("PRAGMA synchronous").fetchone()
            if found != (2,):
                raise StoreError("the database does not sync as it must", synchronous=found)
            self._connection.execute(_SCHEMA)
        except (sqlite3.Error, OSError) as failure:
            raise StoreError("a witness's database cannot be opened", path=database, cause=failure) from failure
        self._lock = threading.Lock()  # One connection; SQLite's own lock holds off other processes.
        self._journals: dict[str, HeadJournal] = {}
        try:
            for origin in origins:
                path = journal_directory / f"{origin_hash(origin)}.journal"
                self._journals[origin] = HeadJournal(path, bytes_max=JOURNAL_BYTES_MAX)
                self._check(origin)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes database and journals."""
        with self._lock:
            self._connection.close()
            for journal in self._journals.values():
                journal.close()

    def latest(self, origin: str) -> Kept | None:
        """Returns what is kept of a log, None before its first cosignature."""
        with self._lock:
            return self._read(origin)

    def advance(self, origin: str, decide: Callable[[Kept | None], Kept]) -> Kept:
        """Keeps what `decide` makes of what was kept before, and returns it once it is durable.

        `decide` raises what it likes to leave everything as it was.

        Raises:
            StoreError: it could not be made durable; nothing may be answered.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    kept = decide(self._read(origin))
                    self._connection.execute(
                        "INSERT INTO heads VALUES (?, ?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET"
                        " size = excluded.size, root = excluded.root, note = excluded.note,"
                        " cosigned_at = excluded.cosigned_at",
                        (origin, str(kept.head.size), kept.head.root, kept.note, kept.cosigned_at),
                    )
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as failure:
                raise StoreError("a head could not be kept", cause=failure) from failure
            self._journals[origin].append(kept.note)
            return kept

    def _read(self, origin: str) -> Kept | None:
        row = self._connection.execute(
            "SELECT size, root, note, cosigned_at FROM heads WHERE origin = ?", (origin,)
        ).fetchone()
        if row is None:
            return None
        size, root, note, cosigned_at = row
        return Kept(CosignedHead(int(size), root), note, cosigned_at)

    def _check(self, origin: str) -> None:
        last = self._journals[origin].last()
        if last is None:
            return
        journalled = parse_checkpoint(last)
        kept = self._read(origin)
        size = 0 if kept is None else kept.head.size
        if kept is None or size < journalled.size or (size == journalled.size and kept.head.root != journalled.root):
            raise WitnessRolledBackError(
                "the witness's database is older than what it cosigned last: bring the newer one back, or retire this "
                "witness's keys and make a new one",
                origin=origin,
                database_size=size,
                journal_size=journalled.size,
            )
