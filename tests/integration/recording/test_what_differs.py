"""A store that does not hold what was committed: nothing is signed, reads go on, and what differs is told exactly."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest
from courses import COLLECTION, Course, World

from cellcustody.ledger.recording.publisher import CheckpointMismatchError
from cellcustody.ledger.recording.writer import LedgerStoppedError
from cellcustody.v1 import harvest_pb2 as harvest


def _flip(world: World, sql: str, change: Callable[[bytes], bytes]) -> None:
    """Changes one value behind the ledger's back, as a bad disk would."""
    with sqlite3.connect(world.harness.database) as database:
        column, rest = sql.split("|")
        table = rest.split()[0]
        ((key, value),) = database.execute(f"SELECT rowid, {column} FROM {rest}").fetchall()
        database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (change(value), key))


def _says(world: World, course: Course) -> None:
    world.harness.tick(1)
    world.harness.submit(
        world.harness.statement(world.nurse, course.stream, harvest.ConsentRecorded(scopes=COLLECTION))
    )


def _first_bit(value: bytes) -> bytes:
    return value[:-1] + bytes([value[-1] ^ 1])


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("state|stored_events ORDER BY rowid DESC LIMIT 1", {"leaf_index", "recorded_leaf_hash", "computed_leaf_hash"}),
        ("hashes|tile WHERE level = 0", {"level", "index", "hash", "stored_hash", "computed_hash"}),
    ],
)
def test_what_was_changed_under_the_ledger_is_named(world: World, what: str, told: set[str]) -> None:
    """A bit of the entry, or of its tile, flipped after the commit and before the signature."""
    course = world.course()
    course.enrols()
    checkpoint = world.harness.ledger.checkpoint()
    size = world.harness.store.head().size
    world.harness.faults.at = "after:commit"
    world.harness.faults.during = lambda: _flip(world, what, _first_bit)
    with pytest.raises(LedgerStoppedError):
        _says(world, course)
    why = world.harness.ledger.why_stopped
    assert isinstance(why, CheckpointMismatchError)
    assert told <= set(why.values)
    if "leaf_index" in told:
        assert why.values["leaf_index"] == str(size)
    else:
        assert (why.values["level"], why.values["index"], why.values["hash"]) == ("0", "0", str(size))
    assert world.harness.ledger.checkpoint() == checkpoint  # The last signed head stays the last one.
    assert world.harness.ledger.read_entry(leaf_index=0).entry  # Reads go on.
    with pytest.raises(LedgerStoppedError):
        _says(world, course)
