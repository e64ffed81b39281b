"""A store is read again from end to end: whatever a disk did to it is found, and where."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from ledger_harness import LedgerHarness

from cellcustody.ledger.recording.scrubbing import Scrubbed, StoreDamagedError, scrub
from cellcustody.ledger.statements import StreamKind
from cellcustody.v1 import options_pb2, quality_pb2


@pytest.fixture
def harness(tmp_path: Path) -> LedgerHarness:
    made = LedgerHarness(tmp_path)
    made.found()
    _, (administrator, _) = made.site("plant", options_pb2.CAPABILITY_PROCESS)
    therapy = made.new_stream(StreamKind.THERAPY)
    for number in range(3):
        made.say(administrator, therapy, quality_pb2.DeviationRaised(description=f"seen late {number}"))
    return made


def scrubbed(harness: LedgerHarness) -> Scrubbed:
    """Reads everything again against the last signed head."""
    published = harness.ledger.published
    assert published is not None
    return scrub(harness.store, harness.vault, signed=(published.head.size, published.head.root_hash))


def test_a_whole_store_is_found_whole(harness: LedgerHarness) -> None:
    progress: list[tuple[int, int]] = []
    size = harness.store.head().size

    found = scrubbed(harness)
    scrub(harness.store, None, progress=lambda done, of: progress.append((done, of)))

    assert (found.entries, found.tiles, found.bodies_erased) == (size, 1, 0)
    assert 3 < found.bodies < size  # Co-signatures have none.
    assert progress == [(size, size)]
    harness.close()


DAMAGE = {
    # What is read, what it is replaced by, and what is said of it.
    "an entry": ("stored_events", "state", "originator_id LIKE '01%' AND originator_version = 2", "leaf hash says"),
    "a leaf hash": ("leaf", "leaf_hash", "leaf_index = 4", "leaf hash says"),
    "a statement's digest": ("leaf", "statement_digest", "leaf_index = 4", "not found where it is recorded"),
    "a tile": ("tile", "hashes", "level = 0", "tile"),
    "a public record": ("vault", "ciphertext", "leaf_index = 0 AND disclosure_class = 1", "not what was signed"),
    "a sealed record": ("vault", "ciphertext", "disclosure_class = 3 AND leaf_index = 6", "not what was signed"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_is_damaged_is_named(harness: LedgerHarness, what: str) -> None:
    """An entry, its hash, its place, a tile, a record with one bit turned: each is told with its place."""
    table, column, where, words = DAMAGE[what]
    with sqlite3.connect(harness.database) as connection:
        (content,) = connection.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()
        changed = content[:-1] + bytes([content[-1] ^ 1])
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (changed,))
    connection.close()

    with pytest.raises(StoreDamagedError, match=words) as damaged:
        scrubbed(harness)

    assert "leaf_index" in damaged.value.values or "level" in damaged.value.values
    harness.close()


def test_records_that_are_gone_are_damage(harness: LedgerHarness) -> None:
    with sqlite3.connect(harness.database) as connection:
        connection.execute("DELETE FROM vault WHERE disclosure_class = 3")
    connection.close()

    with pytest.raises(StoreDamagedError, match="not there"):
        scrubbed(harness)
    harness.close()


def test_an_erased_class_is_counted_and_no_damage(harness: LedgerHarness) -> None:
    """Keys that were destroyed close records by their hashes; what else the body holds is still held to it."""
    with sqlite3.connect(harness.database) as connection:
        sealed = connection.execute("SELECT DISTINCT subject, disclosure_class FROM vault").fetchall()
    connection.close()
    for subject, disclosed in sealed:
        if subject[0] == StreamKind.PERSON:
            harness.vault.shred(subject, disclosed)

    assert scrubbed(harness).bodies_erased >= 1
    harness.close()


def test_a_missing_key_is_damage(harness: LedgerHarness) -> None:
    """A key that nobody destroyed and that is not there is no erasure."""
    with sqlite3.connect(harness.folder / "keys.sqlite3") as connection:
        connection.execute("DELETE FROM subject_keys WHERE hex(substr(subject, 1, 1)) = '01'")
    connection.close()
    harness.close()
    harness.open()

    with pytest.raises(StoreDamagedError, match="not what was signed"):
        scrubbed(harness)
    harness.close()


def test_an_older_signed_root_must_be_that_of_the_first_leaves(harness: LedgerHarness) -> None:
    head = harness.store.head()

    with pytest.raises(StoreDamagedError, match="the root that was signed"):
        scrub(harness.store, None, signed=(head.size - 1, bytes(32)))
    with pytest.raises(StoreDamagedError, match="more entries"):
        scrub(harness.store, None, signed=(head.size + 1, bytes(32)))
    harness.close()
