"""The store on SQLite, the embedded default.

The rules:

* Write-ahead logging with `synchronous=FULL`: a commit is on the disk when it returns. Both are set and read back
  on every connection, and a connection that answers otherwise is refused.
* `secure_delete=ON`: what is deleted or overwritten is overwritten with zeros.
* One writing connection, one lock around it, and every write begins with `BEGIN IMMEDIATE`, so that no write
  finds out half-way that another process is writing.
* Every other thread reads on a connection of its own and never waits for the writer.
* Another process that starts a writer on the same file raises the epoch; this one's next commit then fails.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, RLock, local
from typing import Final, cast

from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory, StoredEvent, TrackingRecorder
from eventsourcing.sqlite import (
    SQLiteAggregateRecorder,
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteFactory,
)
from eventsourcing.utils import Environment, EnvType

from cellcustody.ledger.errors import StoreError
from cellcustody.ledger.store.application import LedgerApplication
from cellcustody.ledger.store.errors import DurabilityRefusedError, StoreUnavailableError
from cellcustody.ledger.store.model import EMPTY_ROOT, Commit, Head, OperationalFinding
from cellcustody.ledger.store.recorder import RAISE_EPOCH, SELECT_HEAD, LedgerRecorder, head_of
from cellcustody.ledger.store.tables import HEAD, OPERATIONAL_FINDING, TABLES, Row, Table, Value

BUSY_TIMEOUT_MS: Final = 5_000  # Only another process can make the one writing connection wait.
# 64 MiB of log between checkpoints. One costs two more fsyncs and all pages changed since, tens of milliseconds;
# a full group changes about 80 pages, so that fewer than one commit in a hundred waits for it.
CHECKPOINT_PAGES: Final = 16_384
WRITER_CACHE_KIB: Final = 8_192  # Enough for the right edges of every index; more would grow with the ledger.
# Primary result codes after which the file or the disk can no longer be trusted (sqlite.org/rescode.html).
FATAL_CODES: Final = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

_SETTINGS: Final = (
    # (pragma, what is set, what must be read back)
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "FULL", 2),
    ("secure_delete", "ON", 1),
    ("busy_timeout", BUSY_TIMEOUT_MS, BUSY_TIMEOUT_MS),
)


def connect_durably(path: str) -> sqlite3.Connection:
    """Returns a connection in autocommit mode whose durability was set and read back.

    Raises:
        DurabilityRefusedError: a setting did not take; the connection is closed.
    """
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
    for pragma, wanted, expected in _SETTINGS:
        connection.execute(f"PRAGMA {pragma}={wanted}").fetchall()
        found = connection.execute(f"PRAGMA {pragma}").fetchone()[0]
        if found != expected:
            connection.close()
            raise DurabilityRefusedError("SQLite did not take a setting", pragma=pragma, wanted=wanted, found=found)
    return connection


def truncate_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Moves the whole write-ahead log into the database file and leaves it empty.

    Raises:
        StoreError: a reader kept some of the log in use.
    """
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreError("a reader keeps the write-ahead log in use; try again")


