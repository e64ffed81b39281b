"""The views' own database: one SQLite file beside the ledger's, which may be lost at any time.

The rules:

* One thread writes, in one transaction for each batch of the log: rows and the leaf index followed to, together.
* Readers have a connection for each thread and see whole batches only; they never wait for the writer.
* `synchronous=NORMAL`: after a power cut the file may be some batches behind, never half of one, and what is missing
  is followed again from the log. It is no record of anything, so that a wait for the disk would buy nothing.
* Of what ledger and up to which entry the rows are is written with them. A file of another schema version, of another
  ledger, or ahead of a ledger that was restored, is emptied.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, local
from typing import Final

from cellcustody.ledger.store import StoreUnavailableError
from cellcustody.ledger.views.errors import ViewsDamagedError
from cellcustody.ledger.views.tables import SCHEMA_VERSION, TABLES, Row, Table, Value

__all__ = ["Changes", "Followed", "RowSet", "Snapshot", "ViewsDatabase"]

BUSY_TIMEOUT_MS: Final = 5_000
READER_CACHE_KIB: Final = 512  # Each thread has a connection; a custody answer touches some ten pages.
WRITER_CACHE_KIB: Final = 4_096

RowSet = Mapping[tuple[str, Row], Row]
"""The rows of one stream: by table and key, the whole row."""

_BY_NAME: Final = {table.name: table for table in TABLES}


@dataclass(frozen=True, slots=True)
class Followed:
    """How far the log was followed: the position (tree size), and the hash of the last leaf; empty before the first."""

    position: int
    leaf_hash: bytes


@dataclass(slots=True)
class Changes:
    """What a batch changes: rows to write and keys to delete, by table."""

    written: dict[str, list[Row]]
    deleted: dict[str, list[Row]]

    @classmethod
    def none(cls) -> Changes:
        """Returns a set of changes with nothing in it."""
        return cls({}, {})

    def replace(self, before: RowSet, after: RowSet) -> None:
        """Adds what leads from one stream's rows to others."""
        for key, row in after.items():
            if before.get(key) != row:
                self.written.setdefault(key[0], []).append(row)
        for key in before.keys() - after.keys():
            self.deleted.setdefault(key[0], []).append(key[1])


class Snapshot:
    """The views at one position, for as long as the reading transaction lasts."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.position = _followed(connection).position

    def rows(self, sql: str, parameters: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        """Returns all rows of a query."""
        found: list[tuple[Value, ...]] = self._connection.execute(sql, tuple(parameters)).fetchall()
        return found

    def blobs(self, sql: str, parameters: Sequence[Value] = ()) -> list[bytes]:
        """Returns the first column of a query whose first column is a blob."""
        return [value for (value, *_) in self.rows(sql, parameters) if isinstance(value, bytes)]


class ViewsDatabase:
    """The file with its connections; `write` and `empty` are called by one thread."""

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)
        self._per_thread = local()
        self._readers: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._lock = Lock()
        self._closed = False
        try:
            self._writing = _connect(self._path, WRITER_CACHE_KIB)
            if not _is_current(self._writing):
                self.empty()
        except sqlite3.Error as error:
            raise ViewsDamagedError("the views' file cannot be opened", path=self._path, cause=error) from error

    def followed(self) -> Followed:
        """Returns how far the log was followed, for the thread that writes."""
        return _followed(self._writing)

    def stream_rows(self, stream: bytes, tables: Sequence[Table]) -> dict[tuple[str, Row], Row]:
        """Returns the rows of one stream in these tables, for the thread that writes."""
        found: dict[tuple[str, Row], Row] = {}
        for table in tables:
            for row in self._writing.execute(f"SELECT * FROM {table.name} WHERE stream = ?", (stream,)):
                found[(table.name, tuple(row[: table.key_columns]))] = tuple(row)
        return found

    def write(self, changes: Changes, followed: Followed) -> None:
        """Writes a batch in one transaction."""
        self._in_transaction(lambda: self._apply(changes, followed))

    def empty(self) -> None:
        """Drops every table and makes them anew; the log is followed from its first entry then."""
        self._in_transaction(self._make)

    def _apply(self, changes: Changes, followed: Followed) -> None:
        connection = self._writing
        for name, keys in changes.deleted.items():
            connection.executemany(_BY_NAME[name].delete, keys)
        for name, rows in changes.written.items():
            connection.executemany(_BY_NAME[name].upsert, rows)
        connection.execute("UPDATE followed SET position = ?, leaf_hash = ?", (followed.position, followed.leaf_hash))

    def _make(self) -> None:
        connection = self._writing
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            connection.execute(f'DROP TABLE "{name}"')
        for table in TABLES:
            for statement in table.create:
                connection.execute(statement)
        connection.execute("CREATE TABLE followed (position INTEGER NOT NULL, leaf_hash BLOB NOT NULL) STRICT")
        connection.execute("INSERT INTO followed VALUES (0, x'')")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _in_transaction(self, work: Callable[[], None]) -> None:
        self._writing.execute("BEGIN IMMEDIATE")
        try:
            work()
            self._writing.execute("COMMIT")
        except BaseException:
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK")
            raise

    @contextmanager
    def reading(self) -> Iterator[Snapshot]:
        """Yields the views at one position, on the calling thread's own connection."""
        connection = self._reader()
        try:
            connection.execute("BEGIN")
            try:
                yield Snapshot(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise StoreUnavailableError("the views did not answer", cause=error) from error

    def _reader(self) -> _Connection:
        connection: _Connection | None = getattr(self._per_thread, "connection", None)
        if connection is None:
            with self._lock:
                if self._closed:
                    raise StoreUnavailableError("the views are closed")
                connection = _connect(self._path, READER_CACHE_KIB)
                connection.execute("PRAGMA query_only=ON")
                self._readers.add(connection)
            self._per_thread.connection = connection
        return connection

    def close(self) -> None:
        """Closes every connection."""
        with self._lock:
            self._closed = True
            for connection in list(self._readers):
                connection.close()
            self._writing.close()


class _Connection(sqlite3.Connection):
    """A connection that can be referred to weakly: it goes when its thread does."""


def _connect(path: str, cache_kib: int) -> _Connection:
    connection = sqlite3.connect(
        path, check_same_thread=False, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000, factory=_Connection
    )
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(f"PRAGMA cache_size=-{cache_kib}")
    return connection


def _is_current(connection: sqlite3.Connection) -> bool:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return bool(version == SCHEMA_VERSION)


def _followed(connection: sqlite3.Connection) -> Followed:
    position, leaf_hash = connection.execute("SELECT position, leaf_hash FROM followed").fetchone()
    return Followed(position, leaf_hash)
