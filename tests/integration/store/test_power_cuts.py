"""A process that dies at any step of a commit leaves a store that is whole, and a journal that is not ahead of it."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from store_conformance import STEPS_BEFORE_COMMIT
from store_groups import THERAPY, GroupMaker, entry_of

from cellcustody.ledger.errors import StoreError
from cellcustody.ledger.store import (
    HeadJournal,
    HeadMovedError,
    StoreForkedError,
    StoreRolledBackError,
    back_up_sqlite,
    check_head_against_journal,
    open_sqlite,
)

DIES_IN_COMMIT = """
import os, signal, sys
sys.path.insert(0, sys.argv[3])
from store_groups import GroupMaker
from cellcustody.ledger.store import open_sqlite

armed = False

def cut(step):
    if armed and step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

store = open_sqlite(sys.argv[1], on_step=cut)
maker = GroupMaker(store.start_writer())
group = maker.makes("a", "b")
store.commit(group)
maker.moved(group)
armed = True
store.commit(maker.makes("c", "d"))
"""


@pytest.mark.parametrize("step", [*STEPS_BEFORE_COMMIT, "after:commit"])
def test_a_process_killed_in_a_commit_leaves_whole_groups(tmp_path: Path, step: str) -> None:
    """Before COMMIT nothing of the group is there; after it, all of it; and the ledger goes on from there."""
    path = tmp_path / "ledger.sqlite3"
    died = subprocess.run(
        [sys.executable, "-c", DIES_IN_COMMIT, str(path), step, str(Path(__file__).parent)], check=False
    )
    assert died.returncode == -9

    store = open_sqlite(path)
    names = ["a", "b", "c", "d"] if step == "after:commit" else ["a", "b"]
    head = store.start_writer()
    assert head.size == len(names)
    assert store.entries(0, 10) == [entry_of(name) for name in names]
    connection = sqlite3.connect(path)
    for table in ("stored_events", "leaf", "claim", "identity_mac"):
        assert connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (len(names),)
    assert connection.execute("SELECT COUNT(*) FROM vault").fetchone() == (2 * len(names),)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()

    maker = GroupMaker(head)
    maker.hashes = store.leaf_hashes(0, 10)
    last = store.stream_head(THERAPY)
    assert last is not None
    maker.sequences = {THERAPY: last.sequence}
    store.commit(maker.makes("e"))
    assert store.head().size == len(names) + 1
    store.close()


class LedgerWithJournal:
    """A store and its journal as a ledger runs them; its notes are just the size and the root."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.sqlite3"
        self.journal_path = folder / "heads.journal"
        self.start()

    def start(self) -> None:
        self.store = open_sqlite(self.path)
        self.journal = HeadJournal(self.journal_path)
        note = self.journal.last()
        try:
            check_head_against_journal(
                self.store.head(),
                None if note is None else (int(note.split()[0]), bytes.fromhex(note.split()[1].decode())),
                root_at=self.root_at,
            )
        except StoreError:
            self.stop()
            raise
        self.maker = GroupMaker(self.store.start_writer())
        self.maker.hashes = self.store.leaf_hashes(0, 1_000)
        self.maker.sequences = {
            stream: head.sequence for stream in (THERAPY,) if (head := self.store.stream_head(stream)) is not None
        }

    def root_at(self, size: int) -> bytes:
        return hashlib.sha256(b"".join(self.store.leaf_hashes(0, size))).digest()

    def appends(self, name: str, *, signs: bool = True) -> None:
        group = self.maker.makes(name)
        self.store.commit(group)
        self.maker.moved(group)
        if signs:
            self.journal.append(f"{group.new_head.size} {group.new_head.root_hash.hex()}".encode())

    def stop(self) -> None:
        self.store.close()
        self.journal.close()

    def restores(self, backup: Path) -> None:
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        os.replace(backup, self.path)


@pytest.fixture
def ledger(tmp_path: Path) -> LedgerWithJournal:
    return LedgerWithJournal(tmp_path)


def test_a_ledger_starts_again_where_it_was(ledger: LedgerWithJournal) -> None:
    """Stopped and started, store and journal agree."""
    ledger.appends("a")
    ledger.stop()
    ledger.start()
    ledger.appends("b")
    ledger.stop()


def test_a_crash_between_commit_and_journal_is_no_loss(ledger: LedgerWithJournal) -> None:
    """The store may be ahead of the journal: what was committed last was not acknowledged."""
    ledger.appends("a")
    ledger.appends("b", signs=False)
    ledger.stop()
    ledger.start()
    assert ledger.maker.head.size == 2
    ledger.stop()


def test_a_backup_restored_after_more_was_signed_is_refused(ledger: LedgerWithJournal, tmp_path: Path) -> None:
    """The older database opens, and the ledger does not start on it."""
    ledger.appends("a")
    backup = tmp_path / "backup.sqlite3"
    assert back_up_sqlite(ledger.path, backup) == ledger.maker.head
    ledger.appends("b")
    ledger.stop()
    ledger.restores(backup)
    with pytest.raises(StoreRolledBackError):
        ledger.start()


def test_a_backup_that_grew_another_history_is_refused(ledger: LedgerWithJournal, tmp_path: Path) -> None:
    """A restored copy that was written to elsewhere is found out by its root, however far it grew."""
    ledger.appends("a")
    back_up_sqlite(ledger.path, tmp_path / "backup.sqlite3")
    ledger.appends("b")
    ledger.stop()
    store = open_sqlite(tmp_path / "backup.sqlite3")
    maker = GroupMaker(store.start_writer())
    maker.hashes = store.leaf_hashes(0, 10)
    maker.sequences = {THERAPY: 1}
    store.commit(maker.makes("x", "y", "z"))
    store.close()
    ledger.restores(tmp_path / "backup.sqlite3")
    with pytest.raises(StoreForkedError):
        ledger.start()


def test_two_processes_that_race_leave_one_history(ledger: LedgerWithJournal) -> None:
    """Of two writers on one file the one that started last goes on, and the other is stopped for good."""
    ledger.appends("a")
    other = open_sqlite(ledger.path)
    other_maker = GroupMaker(other.start_writer())
    other_maker.hashes, other_maker.sequences = list(ledger.maker.hashes), dict(ledger.maker.sequences)
    with pytest.raises(HeadMovedError):
        ledger.appends("b")
    group = other_maker.makes("c")
    other.commit(group)
    with pytest.raises(HeadMovedError):
        ledger.appends("d")
    assert ledger.store.head() == group.new_head
    other.close()
    ledger.stop()


def test_a_backup_replaces_nothing_and_carries_no_log(ledger: LedgerWithJournal, tmp_path: Path) -> None:
    """A backup is one whole file under a new name."""
    ledger.appends("a")
    backup = tmp_path / "copies" / "backup.sqlite3"
    backup.parent.mkdir()
    back_up_sqlite(ledger.path, backup)
    assert [file.name for file in backup.parent.iterdir()] == ["backup.sqlite3"]
    with pytest.raises(StoreError):
        back_up_sqlite(ledger.path, backup)
    with pytest.raises(StoreError):
        back_up_sqlite(tmp_path / "nowhere.sqlite3", tmp_path / "copies" / "other.sqlite3")
    copy = open_sqlite(backup)
    assert copy.entries(0, 10) == [entry_of("a")]
    copy.close()
    ledger.stop()