class LedgerConnection(SQLiteConnection):
    """A library connection whose writes begin at once with the write lock."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection, max_age=None)
        self.raw: Final = connection

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        """Runs a transaction; a writing one takes the write lock before its first statement."""
        cursor = self.cursor()
        cursor.execute("BEGIN IMMEDIATE" if commit else "BEGIN")
        try:
            yield cursor
            if commit:
                self.commit()
        finally:
            # Also the end of a reading transaction, and of any that failed at whatever statement.
            if self.raw.in_transaction:
                self.rollback()


class LedgerConnectionPool(SQLiteConnectionPool):
    """One writing connection behind a lock, and one reading connection for each thread."""

    def __init__(self, path: str) -> None:
        super().__init__(db_name=path)
        self._write_lock = RLock()
        self._writing: LedgerConnection | None = None
        self._per_thread = local()
        self._reading: weakref.WeakSet[LedgerConnection] = weakref.WeakSet()
        self._reading_lock = Lock()

    def get_connection(self, timeout: float | None = None, *, is_writer: bool | None = None) -> SQLiteConnection:
        """Returns the writing connection, locked until it is put back, or this thread's reading connection."""
        return self.take_writer() if is_writer else self.reader()

    def put_connection(self, conn: SQLiteConnection) -> None:
        """Unlocks the writing connection; a reading one stays with its thread."""
        if conn is self._writing:
            self._write_lock.release()

    def take_writer(self) -> LedgerConnection:
        """Locks and returns the writing connection."""
        self._write_lock.acquire()
        if self._writing is None:
            try:
                connection = connect_durably(self.db_name)
                connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}").fetchall()
                connection.execute(f"PRAGMA cache_size=-{WRITER_CACHE_KIB}")
                connection.row_factory = sqlite3.Row
            except BaseException:
                self._write_lock.release()
                raise
            self._writing = LedgerConnection(connection)
        return self._writing

    def reader(self) -> LedgerConnection:
        """Returns the calling thread's reading connection."""
        connection: LedgerConnection | None = getattr(self._per_thread, "connection", None)
        if connection is None or connection.closed:
            raw = connect_durably(self.db_name)
            raw.execute("PRAGMA query_only=ON")
            raw.row_factory = sqlite3.Row
            connection = LedgerConnection(raw)
            self._per_thread.connection = connection
            with self._reading_lock:
                self._reading.add(connection)
        return connection

    def close(self) -> None:
        """Closes every connection, the writing one last, so that it may empty the write-ahead log."""
        super().close()
        # The library also closes pools that were never fully made, from their finaliser.
        if not hasattr(self, "_reading_lock"):
            return
        with self._reading_lock:
            for connection in list(self._reading):
                connection.close()
        with self._write_lock:
            if self._writing is not None:
                self._writing.close()


class LedgerDatastore(SQLiteDatastore):
    """The library's datastore on our pool."""

    def __init__(self, path: str) -> None:
        super().__init__(path, originator_id_type="text")
        self.pool = self.connections = LedgerConnectionPool(path)


