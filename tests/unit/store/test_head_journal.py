"""The head journal survives power cuts and notices everything else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cellcustody.ledger.errors import FatalStoreError
from cellcustody.ledger.store import (
    EMPTY_ROOT,
    Head,
    HeadJournal,
    JournalCorruptError,
    JournalInUseError,
    JournalMissingError,
    JournalWriteError,
    StoreForkedError,
    StoreRolledBackError,
    check_head_against_journal,
)

FIRST, SECOND, THIRD = (f"ledger.example\n{size}\nroot\n\n- signature\n".encode() for size in (1, 20, 300))
SMALL = 4_096  # A journal that is made anew hundreds of times need not be filled with megabytes of zeros.
ROOT, OTHER_ROOT = bytes([1]) * 32, bytes([2]) * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "heads.journal"


def written(path: Path, *notes: bytes) -> bytes:
    with HeadJournal(path, bytes_max=SMALL) as journal:
        for note in notes:
            journal.append(note)
    return path.read_bytes()


def whole_records(path: Path, *notes: bytes) -> bytes:
    """Returns the journal's records without the zeros written beforehand for later ones."""
    return written(path, *notes).rstrip(b"\x00")


def last_of(path: Path) -> bytes | None:
    with HeadJournal(path, bytes_max=SMALL) as journal:
        return journal.last()


def test_a_new_journal_has_no_record(path: Path) -> None:
    """A journal begins empty, in a file that only its owner may read."""
    assert last_of(path) is None
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_last_note_is_found_again(path: Path) -> None:
    """Closed and opened again, the journal knows its last note and goes on after it."""
    written(path, FIRST, SECOND)
    assert last_of(path) == SECOND
    written(path, THIRD)
    assert last_of(path) == THIRD


def test_a_torn_record_is_cut_off_wherever_it_tore(path: Path) -> None:
    """A power cut at any byte of an append leaves the record before it, and the next append follows that."""
    whole = whole_records(path, FIRST, SECOND)
    kept = len(whole) - len(SECOND) - 36
    for end in range(kept, len(whole)):
        path.write_bytes(whole[:end])
        assert last_of(path) == FIRST
        assert path.read_bytes().rstrip(b"\x00") == whole[:kept]
        written(path, THIRD)
        assert last_of(path) == THIRD


def test_a_record_whose_blocks_were_not_written_is_cut_off(path: Path) -> None:
    """A file that grew without its bytes, zeros or older ones, ends at the record before."""
    whole = whole_records(path, FIRST)
    for tail in (bytes(200), b"\xff" * 200, whole_records(path, SECOND)[len(whole) : -1] + b"!"):
        path.write_bytes(whole + tail)
        assert last_of(path) == FIRST


def test_every_damaged_bit_before_the_last_record_is_noticed(path: Path) -> None:
    """No torn write damages a record that whole ones follow: the journal refuses to open."""
    whole = whole_records(path, FIRST, SECOND)
    kept = len(whole) - len(SECOND) - 36
    for at in range(kept):
        damaged = bytearray(whole)
        damaged[at] ^= 0x01
        path.write_bytes(damaged)
        with pytest.raises(JournalCorruptError):
            HeadJournal(path)
        assert path.read_bytes() == damaged


def test_one_process_has_the_journal(path: Path) -> None:
    """A second opening is refused while the first stands, also after a rotation."""
    with HeadJournal(path, bytes_max=100) as journal:
        for note in (FIRST, SECOND, THIRD):
            journal.append(note)
            with pytest.raises(JournalInUseError):
                HeadJournal(path)
    assert last_of(path) == THIRD


def test_a_grown_journal_is_rotated(path: Path) -> None:
    """Past its size the journal starts again with the last record, and never loses it."""
    with HeadJournal(path, bytes_max=1_000) as journal:
        for size in range(1_000):
            note = f"ledger.example\n{size}\n".encode()
            journal.append(note)
            assert path.stat().st_size == 1_000
            assert journal.last() == note
    assert last_of(path) == b"ledger.example\n999\n"


