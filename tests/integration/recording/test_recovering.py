"""A database that is older than what was signed takes its lost tail back from copies: every row, or nothing."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from courses import Course, World
from ledger_harness import LedgerHarness

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.dossier import build_dossier
from cellcustody.ledger.dossier.store_source import StoreSource
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.recording.custody_judging import CoiTakenError
from cellcustody.ledger.recording.recovering import (
    Copies,
    RecoveryConflictError,
    RecoveryIncompleteError,
    recover_tail,
)
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.recording.shown_records import kept_leaf_hashes
from cellcustody.ledger.statements import ClosedRecord, parse_statement
from cellcustody.ledger.store import Head, KeyStore, StoreRolledBackError, Vault, back_up_sqlite, open_sqlite
from cellcustody.ledger.verification import open_dossier
from cellcustody.v1 import entry_pb2

SEALED = {"vault"}  # Sealed anew, under a nonce of its own.
SHREDDABLE = {DisclosureClass.CLINICAL, DisclosureClass.IDENTITY}


@dataclass
class Lost:
    """A ledger whose database is a backup of before a therapy, with a copy of what it was."""

    harness: LedgerHarness
    course: Course
    last: Path
    size: int
    signed: Head
    dossier: bytes

    def copies(self, *, without: frozenset[DisclosureClass] = frozenset()) -> Copies:
        """Returns what the copy of the database holds, as it would be if these classes had been erased."""
        found = Copies()
        keys = KeyStore(self.harness.folder / "keys.sqlite3", self.harness.master)
        store = open_sqlite(self.last)
        classes = frozenset(range(1, 7)) - {int(one) for one in without}
        for leaf in range(self.size, self.signed.size):
            raw = store.entry(leaf)
            digest = parse_statement(read_entry(raw).envelope).digest
            openings = openings_of(store, Vault(keys), digest, classes)
            shown = {one.index for one in openings}
            hashes = enumerate(kept_leaf_hashes(store, digest))
            closed = [ClosedRecord(index, one) for index, one in hashes if index not in shown]
            found.add("copy", leaf, raw, [*openings, *closed])
        store.close()
        keys.close()
        return found

    def recover(self, copies: Copies) -> tuple[int, tuple[bytes, ...]]:
        """Brings the tail back; returns how many records stay away, and the therapies without identifiers."""
        keys = KeyStore(self.harness.folder / "keys.sqlite3", self.harness.master)
        store = open_sqlite(self.harness.database)
        try:
            done = recover_tail(store, Vault(keys), copies, size=self.signed.size, root_hash=self.signed.root_hash)
            assert (done.from_size, done.head.size) == (self.size, self.signed.size)
            return done.records_absent, done.therapies_without_identifiers
        finally:
            store.close()
            keys.close()

    def rows(self, database: Path) -> dict[str, list[tuple[object, ...]]]:
        """Returns every row of every table of ours, but for epochs and what is sealed."""
        with closing(sqlite3.connect(database)) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {
                table: sorted(
                    row[:3] if table == "head" else row[:3] if table in SEALED else row
                    for row in connection.execute(f"SELECT * FROM {table}")
                )
                for table in tables
            }


@pytest.fixture
def lost(tmp_path: Path) -> Lost:
    """A therapy to the plant, after the last backup."""
    world = World(tmp_path)
    harness = world.harness
    size = harness.store.head().size
    back_up_sqlite(harness.database, tmp_path / "backup.sqlite")
    course = world.course().to_the_plant("bag-1", "bag-2")
    course.say(world.nurse, course.identity_check())
    dossier = build_dossier(
        StoreSource(harness.store, harness.vault),
        course.stream,
        checkpoint=harness.ledger.checkpoint(),
        ledger_id=harness.ledger_id,
        service_signer=harness.service,
        open_classes=tuple(set(DisclosureClass) - SHREDDABLE),
    ).data
    signed = harness.store.head()
    harness.close()
    last = tmp_path / "last.sqlite"
    back_up_sqlite(harness.database, last)
    for path in tmp_path.glob("ledger.sqlite3*"):
        path.unlink()
    shutil.copyfile(tmp_path / "backup.sqlite", harness.database)
    return Lost(harness, course, last, size, signed, dossier)


def test_every_row_is_as_it_was(lost: Lost) -> None:
    """Start is refused; after the recovery it is not, and every table holds what it held."""
    with pytest.raises(StoreRolledBackError):
        lost.harness.open()
    assert lost.recover(lost.copies()) == (0, ())
    assert lost.rows(lost.harness.database) == lost.rows(lost.last)
    lost.harness.open()
    lost.harness.check()
    course = lost.course
    with pytest.raises(CoiTakenError):  # The claims are back as well.
        again = Course(course.world, 1)
        again.enrols()
    check = course.say(course.world.nurse, course.identity_check())
    assert check.judgement is not None
    assert {one.outcome.name for one in check.judgement.comparisons} == {"MATCH"}
    lost.harness.check()
    lost.harness.close()


def test_what_was_erased_stays_away_and_is_told(lost: Lost) -> None:
    """Without CLINICAL and IDENTITY the log is whole, and identifiers cannot be compared any more."""
    absent, without = lost.recover(lost.copies(without=frozenset(SHREDDABLE)))
    assert absent > 0 and without == (lost.course.stream,)
    lost.harness.open()
    lost.harness.check()
    check = lost.course.say(lost.course.world.nurse, lost.course.identity_check())
    assert check.judgement is not None
    assert "MATCH" not in {one.outcome.name for one in check.judgement.comparisons}
    lost.harness.close()


def test_a_dossier_brings_its_therapy_back(lost: Lost) -> None:
    """Where nothing else was recorded since the backup, one dossier is enough."""
    copies = Copies()
    for given in open_dossier(lost.dossier).entries:
        if lost.size <= given.leaf_index:
            copies.add("dossier", given.leaf_index, given.entry, given.records or ())
    lost.recover(copies)
    lost.harness.open()
    lost.harness.check()
    lost.harness.close()


def test_a_body_that_has_to_be_there_is_asked_for(lost: Lost) -> None:
    """The rules rest on it: nothing is recorded, and the statements are named."""
    with pytest.raises(RecoveryIncompleteError) as incomplete:
        lost.recover(lost.copies(without=frozenset({DisclosureClass.CUSTODY})))
    assert incomplete.value.values["statements"]
    store = open_sqlite(lost.harness.database)
    assert store.head().size == lost.size
    store.close()


def test_a_body_that_is_another_is_refused(lost: Lost) -> None:
    """An opening with a bit changed does not fit what its signer committed to."""
    copies = lost.copies()
    copied = next(one for one in copies.entries.values() if one.openings)
    index, opening = next(iter(copied.openings.items()))
    salt = opening.salt[:-1] + bytes([opening.salt[-1] ^ 1])
    copied.openings[index] = type(opening)(opening.index, salt, opening.record)
    with pytest.raises(RecoveryConflictError):
        lost.recover(copies)


def test_missing_entries_are_told_as_ranges(lost: Lost) -> None:
    """Three in a row and one alone."""
    copies = lost.copies()
    for leaf in (lost.size, lost.size + 1, lost.size + 2, lost.size + 5):
        del copies.entries[leaf]
    with pytest.raises(RecoveryIncompleteError) as incomplete:
        lost.recover(copies)
    assert incomplete.value.values["missing"] == f"{lost.size}-{lost.size + 2} {lost.size + 5}"


def test_an_entry_that_was_not_signed_for_does_not_come_in(lost: Lost) -> None:
    """A copy in which one entry was recorded a second later makes another root: nothing is recorded."""
    copies = lost.copies()
    copied = copies.entries[lost.size + 3]
    entry = entry_pb2.Entry.FromString(copied.entry)
    entry.recorded_at_unix_micros += 1_000_000
    copied.entry = entry.SerializeToString(deterministic=True)
    with pytest.raises(RecoveryConflictError) as refused:
        lost.recover(copies)
    assert refused.value.values["signed_root"] == lost.signed.root_hash.hex()
    store = open_sqlite(lost.harness.database)
    assert store.head().size == lost.size
    store.close()
