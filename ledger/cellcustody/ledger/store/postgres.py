"""The store on PostgreSQL.

The rules:

* No statement of a commit is ever repeated by a retry. A connection lost at COMMIT is settled by reading the head
  row, once the writer lock is held again: then no transaction of the lost connection can still be on its way.
* The writer is who holds an advisory lock on the committing connection and moved the epoch last. A connection
  that dies gives up the lock; whoever takes it raises the epoch, and the former writer's next commit fails.
* `synchronous_commit` is on and `fsync` is on, both read back from the server on the committing connection; with
  synchronous standbys, COMMIT therefore returns when they have it too.
* The library's database functions are neither made nor used: they would go round the hook that writes our rows.
* Events are inserted by the library's statement, which locks the table first, so groups commit one by one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final, cast

import psycopg
from eventsourcing.persistence import (
    ApplicationRecorder,
    InfrastructureFactory,
    PersistenceError,
    StoredEvent,
    TrackingRecorder,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore, PostgresFactory
from eventsourcing.utils import Environment, EnvType
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg.sql import SQL, Identifier
from psycopg.types.composite import register_composite

from cellcustody.ledger.store.application import LedgerApplication
from cellcustody.ledger.store.errors import (
    DurabilityRefusedError,
    HeadMovedError,
    StoreUnavailableError,
    WriterLockedError,
)
from cellcustody.ledger.store.model import EMPTY_ROOT, Commit, Head, OperationalFinding
from cellcustody.ledger.store.recorder import RAISE_EPOCH, SELECT_HEAD, LedgerRecorder, head_of
from cellcustody.ledger.store.tables import HEAD, OPERATIONAL_FINDING, TABLES, Row, Table, Value

Cursor = psycopg.Cursor[DictRow]

# A dead connection's server process lets go of the lock within its TCP timeouts; longer is another writer.
WRITER_LOCK_WAIT_SECONDS: Final = 10
READ_CONNECTIONS_MIN: Final = 2
READ_CONNECTIONS_OVERFLOW: Final = 14

_DURABLE: Final = {"synchronous_commit": {"on", "remote_apply"}, "fsync": {"on"}, "full_page_writes": {"on"}}


def _placeholders(sql: str) -> str:
    """Returns our statement, which has no literal `?` or `%`, in psycopg's notation."""
    return sql.replace("?", "%s")


