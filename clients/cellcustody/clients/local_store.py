"""What one device keeps between two runs: its counter, and what it had last read and written of each stream.

The rules:

* One SQLite file per device, `synchronous=FULL` and `secure_delete=ON`, both read back. It holds no content of any
  statement in the clear: streams, digests and numbers only; what an outbox adds is sealed by it.
* A counter is on the disk before its number is used, so that no number is ever used twice, not even after a crash.
* Read and written are kept apart. What was read is the last statement of a stream that a server showed; what was
  written is this device's own last one, recorded or still waiting. An own statement does not show what others wrote
  before it, so an authorisation rests on what was read, a fact on whichever came last.

One process uses a file at a time; threads share a connection under a lock.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cellcustody.clients.errors import OutboxUnusable

__all__ = ["LocalStore"]

_FORMAT: Final = 1
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS counters (device BLOB PRIMARY KEY, used INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS streams (
    stream BLOB PRIMARY KEY, last_digest BLOB, read_digest BLOB) STRICT;
CREATE TABLE IF NOT EXISTS links (
    stream BLOB NOT NULL, cited BLOB NOT NULL, PRIMARY KEY (stream, cited)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    statement_id BLOB NOT NULL UNIQUE,
    statement_digest BLOB NOT NULL UNIQUE,
    stream BLOB NOT NULL,
    body_type TEXT NOT NULL,
    queued_at_unix_micros INTEGER NOT NULL,
    envelope BLOB NOT NULL,
    openings BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'parked', 'delivered')),
    reason TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    position INTEGER NOT NULL DEFAULT 0,
    receipt BLOB NOT NULL DEFAULT x'') STRICT;
"""


class LocalStore:
    """The file of one device; `:memory:` keeps nothing, and suits a device that is never used again."""

    def __init__(self, path: Path | str) -> None:
        """Opens the file, or makes it.

        Raises:
            OutboxUnusable: it cannot be opened, is of another format, or the disk's promises cannot be had.
        """
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._prepare()
        except sqlite3.Error as refusal:
            raise OutboxUnusable("the device's file cannot be opened", path=path, because=refusal) from refusal

    def _prepare(self) -> None:
        connection = self._connection
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "secure_delete")]
        if settings != [2, 1]:
            raise OutboxUnusable("the file does not take the settings it needs", settings=settings)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _FORMAT):
            raise OutboxUnusable("the device's file is of another format", version=version, known=_FORMAT)
        connection.executescript(f"{_TABLES}PRAGMA user_version={_FORMAT};")

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yields the connection within one transaction, which is on the disk when the outermost of them returns."""
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def next_counter(self, device: bytes) -> int:
        """Returns the next number of a device, from 1; it is never returned again."""
        with self.transaction() as connection:
            row = connection.execute(
                "INSERT INTO counters VALUES (?, 1) ON CONFLICT (device) DO UPDATE SET used = used + 1 RETURNING used",
                (device,),
            ).fetchone()
            return int(row[0])

    def note_written(self, stream: bytes, digest: bytes) -> None:
        """Keeps the own last statement of a stream."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO streams (stream, last_digest) VALUES (?, ?)"
                " ON CONFLICT (stream) DO UPDATE SET last_digest = excluded.last_digest",
                (stream, digest),
            )

    def note_read(self, stream: bytes, digest: bytes) -> None:
        """Keeps the last statement of a stream that a server showed."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO streams VALUES (?, ?, ?) ON CONFLICT (stream)"
                " DO UPDATE SET last_digest = excluded.last_digest, read_digest = excluded.read_digest",
                (stream, digest, digest),
            )

    def note_links(self, stream: bytes, cited: Iterator[bytes] | tuple[bytes, ...]) -> None:
        """Keeps which other streams bear on this one: consignments, lots."""
        with self.transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO links VALUES (?, ?)", [(stream, other) for other in cited])

    def last_known(self, stream: bytes) -> bytes | None:
        """Returns the digest of the last statement of a stream that this device had, read or written."""
        return self._digest("last_digest", stream)

    def last_read(self, stream: bytes) -> bytes | None:
        """Returns the digest of the last statement of a stream that a server showed to this device."""
        return self._digest("read_digest", stream)

    def links(self, stream: bytes) -> tuple[bytes, ...]:
        """Returns the other streams that bear on this one, ascending."""
        with self._lock:
            rows = self._connection.execute("SELECT cited FROM links WHERE stream = ? ORDER BY cited", (stream,))
            return tuple(row[0] for row in rows)

    def _digest(self, column: str, stream: bytes) -> bytes | None:
        with self._lock:
            row = self._connection.execute(f"SELECT {column} FROM streams WHERE stream = ?", (stream,)).fetchone()
        return None if row is None or row[0] is None else bytes(row[0])
