"""Keep time evidence on the disk, beside whichever database holds the log.

The rules (docs/formats/timestamps.md):

* `timestamps.journal` is, for each item, length and CRC-32 of its bytes (4 bytes big-endian each), then its bytes.
  Items are numbered from 0; each says its own number.
* An item is on the disk before anyone gets it. What a crash left half written at the end is cut off at the next start;
  damage before the end stops the start, for the items after it may be all that proves a time.
* `timestamps.recorded` is, for each item that the log names, its number and that entry's leaf index (8 bytes each)
  and a CRC-32. It can be lost: the item is then recorded once more.
* Certificates lie in `timestamp-certificates/`, named by SHA-256.
* Hashes over 256 entries each of a renewal's tree lie in `renewal-<number>.hashes`. They can be made anew.
* One process at a time holds the files. Copying them meanwhile copies whole items, and perhaps a torn one at the end.
* At start each item's CRC-32 is looked at, and of its content no more than what tells which tree it is of.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import struct
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from google.protobuf.message import DecodeError

from cellcustody.ledger.errors import StoreError
from cellcustody.ledger.timestamps import (
    EvidenceItem,
    Renewal,
    TimeEvidenceDamagedError,
    load_certificate,
    parse_item,
)
from cellcustody.ledger.timestamps.records import RENEWAL_KIND
from cellcustody.v1 import timestamps_pb2

__all__ = ["KeptItem", "TimeEvidenceFile", "TimeEvidenceInUseError", "copy_time_evidence"]

CERTIFICATES_MAX: Final = 1_024  # A handful of authorities, each with a new certificate every year.
_HEAD: Final = struct.Struct(">II")
_RECORDED: Final = struct.Struct(">QQI")
_HASH_BYTES: Final = 64
_CERTIFICATES: Final = "timestamp-certificates"


class TimeEvidenceInUseError(StoreError):
    """Raised when another process has the evidence open."""

    reason = "TIME_EVIDENCE_IN_USE"


class KeptItem(NamedTuple):
    """What is held in memory of an item: where it lies, and what it is of."""

    offset: int
    length: int
    size: int
    is_renewal: bool


class TimeEvidenceFile:
    """The items of one ledger. Any thread may read; one at a time appends."""

    def __init__(self, directory: Path) -> None:
        """Opens the files in a folder, making them where there are none.

        Raises:
            TimeEvidenceInUseError: another process has them.
            TimeEvidenceDamagedError: an item before the last is not what was written.
        """
        self._directory = directory
        self._lock = threading.Lock()
        self._file = os.open(directory / "timestamps.journal", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as held:
            os.close(self._file)
            raise TimeEvidenceInUseError("another process holds the time evidence", directory=directory) from held
        self._recorded_file = os.open(directory / "timestamps.recorded", os.O_RDWR | os.O_CREAT, 0o600)
        self._items: list[KeptItem] = []
        self._end = 0
        self._recorded: dict[int, int] = {}
        self._certificates = _read_certificates(directory / "timestamp-certificates")
        try:
            self._read_items()
            self._read_recorded()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the files and gives them up."""
        for file in (self._file, self._recorded_file):
            if file >= 0:
                os.close(file)
        self._file = self._recorded_file = -1

    @property
    def count(self) -> int:
        """How many items there are."""
        return len(self._items)

    @property
    def kept(self) -> Sequence[KeptItem]:
        """What is held of every item, by number; it only grows."""
        return self._items

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """Certificates of authorities in DER, ascending by their bytes."""
        return tuple(sorted(self._certificates))

    def raw(self, number: int) -> bytes:
        """Returns the bytes of an item.

        Raises:
            TimeEvidenceDamagedError: it is not what was written.
        """
        kept = self._items[number]
        content = os.pread(self._file, _HEAD.size + kept.length, kept.offset)
        length, checksum = _HEAD.unpack_from(content)
        raw = content[_HEAD.size :]
        if length != len(raw) or zlib.crc32(raw) != checksum:
            raise TimeEvidenceDamagedError("an item of time evidence is damaged", number=number)
        return raw

    def item(self, number: int) -> EvidenceItem:
        """Returns an item."""
        return parse_item(self.raw(number))

    def raw_items(self, start: int, count: int) -> list[bytes]:
        """Returns the bytes of so many items from a number on, fewer at the end."""
        return [self.raw(number) for number in range(start, min(start + count, self.count))]

    def append(self, raw: bytes) -> EvidenceItem:
        """Returns the item after it is on the disk.

        Raises:
            TimeRecordMalformedError: the bytes are no item, or not the next.
        """
        item = parse_item(raw)
        with self._lock:
            if item.number != self.count:
                raise TimeEvidenceDamagedError("another item comes next", number=item.number, expected=self.count)
            frame = _HEAD.pack(len(raw), zlib.crc32(raw)) + raw
            _write(self._file, frame, self._end)
            self._items.append(_kept(item, self._end))
            self._end += len(frame)
        return item

    def note_recorded(self, number: int, leaf_index: int) -> None:
        """Notes the entry that records an item."""
        with self._lock:
            row = struct.pack(">QQ", number, leaf_index)
            _write(self._recorded_file, row + struct.pack(">I", zlib.crc32(row)), len(self._recorded) * _RECORDED.size)
            self._recorded[number] = leaf_index

    def recorded_at(self, number: int) -> int | None:
        """Returns the leaf index of the entry that records an item, or None where none is known."""
        return self._recorded.get(number)

    def add_certificates(self, certificates: Sequence[bytes]) -> None:
        """Keeps certificates that came with tokens, each once; beyond the limit none is kept."""
        directory = self._directory / "timestamp-certificates"
        with self._lock:
            for der in certificates:
                if der in self._certificates or len(self._certificates) >= CERTIFICATES_MAX:
                    continue
                load_certificate(der)
                directory.mkdir(mode=0o700, exist_ok=True)
                path = directory / f"{hashlib.sha256(der).hexdigest()}.der"
                part = path.with_suffix(".part")
                part.write_bytes(der)
                part.replace(path)
                self._certificates.add(der)

    def keep_hashes(self, number: int, hashes: Sequence[bytes]) -> None:
        """Keeps the hashes over 256 entries each of a renewal's tree."""
        path = self._directory / f"renewal-{number}.hashes"
        part = path.with_suffix(".part")
        part.write_bytes(b"".join(hashes))
        part.replace(path)

    def kept_hashes(self, number: int) -> list[bytes] | None:
        """Returns them, or None where they are not there."""
        try:
            raw = (self._directory / f"renewal-{number}.hashes").read_bytes()
        except FileNotFoundError:
            return None
        return [raw[at : at + _HASH_BYTES] for at in range(0, len(raw), _HASH_BYTES)]

    def _read_items(self) -> None:
        size = os.fstat(self._file).st_size
        at = 0
        while at < size:
            head = os.pread(self._file, _HEAD.size, at)
            length, checksum = _HEAD.unpack(head) if len(head) == _HEAD.size else (size, 0)
            raw = os.pread(self._file, length, at + _HEAD.size) if at + _HEAD.size + length <= size else b""
            if len(raw) != length or zlib.crc32(raw) != checksum:
                if at + _HEAD.size + length < size:
                    raise TimeEvidenceDamagedError("an item of time evidence is damaged", number=self.count, offset=at)
                break  # The last one, half written when the machine stopped: nobody ever got it.
            self._items.append(_kept_of_raw(raw, at, self.count))
            at += _HEAD.size + length
        if at < size:
            os.ftruncate(self._file, at)
            os.fsync(self._file)
        self._end = at

    def _read_recorded(self) -> None:
        content = os.pread(self._recorded_file, os.fstat(self._recorded_file).st_size, 0)
        at = 0
        while at + _RECORDED.size <= len(content):
            number, leaf_index, checksum = _RECORDED.unpack_from(content, at)
            if zlib.crc32(content[at : at + 16]) != checksum or number >= self.count:
                break
            self._recorded[number] = leaf_index
            at += _RECORDED.size
        if len(self._recorded) * _RECORDED.size != at:
            self._recorded.clear()
            at = 0
        os.ftruncate(self._recorded_file, at)