def test_what_a_crash_left_of_a_rotation_is_not_the_journal(path: Path) -> None:
    """A successor that never took the journal's place is thrown away at the next rotation."""
    written(path, FIRST)
    path.with_name(path.name + ".next").write_bytes(b"half a record of a very long note")
    with HeadJournal(path, bytes_max=10) as journal:
        assert journal.last() == FIRST
        journal.append(SECOND)
    assert last_of(path) == SECOND
    assert not path.with_name(path.name + ".next").exists()


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_after_a_failed_append_nothing_more_is_appended(path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """When the disk refuses once, what it holds is unknown: every later append is refused too."""

    def fails(*_arguments: object) -> int:
        raise OSError(5, "Input/output error")

    with HeadJournal(path) as journal:
        journal.append(FIRST)
        with monkeypatch.context() as failing:
            failing.setattr(os, call, fails)
            with pytest.raises(JournalWriteError) as stop:
                journal.append(SECOND)
        assert isinstance(stop.value, FatalStoreError)
        with pytest.raises(JournalWriteError):
            journal.append(SECOND)
        assert journal.last() == FIRST


def test_a_full_disk_leaves_a_torn_record(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short write is a failure, and the next opening cuts off what was written."""
    whole_write = os.pwrite
    with HeadJournal(path) as journal:
        journal.append(FIRST)
        with monkeypatch.context() as full:
            full.setattr(os, "pwrite", lambda file, record, offset: whole_write(file, record[:10], offset))
            with pytest.raises(JournalWriteError):
                journal.append(SECOND)
    assert last_of(path) == FIRST


def test_an_append_is_on_the_disk_when_it_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each append is one write and one sync, in that order, and leaves the file's length as it is."""
    calls: list[str] = []
    write, sync = os.pwrite, os.fdatasync

    def writes(file: int, record: bytes, offset: int) -> int:
        calls.append("write")
        return write(file, record, offset)

    def syncs(file: int) -> None:
        calls.append("sync")
        sync(file)

    with HeadJournal(path) as journal:
        monkeypatch.setattr(os, "pwrite", writes)
        monkeypatch.setattr(os, "fdatasync", syncs)
        size = path.stat().st_size
        journal.append(FIRST)
        journal.append(SECOND)
        assert calls == ["write", "sync", "write", "sync"]
        assert path.stat().st_size == size


def test_a_note_has_a_limit(path: Path) -> None:
    """A note that no opening would read back is never written."""
    with HeadJournal(path) as journal:
        for note in (b"", bytes(65_537)):
            with pytest.raises(JournalWriteError):
                journal.append(note)
        journal.append(bytes(65_536))
    assert last_of(path) == bytes(65_536)


# Comparing the journal with the store.


def test_a_new_ledger_needs_no_journal() -> None:
    """Nothing recorded and nothing signed agree."""
    check_head_against_journal(Head(0, EMPTY_ROOT, 0), None)


def test_a_store_at_the_last_checkpoint_agrees() -> None:
    """Same size, same root: start."""
    check_head_against_journal(Head(20, ROOT, 3), (20, ROOT))


def test_a_store_ahead_of_the_last_checkpoint_is_compared_at_that_size() -> None:
    """A crash between commit and journal leaves the store ahead; its past must still be what was signed."""
    check_head_against_journal(Head(25, OTHER_ROOT, 3), (20, ROOT), root_at={20: ROOT}.__getitem__)
    with pytest.raises(StoreForkedError):
        check_head_against_journal(Head(25, OTHER_ROOT, 3), (20, ROOT), root_at={20: OTHER_ROOT}.__getitem__)


def test_a_restored_older_database_is_refused_with_what_to_do() -> None:
    """A store with fewer entries than were signed for was restored from a backup."""
    with pytest.raises(StoreRolledBackError) as stop:
        check_head_against_journal(Head(19, ROOT, 3), (20, ROOT))
    assert isinstance(stop.value, FatalStoreError)
    assert "bring back the newer database" in str(stop.value)
    assert stop.value.values == {"store_size": "19", "checkpoint_size": "20"}


def test_another_history_of_the_same_size_is_refused() -> None:
    """Same size, other root: the ledger would sign a fork."""
    with pytest.raises(StoreForkedError):
        check_head_against_journal(Head(20, OTHER_ROOT, 3), (20, ROOT))


def test_entries_without_a_journal_are_refused() -> None:
    """A journal that was lost or replaced proves nothing about the store."""
    with pytest.raises(JournalMissingError):
        check_head_against_journal(Head(20, ROOT, 3), None)
