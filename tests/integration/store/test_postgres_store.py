"""The store on PostgreSQL: the conformance suite, and what only a server can get wrong."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from store_conformance import Faults, StoreConformance
from store_groups import THERAPY, GroupMaker

from cellcustody.ledger.store import (
    CommitFailedError,
    DurabilityRefusedError,
    LedgerApplication,
    WriterLockedError,
)
from cellcustody.ledger.store.postgres import PostgresLedger, open_postgres


class TestPostgresStore(StoreConformance):
    """The conformance suite on a schema of its own for each test."""

    @pytest.fixture(autouse=True)
    def schema(self, postgres_socket_folder: str) -> Iterator[None]:
        self.host = postgres_socket_folder
        self.admin = psycopg.connect(host=self.host, dbname="postgres", user="postgres", autocommit=True)
        self.admin.execute("CREATE SCHEMA ledger_test")
        yield
        self.admin.execute("DROP SCHEMA ledger_test CASCADE")
        self.admin.close()

    def opened(self, faults: Faults) -> PostgresLedger:
        return open_postgres(
            host=self.host, dbname="postgres", user="postgres", password="", schema="ledger_test", on_step=faults
        )

    def usurped(self, store: LedgerApplication) -> LedgerApplication:
        self.cut_committing_connection()
        successor = self.opened(Faults())
        successor.start_writer()
        return successor

    def cut_committing_connection(self) -> None:
        """Ends the server process that holds the writer lock, and waits until it has."""
        holders = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
        for (pid,) in self.admin.execute(holders).fetchall():
            self.admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    def count_rows(self, table: str) -> int:
        row = self.admin.execute(f"SELECT COUNT(*) FROM ledger_test.{table}").fetchone()
        assert row is not None
        return int(row[0])

    def plant_event(self, topic: str) -> None:
        self.admin.execute(
            "INSERT INTO ledger_test.stored_events (originator_id, originator_version, topic, state) "
            "VALUES (%s, 1, %s, '\\x00')",
            (THERAPY.hex(), topic),
        )

    def loses_tables(self) -> None:
        self.admin.execute("DROP TABLE ledger_test.head, ledger_test.operational_finding")

    def test_a_second_writer_is_locked_out(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """While the writer's connection stands, another process cannot take over."""
        self.commits(store, maker, "a")
        second = self.opened(Faults())
        with pytest.raises(WriterLockedError):
            second.start_writer()
        second.close()
        self.commits(store, maker, "b")

    def test_a_connection_lost_before_commit_is_a_refusal(
        self, store: LedgerApplication, maker: GroupMaker, faults: Faults
    ) -> None:
        """Nothing is there, and the same writer goes on with the same group on a new connection."""
        self.commits(store, maker, "a")
        group = maker.makes("b")
        faults.at, faults.during = "before:commit", self.cut_committing_connection
        with pytest.raises(CommitFailedError):
            store.commit(group)
        self.check_whole(store, maker)
        store.commit(group)
        maker.moved(group)
        self.check_whole(store, maker)

    def test_a_connection_lost_after_commit_is_a_commit(
        self, store: LedgerApplication, maker: GroupMaker, faults: Faults
    ) -> None:
        """The head row, read again under the writer lock, says that the group is there."""
        group = maker.makes("a")

        def lose_the_answer() -> None:
            self.cut_committing_connection()
            raise psycopg.OperationalError("the connection is lost")

        faults.at, faults.during = "after:commit", lose_the_answer
        store.commit(group)
        maker.moved(group)
        self.check_whole(store, maker)
        self.commits(store, maker, "b")

    def test_a_connection_lost_between_commits_is_replaced(self, store: LedgerApplication, maker: GroupMaker) -> None:
        """The first group after the loss is refused whole; tried again, it goes through."""
        self.commits(store, maker, "a")
        self.cut_committing_connection()
        group = maker.makes("b")
        with pytest.raises(CommitFailedError):
            store.commit(group)
        store.commit(group)
        maker.moved(group)
        self.check_whole(store, maker)

    def test_a_server_that_does_not_fsync_is_refused(self, store: LedgerApplication) -> None:
        """A server run with fsync off cannot be committed to."""
        try:
            self.admin.execute("ALTER SYSTEM SET fsync = off")
            self.admin.execute("SELECT pg_reload_conf()")
            self.wait_for_fsync("off")
            with pytest.raises(DurabilityRefusedError) as refusal:
                store.start_writer()
            assert refusal.value.values["setting"] == "fsync"
        finally:
            self.admin.execute("ALTER SYSTEM RESET fsync")
            self.admin.execute("SELECT pg_reload_conf()")
            self.wait_for_fsync("on")

    def wait_for_fsync(self, value: str) -> None:
        """Waits until new connections see the setting."""
        for _ in range(200):
            with psycopg.connect(host=self.host, dbname="postgres", user="postgres") as connection:
                row = connection.execute("SHOW fsync").fetchone()
            if row == (value,):
                return
            self.admin.execute("SELECT pg_sleep(0.02)")
        raise AssertionError(f"the server did not take fsync = {value}")

    def test_no_database_function_goes_round_our_rows(self, store: LedgerApplication) -> None:
        """The library's insert function is not made in the schema."""
        row = self.admin.execute(
            "SELECT COUNT(*) FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = 'ledger_test'"
        ).fetchone()
        assert row == (0,)