def _kept(item: EvidenceItem, offset: int) -> KeptItem:
    return KeptItem(offset, len(item.raw), item.record.size, isinstance(item.record, Renewal))


def _kept_of_raw(raw: bytes, offset: int, expected: int) -> KeptItem:
    """Returns what is held of an item that was whole when it was written: thirty years of them are read at a start."""
    try:
        message = timestamps_pb2.TimeEvidence.FromString(raw)
        kind, _, size, _ = message.record.split(b"\n", 3)
        kept = KeptItem(offset, len(raw), int(size), kind == RENEWAL_KIND)
    except (DecodeError, ValueError) as defect:
        raise TimeEvidenceDamagedError("an item of time evidence is damaged", number=expected) from defect
    if message.number != expected:
        raise TimeEvidenceDamagedError("an item is out of its place", number=message.number, expected=expected)
    return kept


def copy_time_evidence(source: Path, target: Path) -> bool:
    """Copies items, where each is recorded, and certificates; tells whether it did. What is there already stays."""
    journal = "timestamps.journal"
    there = target / journal
    if not (source / journal).exists() or (there.exists() and there.stat().st_size):
        return False
    for name in ("timestamps.recorded", journal):
        if (source / name).exists():
            with open(target / name, "wb") as file:
                file.write((source / name).read_bytes())
                file.flush()
                os.fsync(file.fileno())
    if (source / _CERTIFICATES).is_dir():
        shutil.copytree(source / _CERTIFICATES, target / _CERTIFICATES, dirs_exist_ok=True)
    return True


def _write(file: int, content: bytes, at: int) -> None:
    written = 0
    while written < len(content):
        written += os.pwrite(file, content[written:], at + written)
    os.fsync(file)


def _read_certificates(directory: Path) -> set[bytes]:
    if not directory.is_dir():
        return set()
    return {path.read_bytes() for path in sorted(directory.glob("*.der"))[:CERTIFICATES_MAX]}
