"""The store on SQLite: the conformance suite, and what only SQLite can get wrong."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from store_conformance import Faults, StoreConformance
from store_groups import THERAPY, GroupMaker

from cellcustody.ledger.store import (
    CommitFailedError,
    CommitOutcomeUnknownError,
    DurabilityRefusedError,
    LedgerApplication,
    open_sqlite,
)
from cellcustody.ledger.store.sqlite import LedgerConnectionPool, SqliteLedgerRecorder


def connections_of(store: LedgerApplication) -> LedgerConnectionPool:
    """Returns the pool under the store."""
    assert isinstance(store.recorder, SqliteLedgerRecorder)
    return store.recorder.datastore.connections


class TestSqliteStore(StoreConformance):
    """The conformance suite on a file."""

    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "ledger.sqlite3"

    def opened(self, faults: Faults) -> LedgerApplication:
        return open_sqlite(self.path, on_step=faults)

    def usurped(self, store: LedgerApplication) -> LedgerApplication:
        successor = open_sqlite(self.path)
        successor.start_writer()
        return successor

    def count_rows(self, table: str) -> int:
        connection = sqlite3.connect(self.path)
        try:
            return int(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])
        finally:
            connection.close()

    def plant_event(self, topic: str) -> None:
        connection = sqlite3.connect(self.path)
        with connection:
            connection.execute("INSERT INTO stored_events VALUES (?, 1, ?, x'00')", (THERAPY.hex(), topic))
        connection.close()

    def loses_tables(self) -> None:
        connection = sqlite3.connect(self.path)
        connection.executescript("DROP TABLE head; DROP TABLE operational_finding;")
        connection.close()

    def test_every_connection_is_durable(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """The writing and the reading connection both answer synchronous=FULL, WAL and secure_delete."""
        self.commits(store, maker, "a")
        pool = connections_of(store)
        writer = pool.take_writer()
        pool.put_connection(writer)
        for connection in (writer.raw, pool.reader().raw):
            found = [
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("synchronous", "journal_mode", "secure_delete")
            ]
            assert found == [2, "wal", 1]

    def test_a_reading_connection_cannot_write(self, store: LedgerApplication) -> None:
        """Only the one writing connection writes, whatever a reader is asked to run."""
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connections_of(store).reader().raw.execute("DELETE FROM head")

    def test_truncating_empties_the_file(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """The write-ahead log has no bytes left after an erasure."""
        self.commits(store, maker, "a")
        log = self.path.with_name(self.path.name + "-wal")
        assert log.stat().st_size > 0
        store.truncate_log()
        assert log.stat().st_size == 0

    def test_another_program_that_writes_is_waited_for_and_then_a_refusal(
        self, store: LedgerApplication, maker: GroupMaker
    ) -> None:
        """A write lock held by someone else fails the group whole; once it is gone the group goes through."""
        writer = connections_of(store).take_writer()
        writer.raw.execute("PRAGMA busy_timeout=20")
        connections_of(store).put_connection(writer)
        intruder = sqlite3.connect(self.path, isolation_level=None)
        intruder.execute("BEGIN IMMEDIATE")
        group = maker.makes("a")
        with pytest.raises(CommitFailedError):
            store.commit(group)
        intruder.execute("ROLLBACK")
        intruder.close()
        store.commit(group)
        maker.moved(group)
        self.check_whole(store, maker)

    def test_a_failing_disk_stops_the_ledger(self, store: LedgerApplication, maker: GroupMaker, faults: Faults) -> None:
        """An input/output error is never taken for a mere refusal, even where the head seems unmoved."""

        def disk_fails() -> None:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error

        faults.at, faults.during = "before:commit", disk_fails
        with pytest.raises(CommitOutcomeUnknownError):
            store.commit(maker.makes("a"))
        self.check_whole(store, maker)

    def test_the_process_environment_is_not_consulted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Variables that would turn the library elsewhere change nothing."""
        monkeypatch.setenv("PERSISTENCE_MODULE", "eventsourcing.popo")
        monkeypatch.setenv("LEDGER_SQLITE_DBNAME", str(tmp_path / "elsewhere.sqlite3"))
        monkeypatch.setenv("ORIGINATOR_ID_TYPE", "uuid")
        store = self.opened(Faults())
        maker = GroupMaker(store.start_writer())
        self.commits(store, maker, "a")
        store.close()
        assert not (tmp_path / "elsewhere.sqlite3").exists()


def test_a_ledger_is_not_kept_in_memory() -> None:
    """A database in memory cannot promise durability and is refused."""
    with pytest.raises(DurabilityRefusedError):
        open_sqlite(":memory:")
