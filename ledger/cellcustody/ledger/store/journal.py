"""The head journal: every checkpoint that was about to leave, outside the database and its backups.

The rules:

* A checkpoint leaves only after `append` has returned, and `append` is called only after the commit it signs. So the
  journal may be behind the store by what was committed last, and is never ahead of it, unless the database was
  restored from an older copy: then the ledger would sign a second history, and start is refused.
* A record is the length of the note (4 bytes, big-endian), SHA-256 of that length and the note, and the note.
  It is one write followed by fdatasync. After the last record the file is zeros, written beforehand, so that an
  append changes neither the file's length nor where its blocks lie: the sync then costs a third less.
* A torn record at the end is what a power cut leaves: no checkpoint of it has left, and it is overwritten with zeros
  on opening. A damaged record with whole ones after it is not, and is fatal.
* After a write or a sync that failed, nothing more is appended: what is on the disk is unknown.
* One process has the journal open; a lock on the file says so.
* When the file is full, a new one with only the last record takes its place, atomically.

The notes are opaque here. Whoever opens the journal parses the last one and calls `check_head_against_journal`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cellcustody.ledger.store.errors import (
    JournalCorruptError,
    JournalInUseError,
    JournalMissingError,
    JournalWriteError,
    StoreForkedError,
    StoreRolledBackError,
)
from cellcustody.ledger.store.model import Head

NOTE_BYTES_MAX: Final = 65_536  # A checkpoint with two signatures and many witnesses has under 8 KiB.
JOURNAL_BYTES_MAX: Final = 4_194_304  # About a thousand checkpoints; reading it all on opening takes milliseconds.

_LENGTH: Final = struct.Struct(">I")
_OVERHEAD: Final = _LENGTH.size + hashlib.sha256().digest_size


class HeadJournal:
    """An append-only file of signed checkpoints, of which the last one matters."""

    def __init__(self, path: Path | str, *, bytes_max: int = JOURNAL_BYTES_MAX) -> None:
        """Opens or makes the journal at `path`, clears a torn last record, and makes the folder entry durable.

        Raises:
            JournalInUseError: another process has it open.
            JournalCorruptError: a record before the last one is damaged.
        """
        self._path = Path(path)
        self._bytes_max = bytes_max
        self._failed = False
        self._file = _open_locked(self._path)
        try:
            content = _read_whole(self._file)
            self._last, self._size = _last_record(content)
            if len(content) < bytes_max or content[self._size :].strip(b"\x00"):
                self._fill(self._file, self._size, len(content))
            os.fsync(self._file)
            _sync_folder(self._path.parent)
        except BaseException:
            os.close(self._file)
            raise

    def last(self) -> bytes | None:
        """Returns the last note that was made durable, or None in a new journal."""
        return self._last

    def append(self, note: bytes) -> None:
        """Makes `note` durable; the checkpoint may leave when this returns.

        Raises:
            JournalWriteError: it could not be made durable, now or at an earlier append.
        """
        if self._failed:
            raise JournalWriteError("an earlier append failed; the journal must be opened again", path=self._path)
        record = _record_of(note)
        if self._size and self._size + len(record) > self._bytes_max:
            self._rotate(record, note)
            return
        try:
            _write_at(self._file, record, self._size)
            os.fdatasync(self._file)
        except OSError as error:
            self._failed = True
            raise JournalWriteError("the journal could not be written", path=self._path, cause=error) from error
        self._size += len(record)
        self._last = note

    def _rotate(self, record: bytes, note: bytes) -> None:
        """Replaces the journal by one that holds only `record`."""
        successor_path = self._path.with_name(self._path.name + ".next")
        try:
            # What a crash left of an earlier rotation was never the journal.
            successor_path.unlink(missing_ok=True)
            successor = _open_locked(successor_path)
            try:
                _write_at(successor, record, 0)
                self._fill(successor, len(record), len(record))
                os.fsync(successor)
                os.replace(successor_path, self._path)
                _sync_folder(self._path.parent)
            except BaseException:
                os.close(successor)
                raise
        except OSError as error:
            self._failed = True
            raise JournalWriteError("the journal could not be rotated", path=self._path, cause=error) from error
        os.close(self._file)
        self._file = successor
        self._size = len(record)
        self._last = note

    def _fill(self, file: int, start: int, end: int) -> None:
        """Writes zeros from `start` to the end of the file, which has at least the journal's size after that."""
        room = max(self._bytes_max, end) - start
        if room > 0:
            _write_at(file, bytes(room), start)

    def close(self) -> None:
        """Closes the file and gives up its lock."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self._failed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def read_last_note(path: Path | str) -> bytes | None:
    """Returns the last whole note of a journal that another process may be writing; the file is left alone.

    Raises:
        JournalCorruptError: a record before the last one is damaged.
        OSError: it cannot be read.
    """
    return _last_record(Path(path).read_bytes())[0]


def check_head_against_journal(
    head: Head,
    last_checkpoint: tuple[int, bytes] | None,
    *,
    root_at: Callable[[int], bytes] | None = None,
) -> None:
    """Refuses to start a ledger whose store is not what its last checkpoint said.

    `last_checkpoint` is the (tree size, root hash) parsed from the journal's last note, whose signature the caller
    has verified; None where the journal has no record. `root_at` computes the root of the first so many leaves
    from the stored entries; without it a store that is ahead of the journal is not compared with it.

    Raises:
        StoreRolledBackError: the store has fewer entries than the last checkpoint.
        StoreForkedError: the store has other entries than the last checkpoint.
        JournalMissingError: the store has entries and the journal has no record.
    """
    if last_checkpoint is None:
        if head.size == 0:
            return
        raise JournalMissingError(
            "the database has entries and the head journal has no record: put the journal of this ledger in its "
            "place, or found a new ledger",
            store_size=head.size,
        )
    size, root_hash = last_checkpoint
    if size > head.size:
        raise StoreRolledBackError(
            "the database is older than the last checkpoint that left this ledger: it was probably restored from a "
            "backup. Do not delete the journal: bring back the newer database, or every entry after the backup with "
            "`cellcustody recover`",
            store_size=head.size,
            checkpoint_size=size,
        )
    found = head.root_hash if size == head.size else root_at(size) if root_at is not None else root_hash
    if found != root_hash:
        raise StoreForkedError(
            "the database holds another history than the last checkpoint that left this ledger: keep both, compare "
            "the entries with a member's copy of the log, and do not sign",
            checkpoint_size=size,
            checkpoint_root=root_hash,
            store_root=found,
        )


@dataclass(frozen=True, slots=True)
class WitnessedHead:
    """The last tree that somebody else has seen of this log; the root is None where they told the size alone."""

    name: str
    size: int
    root_hash: bytes | None = None


def check_head_against_witnesses(
    head: Head, witnessed: Sequence[WitnessedHead], *, root_at: Callable[[int], bytes]
) -> None:
    """Refuses to start a ledger whose store is not what others have seen of it; a witness that is silent counts not.

    Raises:
        StoreRolledBackError: somebody has seen more entries than the store has.
        StoreForkedError: somebody has seen other entries.
    """
    for seen in witnessed:
        if seen.size > head.size:
            raise StoreRolledBackError(
                "the database is older than what a witness has seen of this log: it was probably restored from a "
                "backup, with an old journal. Do not sign: bring back the newer database, or every entry after the "
                "backup with `cellcustody recover`",
                store_size=head.size,
                checkpoint_size=seen.size,
                witness=seen.name,
            )
        if seen.root_hash is not None and seen.size and root_at(seen.size) != seen.root_hash:
            raise StoreForkedError(
                "the database holds another history than a witness has seen: keep it, compare the entries with a "
                "member's copy of the log, and do not sign",
                checkpoint_size=seen.size,
                checkpoint_root=seen.root_hash,
                witness=seen.name,
            )


def _record_of(note: bytes) -> bytes:
    if not 0 < len(note) <= NOTE_BYTES_MAX:
        raise JournalWriteError("a note has 1 to 65536 bytes", length=len(note))
    length = _LENGTH.pack(len(note))
    return length + hashlib.sha256(length + note).digest() + note


def _record_at(content: bytes, offset: int) -> bytes | None:
    """Returns the note of the whole record at `offset`, or None where there is none."""
    body = offset + _OVERHEAD
    if body > len(content):
        return None
    (length,) = _LENGTH.unpack_from(content, offset)
    if not 0 < length <= NOTE_BYTES_MAX or body + length > len(content):
        return None
    note = content[body : body + length]
    expected = content[offset + _LENGTH.size : body]
    return note if hashlib.sha256(content[offset : offset + _LENGTH.size] + note).digest() == expected else None


def _last_record(content: bytes) -> tuple[bytes | None, int]:
    """Returns the last whole note and the offset just after it; what follows is zeros or a torn record."""
    last: bytes | None = None
    offset = 0
    while (note := _record_at(content, offset)) is not None:
        last = note
        offset += _OVERHEAD + len(note)
    torn_end = len(content.rstrip(b"\x00"))
    # One append is under way at a time: a torn one is no longer than a record, and nothing whole follows it.
    if torn_end - offset > _OVERHEAD + NOTE_BYTES_MAX or any(
        _record_at(content, later) is not None for later in range(offset + 1, torn_end)
    ):
        raise JournalCorruptError("a journal record is damaged and others follow it", offset=offset)
    return last, offset


def _open_locked(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise JournalInUseError("another process has the head journal open", path=path) from error
    return file


def _read_whole(file: int) -> bytes:
    parts = []
    offset = 0
    while part := os.pread(file, 1 << 20, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def _write_at(file: int, record: bytes, offset: int) -> None:
    """Writes the record with one call; a short write is a failure, and its rest a torn record."""
    written = os.pwrite(file, record, offset)
    if written != len(record):
        raise OSError(f"{written} of {len(record)} bytes were written")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


__all__ = ["HeadJournal", "WitnessedHead", "check_head_against_journal", "check_head_against_witnesses"]