class SqliteLedgerRecorder(SQLiteApplicationRecorder, LedgerRecorder[SQLiteCursor]):
    """Records events and our rows in one SQLite transaction."""

    datastore: LedgerDatastore

    def construct_create_table_statements(self) -> list[str]:
        """Returns the library's statements and those of our tables."""
        return super().construct_create_table_statements() + [table.create_sqlite() for table in TABLES]

    def _create_table(self, c: SQLiteCursor) -> None:
        super()._create_table(c)
        c.execute(HEAD.insert_sqlite(), (1, 0, EMPTY_ROOT, 0))

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: object) -> Sequence[int] | None:
        """Writes the events and the rows of the `group` among `kwargs` in one transaction."""
        with self.datastore.get_connection(commit=True) as connection:
            with connection.transaction(commit=True) as cursor:
                self._insert_events(cursor, stored_events, **kwargs)
                self.on_step("before:commit")
            self.on_step("after:commit")
        return None

    def _insert_events(
        self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **kwargs: object
    ) -> Sequence[int] | None:
        group = kwargs["group"]
        if not isinstance(group, Commit):
            raise TypeError("events are recorded only as part of a group")

        def write_events() -> None:
            # The aggregate recorder's insert is one executemany; the application recorder's is one call each,
            # for notification ids that nothing here uses: the leaf index is the position.
            SQLiteAggregateRecorder._insert_events(self, c, stored_events)

        self._write_group(c, group, write_events)
        return None

    def raise_epoch(self) -> Head:
        """Raises the epoch in a transaction of its own."""
        try:
            with self.datastore.transaction(commit=True) as cursor:
                cursor.execute(RAISE_EPOCH)
                cursor.execute(SELECT_HEAD)
                return head_of([tuple(row) for row in cursor.fetchall()])
        except sqlite3.Error as error:
            raise StoreUnavailableError("the writer could not be started", cause=error) from error

    def settled_head(self) -> Head:
        """Returns the head; this process's transaction was ended before its connection was put back."""
        return self.head()

    def is_unique_violation(self, error: Exception) -> bool:
        """Tells whether `error` is SQLite's for a violated constraint."""
        return isinstance(error, sqlite3.IntegrityError)

    def is_fatal(self, error: Exception) -> bool:
        """Tells whether SQLite reports the disk or the file as failed."""
        return isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", 0) & 0xFF) in FATAL_CODES

    def keep_finding(self, finding: OperationalFinding) -> None:
        """Writes an operational finding on the writing connection, after a commit under way."""
        row = (
            finding.code,
            finding.statement_id,
            finding.statement_digest,
            finding.recorded_at_us,
            finding.detail,
        )
        try:
            with self.datastore.transaction(commit=True) as cursor:
                cursor.execute(OPERATIONAL_FINDING.insert_sqlite(), row)
        except sqlite3.Error as error:
            raise StoreUnavailableError("the finding could not be kept", cause=error) from error

    def truncate_log(self) -> None:
        """Moves the write-ahead log into the file and leaves it empty."""
        connection = self.datastore.connections.take_writer()
        try:
            truncate_write_ahead_log(connection.raw)
        finally:
            self.datastore.connections.put_connection(connection)

    def _select(self, sql: str, parameters: tuple[Value, ...]) -> list[tuple[Value, ...]]:
        try:
            cursor = self.datastore.connections.reader().raw.cursor()
            cursor.row_factory = None
            return cursor.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailableError("the database did not answer a read", cause=error) from error

    def _select_to_write(self, sql: str, parameters: tuple[Value, ...]) -> list[tuple[Value, ...]]:
        # The writing connection has the pages that it wrote last; a reading one reads them all again after a commit.
        connection = self.datastore.connections.take_writer()
        try:
            cursor = connection.raw.cursor()
            cursor.row_factory = None
            return cursor.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailableError("the database did not answer a read", cause=error) from error
        finally:
            self.datastore.connections.put_connection(connection)

    def _update(self, cursor: SQLiteCursor, sql: str, parameters: tuple[Value, ...]) -> int:
        cursor.execute(sql, parameters)
        return cursor.sqlite_cursor.rowcount

    def _insert_rows(self, cursor: SQLiteCursor, table: Table, rows: Sequence[Row]) -> int:
        cursor.executemany(table.insert_sqlite(), rows)
        return cursor.sqlite_cursor.rowcount


class LedgerSqliteFactory(SQLiteFactory):
    """Makes the recorder on our datastore; the library's own pool is never opened."""

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        path = self.env.get(self.SQLITE_DBNAME)
        if not path:
            raise DurabilityRefusedError("a ledger is kept in a named file")
        self.datastore.close()
        self.datastore = LedgerDatastore(path)

    def application_recorder(self) -> ApplicationRecorder:
        """Returns the ledger's recorder with its tables made."""
        recorder = SqliteLedgerRecorder(self.datastore)
        recorder.create_table()
        return recorder


class SqliteLedger(LedgerApplication):
    """The ledger's store in one SQLite file."""

    def construct_factory(self, env: Environment) -> InfrastructureFactory[TrackingRecorder]:
        """Returns the factory of this back end."""
        # The library's parameter is invariant, so a factory of a subclass of recorders is not one of recorders.
        return cast("InfrastructureFactory[TrackingRecorder]", LedgerSqliteFactory(env))


def open_sqlite(path: Path | str, *, on_step: Callable[[str], None] | None = None) -> SqliteLedger:
    """Opens or makes the store in the file at `path`; `on_step` is for fault injection in tests.

    Raises:
        DurabilityRefusedError: SQLite would not promise durability there (in memory, or on a file system
            without write-ahead logging).
    """
    return SqliteLedger({"SQLITE_DBNAME": str(path)}, on_step)


__all__ = ["SqliteLedger", "connect_durably", "open_sqlite", "truncate_write_ahead_log"]
