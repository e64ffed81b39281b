"""A ledger asks at its start what witnesses have seen of it, and does not sign behind their backs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from key_world import KeyWorld

from cellcustody.ledger.store import StoreForkedError, StoreRolledBackError, WitnessedHead, back_up_sqlite


@pytest.fixture
def world(tmp_path: Path) -> Iterator[KeyWorld]:
    """A ledger of the test's own."""
    made = KeyWorld(tmp_path)
    yield made
    made.close()


def test_a_backup_with_its_old_journal_is_refused(world: KeyWorld, tmp_path: Path) -> None:
    """Database and journal were restored together, against all advice: what a witness saw is not in them."""
    harness = world.harness
    harness.close()
    journal = harness.folder / "heads.journal"
    kept = journal.read_bytes()
    back_up_sqlite(harness.database, tmp_path / "backup.sqlite")
    harness.open()
    world.says(world.second)
    head = harness.store.head()
    harness.close()
    for path in harness.folder.glob("ledger.sqlite3*"):
        path.unlink()
    (tmp_path / "backup.sqlite").rename(harness.database)
    journal.write_bytes(kept)

    harness.witnessed = (WitnessedHead("witness.example", head.size, head.root_hash),)
    with pytest.raises(StoreRolledBackError) as refused:
        harness.open()
    assert refused.value.values["witness"] == "witness.example"
    harness.witnessed = (WitnessedHead("witness.example", head.size - 1),)
    harness.open()  # As much as the witness saw is there.


@pytest.mark.parametrize("seen", ["the same", "less", "nothing", "less, without its root"])
def test_what_witnesses_saw_and_is_there_lets_it_start(world: KeyWorld, seen: str) -> None:
    """Behind is no matter: a witness is asked again and again."""
    harness = world.harness
    head, before = harness.store.head(), harness.ledger._tree.root(2)
    harness.witnessed = {
        "the same": (WitnessedHead("w", head.size, head.root_hash),),
        "less": (WitnessedHead("w", 2, before), WitnessedHead("v", head.size, head.root_hash)),
        "nothing": (WitnessedHead("w", 0, None),),
        "less, without its root": (WitnessedHead("w", 2),),
    }[seen]
    harness.reopen()
    world.says(world.second)


def test_another_history_is_refused(world: KeyWorld) -> None:
    """The witness has other entries under an older size."""
    harness = world.harness
    harness.close()
    harness.witnessed = (WitnessedHead("witness.example", 2, bytes(32)),)
    with pytest.raises(StoreForkedError):
        harness.open()
    harness.witnessed = ()
    harness.open()
