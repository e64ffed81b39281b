"""Items of time evidence on the disk: what a crash leaves, and what damage does."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from cellcustody.ledger.store.time_evidence import TimeEvidenceFile, TimeEvidenceInUseError, copy_time_evidence
from cellcustody.ledger.timestamps import Stamp, TimeEvidenceDamagedError, encode_item


def item(number: int) -> bytes:
    return encode_item(number, Stamp("ledger.example", number + 1, bytes(32), bytes(64)), (b"token %d" % number,))


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A folder with three items, the first two of them recorded."""
    with TimeEvidenceFile(tmp_path) as evidence:
        for number in range(3):
            evidence.append(item(number))
        evidence.note_recorded(0, 11)
        evidence.note_recorded(1, 12)
    return tmp_path


def test_items_are_there_after_a_restart(three: Path) -> None:
    with TimeEvidenceFile(three) as evidence:
        assert [evidence.raw(number) for number in range(evidence.count)] == [item(number) for number in range(3)]
        assert [evidence.recorded_at(number) for number in range(3)] == [11, 12, None]
        assert [kept.size for kept in evidence.kept] == [1, 2, 3]


def test_what_a_crash_left_half_written_is_cut_off(three: Path) -> None:
    """At every byte of the last item: the items before it stay, and the next takes its place."""
    file = three / "timestamps.journal"
    whole = file.read_bytes()
    start = len(whole) - len(item(2)) - 8
    for end in range(start + 1, len(whole)):
        file.write_bytes(whole[:end])
        with TimeEvidenceFile(three) as evidence:
            assert evidence.count == 2
            evidence.append(item(2))
        assert file.read_bytes() == whole


def test_damage_before_the_end_stops_the_start(three: Path) -> None:
    file = three / "timestamps.journal"
    damaged = bytearray(file.read_bytes())
    damaged[20] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(TimeEvidenceDamagedError):
        TimeEvidenceFile(three)


def test_a_lost_note_of_what_is_recorded_costs_nothing(three: Path) -> None:
    (three / "timestamps.recorded").write_bytes(b"\x01" * 33)
    with TimeEvidenceFile(three) as evidence:
        assert evidence.count == 3
        assert evidence.recorded_at(0) is None
        evidence.note_recorded(0, 11)
    with TimeEvidenceFile(three) as evidence:
        assert evidence.recorded_at(0) == 11


def test_items_come_in_order(three: Path) -> None:
    with TimeEvidenceFile(three) as evidence, pytest.raises(TimeEvidenceDamagedError):
        evidence.append(item(4))


def test_one_process_at_a_time_holds_the_files(three: Path) -> None:
    with TimeEvidenceFile(three), pytest.raises(TimeEvidenceInUseError):
        TimeEvidenceFile(three)


def test_a_copy_made_meanwhile_is_whole(three: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With a torn item at its end it is still one; where evidence lies already nothing is replaced."""
    target = tmp_path_factory.mktemp("copy")
    with TimeEvidenceFile(three), open(three / "timestamps.journal", "ab") as stream:
        stream.write(b"\x00\x00\x01")
        stream.flush()
        assert copy_time_evidence(three, target)
    with TimeEvidenceFile(target) as evidence:
        assert evidence.count == 3
        assert evidence.recorded_at(1) == 12
    assert not copy_time_evidence(three, target)
    assert not copy_time_evidence(tmp_path_factory.mktemp("empty"), target)


@pytest.mark.parametrize("raw", [b"\xff\xff", b"", encode_item(5, Stamp("x", 1, bytes(32), bytes(64)), (b"t",))])
def test_a_whole_frame_of_something_else_stops_the_start(three: Path, raw: bytes) -> None:
    with open(three / "timestamps.journal", "ab") as stream:
        stream.write(struct.pack(">II", len(raw), zlib.crc32(raw)) + raw)
    with pytest.raises(TimeEvidenceDamagedError):
        TimeEvidenceFile(three)
