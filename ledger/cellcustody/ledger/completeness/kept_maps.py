"""Keep the two maps in a file beside the ledger's database; it can be deleted and is then made again from the log.

The rules:

* One SQLite file, whatever back end the ledger has. It holds hashes, counts, stream ids and blinded aliases; no key.
* What changes with the covered size changes in one transaction: after a crash the maps are those of one size.
* `synchronous=NORMAL`: after a power cut the maps may be older, never half made, and go on from there.
* The maps opened are those that their bucket hashes make; a bucket is held to its hash before it is changed or shown.
* A file of another format or of another ledger is emptied.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cellcustody.ledger.completeness.errors import HeadMapDamagedError
from cellcustody.ledger.completeness.sparse_map import ALIASES, EMPTY, HEADS, SparseMap, Summary

__all__ = ["KeptMaps", "KeptState"]

FORMAT: Final = 1
CACHE_KIB: Final = 4_096
_HEADS: Final = 1
_ALIASES: Final = 2
_TABLES: Final = (
    "CREATE TABLE kept (ledger_id BLOB NOT NULL, covered_size INTEGER NOT NULL, streams INTEGER NOT NULL, "
    "aliases INTEGER NOT NULL, enrolments INTEGER NOT NULL, enrolments_erased INTEGER NOT NULL, "
    "map_leaf INTEGER NOT NULL, heads_root BLOB NOT NULL, aliases_root BLOB NOT NULL) STRICT",
    "CREATE TABLE map_bucket (map INTEGER NOT NULL, bucket INTEGER NOT NULL, hash BLOB NOT NULL, "
    "is_alone INTEGER NOT NULL, PRIMARY KEY (map, bucket)) STRICT, WITHOUT ROWID",
    "CREATE TABLE map_key (map INTEGER NOT NULL, bucket INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, "
    "PRIMARY KEY (map, bucket, key)) STRICT, WITHOUT ROWID",
)


@dataclass(frozen=True, slots=True)
class KeptState:
    """What the maps cover, how much is in them, and the leaf index of their entry in the log, or None before it."""

    covered_size: int = 0
    streams: int = 0
    aliases: int = 0
    enrolments: int = 0
    enrolments_erased: int = 0
    map_leaf: int | None = None


class KeptMaps:
    """The file with both maps in it. Not for several threads at once."""

    def __init__(self, path: Path | str, ledger_id: bytes) -> None:
        """Opens or makes the file.

        Raises:
            HeadMapDamagedError: it cannot be opened, or is no such file.
        """
        self._ledger_id = ledger_id
        try:
            self._connection = sqlite3.connect(str(path), check_same_thread=False, isolation_level=None)
            try:
                self._connection.execute("PRAGMA journal_mode=WAL").fetchall()
                self._connection.execute("PRAGMA synchronous=NORMAL")
                self._connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
                if not self._is_this_ledgers():
                    self._make()
                self._open()
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.Error as error:
            raise HeadMapDamagedError("the file of the maps cannot be opened", path=path, cause=error) from error

    def _open(self) -> None:
        row = self._connection.execute(
            "SELECT covered_size, streams, aliases, enrolments, enrolments_erased, map_leaf, heads_root, aliases_root "
            "FROM kept"
        ).fetchone()
        covered, streams, aliases, enrolments, erased, leaf, *roots = row
        self.state = KeptState(covered, streams, aliases, enrolments, erased, None if leaf < 0 else leaf)
        self.heads = SparseMap(HEADS, _Rows(self._connection, _HEADS))
        self.aliases = SparseMap(ALIASES, _Rows(self._connection, _ALIASES))
        if [self.heads.root, self.aliases.root] != roots:
            raise HeadMapDamagedError("the kept buckets do not make the kept roots", covered_size=covered)

    @contextmanager
    def changing(self) -> Iterator[Callable[[KeptState], None]]:
        """Yields what sets the new state; with it all changes of the maps are kept together, or none of them.

        Raises:
            HeadMapDamagedError: the file could not be written, or contradicts itself.
        """
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield self._set
            connection.execute("COMMIT")
        except BaseException as failure:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(failure, sqlite3.Error):
                raise HeadMapDamagedError("the file of the maps could not be written", cause=failure) from failure
            self._open()  # The maps in memory are those of the file again.
            raise

    def empty(self) -> None:
        """Drops everything; the maps are made again from the log's first entry."""
        try:
            self._make()
            self._open()
        except sqlite3.Error as error:
            raise HeadMapDamagedError("the file of the maps could not be emptied", cause=error) from error

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def _set(self, state: KeptState) -> None:
        self._connection.execute(
            "UPDATE kept SET covered_size = ?, streams = ?, aliases = ?, enrolments = ?, enrolments_erased = ?, "
            "map_leaf = ?, heads_root = ?, aliases_root = ?",
            (
                state.covered_size,
                state.streams,
                state.aliases,
                state.enrolments,
                state.enrolments_erased,
                -1 if state.map_leaf is None else state.map_leaf,
                self.heads.root,
                self.aliases.root,
            ),
        )
        self.state = state

    def _is_this_ledgers(self) -> bool:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version != FORMAT:
            return False
        (ledger_id,) = self._connection.execute("SELECT ledger_id FROM kept").fetchone()
        return bool(ledger_id == self._ledger_id)

    def _make(self) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                connection.execute(f'DROP TABLE "{name}"')
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute("INSERT INTO kept VALUES (?, 0, 0, 0, 0, 0, -1, ?, ?)", (self._ledger_id, EMPTY, EMPTY))
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


class _Rows:
    """The buckets of one map in the file."""

    def __init__(self, connection: sqlite3.Connection, number: int) -> None:
        self._connection = connection
        self._number = number

    def bucket(self, index: int) -> list[tuple[bytes, bytes]]:
        """Returns the keys of one bucket with their values, ascending."""
        found: list[tuple[bytes, bytes]] = self._connection.execute(
            "SELECT key, value FROM map_key WHERE map = ? AND bucket = ? ORDER BY key", (self._number, index)
        ).fetchall()
        return found

    def summaries(self) -> Iterable[tuple[int, Summary]]:
        """Returns the summary of every bucket that is not empty."""
        rows = self._connection.execute(
            "SELECT bucket, hash, is_alone FROM map_bucket WHERE map = ?", (self._number,)
        ).fetchall()
        return [(bucket, Summary(digest, bool(is_alone))) for bucket, digest, is_alone in rows]

    def write(self, index: int, changed: Mapping[bytes, bytes], summary: Summary) -> None:
        """Keeps changed values of a bucket, and its summary."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO map_key VALUES (?, ?, ?, ?)",
            [(self._number, index, key, value) for key, value in changed.items()],
        )
        self._connection.execute(
            "INSERT OR REPLACE INTO map_bucket VALUES (?, ?, ?, ?)",
            (self._number, index, summary.hash, int(summary.is_alone)),
        )