class PostgresLedgerRecorder(PostgresApplicationRecorder, LedgerRecorder[Cursor]):
    """Records events and our rows in one PostgreSQL transaction, on one committing connection."""

    def __init__(self, datastore: PostgresDatastore) -> None:
        super().__init__(datastore, events_table_name="stored_events")
        # The function that the library would make inserts events without our rows.
        del self.sql_create_statements[self.create_insert_function_statement_index]
        self._connection: psycopg.Connection[DictRow] | None = None
        self._epoch: int | None = None
        key = hashlib.sha256(b"cellcustody/writer-lock/" + datastore.schema.encode()).digest()
        self._lock_key: Final = int.from_bytes(key[:8], "big", signed=True)

    def _create_table(self, curs: Cursor) -> None:
        super()._create_table(curs)
        for table in TABLES:
            curs.execute(table.create_postgres().encode())
        self._insert_rows(curs, HEAD, [(1, 0, EMPTY_ROOT, 0)])

    # The committing connection.

    def _connect(self) -> psycopg.Connection[DictRow]:
        """Returns a new connection that promises durability and writes as the library's do."""
        settings = self.datastore.pool.kwargs
        if not isinstance(settings, dict):
            raise TypeError("the pool's connection settings are not a mapping")
        connection = psycopg.Connection[DictRow].connect(**{**settings, "row_factory": dict_row}, autocommit=True)
        try:
            connection.execute("SET synchronous_commit = on")
            for setting, accepted in _DURABLE.items():
                found = connection.execute(SQL("SHOW {0}").format(Identifier(setting))).fetchone()
                if found is None or found[setting] not in accepted:
                    raise DurabilityRefusedError(
                        "PostgreSQL does not promise durability", setting=setting, found=found and found[setting]
                    )
            for composite in self.datastore.psycopg_type_adapters.values():
                register_composite(composite, connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _committing_connection(self) -> psycopg.Connection[DictRow]:
        """Returns the connection that holds the writer lock, made anew where it was lost."""
        if self._connection is not None and not self._connection.closed:
            return self._connection
        connection = self._connect()
        try:
            if self._epoch is not None:
                # Whoever raised the epoch may be holding the lock; there is no use in waiting for it then.
                self._check_epoch(connection)
                connection.execute(f"SET lock_timeout = '{WRITER_LOCK_WAIT_SECONDS}s'".encode())
                connection.execute("SELECT pg_advisory_lock(%s)", (self._lock_key,))
                self._check_epoch(connection)
            else:
                held = connection.execute("SELECT pg_try_advisory_lock(%s) AS held", (self._lock_key,)).fetchone()
                if held is None or not held["held"]:
                    raise WriterLockedError("another process is the writer of this ledger")
        except psycopg.errors.LockNotAvailable as error:
            connection.close()
            raise WriterLockedError("another process is the writer of this ledger") from error
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _check_epoch(self, connection: psycopg.Connection[DictRow]) -> None:
        head = self._head_on(connection)
        if head.epoch != self._epoch:
            raise HeadMovedError("another writer has taken over", size=head.size, epoch=head.epoch)

    def _head_on(self, connection: psycopg.Connection[DictRow]) -> Head:
        with connection.cursor(row_factory=tuple_row) as cursor:
            return head_of(cursor.execute(SELECT_HEAD).fetchall())

    # Writing.

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: object) -> Sequence[int] | None:
        """Writes the events and the rows of the `group` among `kwargs` in one transaction, once."""
        connection = self._committing_connection()
        with connection.transaction(), connection.cursor() as cursor:
            self._insert_events(cursor, stored_events, **kwargs)
            self.on_step("before:commit")
        self.on_step("after:commit")
        return None

    def _insert_events(self, curs: Cursor, stored_events: Sequence[StoredEvent], **kwargs: object) -> None:
        group = kwargs["group"]
        if not isinstance(group, Commit):
            raise TypeError("events are recorded only as part of a group")
        self._write_group(curs, group, lambda: self._insert_stored_events(curs, stored_events))

    def raise_epoch(self) -> Head:
        """Takes the writer lock and raises the epoch."""
        try:
            connection = self._committing_connection()
            with connection.transaction():
                connection.execute(RAISE_EPOCH)
                head = self._head_on(connection)
        except psycopg.Error as error:
            raise StoreUnavailableError("the writer could not be started", cause=error) from error
        self._epoch = head.epoch
        return head

    def settled_head(self) -> Head:
        """Returns the head under the writer lock, on a new connection where the old one is lost."""
        try:
            return self._head_on(self._committing_connection())
        except (psycopg.OperationalError, psycopg.InterfaceError):
            # The connection died without our noticing. Reading again repeats nothing.
            self.close_writer()
            return self._head_on(self._committing_connection())

    def is_unique_violation(self, error: Exception) -> bool:
        """Tells whether `error` is PostgreSQL's for a violated unique constraint."""
        return isinstance(error, psycopg.errors.UniqueViolation)

    def is_fatal(self, error: Exception) -> bool:
        """Tells whether the server reports its disk or its files as failed."""
        return isinstance(error, psycopg.errors.IoError | psycopg.errors.DataCorrupted | psycopg.errors.IndexCorrupted)

    def keep_finding(self, finding: OperationalFinding) -> None:
        """Writes an operational finding on a connection of the pool."""
        row = (
            finding.code,
            finding.statement_id,
            finding.statement_digest,
            finding.recorded_at_us,
            finding.detail,
        )
        try:
            with self.datastore.transaction(commit=True) as cursor:
                self._insert_rows(cursor, OPERATIONAL_FINDING, [row])
        except PersistenceError as error:
            raise StoreUnavailableError("the finding could not be kept", cause=error) from error

    def truncate_log(self) -> None:
        """Does nothing: the server recycles its write-ahead log itself, and it holds no key that was shredded."""

    def close_writer(self) -> None:
        """Closes the committing connection and so gives up the writer lock."""
        if self._connection is not None:
            self._connection.close()

    # What the shared steps and reads are made of.

    def _select(self, sql: str, parameters: tuple[Value, ...]) -> list[tuple[Value, ...]]:
        try:
            with self.datastore.get_connection() as connection, connection.cursor(row_factory=tuple_row) as cursor:
                return cursor.execute(_placeholders(sql).encode(), parameters).fetchall()
        except PersistenceError as error:
            raise StoreUnavailableError("the database did not answer a read", cause=error) from error

    def _update(self, cursor: Cursor, sql: str, parameters: tuple[Value, ...]) -> int:
        return cursor.execute(_placeholders(sql).encode(), parameters).rowcount

    def _insert_rows(self, cursor: Cursor, table: Table, rows: Sequence[Row]) -> int:
        columns = [list(column) for column in zip(*rows, strict=True)]
        return cursor.execute(table.insert_postgres().encode(), columns).rowcount


class LedgerPostgresFactory(PostgresFactory):
    """Makes the ledger's recorder."""

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        settings = self.datastore.pool.kwargs
        if isinstance(settings, dict):
            # Our statements name no schema; every connection, the committing one too, starts with this path.
            settings["options"] = f"-c search_path={self.datastore.schema}"

    def application_recorder(self) -> ApplicationRecorder:
        """Returns the ledger's recorder with its tables made."""
        recorder = PostgresLedgerRecorder(self.datastore)
        recorder.create_table()
        return recorder


class PostgresLedger(LedgerApplication):
    """The ledger's store in one schema of a PostgreSQL database."""

    def construct_factory(self, env: Environment) -> InfrastructureFactory[TrackingRecorder]:
        """Returns the factory of this back end."""
        # The library's parameter is invariant, so a factory of a subclass of recorders is not one of recorders.
        return cast("InfrastructureFactory[TrackingRecorder]", LedgerPostgresFactory(env))

    def close(self) -> None:
        """Gives up the writer lock and closes every connection."""
        recorder = getattr(self, "recorder", None)
        if isinstance(recorder, PostgresLedgerRecorder):
            recorder.close_writer()
        super().close()


def open_postgres(
    *,
    host: str,
    dbname: str,
    user: str,
    password: str,
    port: int = 5432,
    schema: str = "public",
    on_step: Callable[[str], None] | None = None,
) -> PostgresLedger:
    """Opens or makes the store in one schema, which must exist; `host` may be the folder of a local socket.

    Raises:
        DurabilityRefusedError: on starting the writer, when the server does not promise durability.
    """
    env = {
        "POSTGRES_HOST": host,
        "POSTGRES_PORT": str(port),
        "POSTGRES_DBNAME": dbname,
        "POSTGRES_USER": user,
        "POSTGRES_PASSWORD": password,
        "POSTGRES_SCHEMA": schema,
        "POSTGRES_POOL_SIZE": str(READ_CONNECTIONS_MIN),
        "POSTGRES_MAX_OVERFLOW": str(READ_CONNECTIONS_OVERFLOW),
        "POSTGRES_ENABLE_DB_FUNCTIONS": "no",
    }
    return PostgresLedger(env, on_step)


__all__ = ["PostgresLedger", "open_postgres"]
