"""The views follow the log: from anywhere, in any batches, after an erasure, to the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cellcustody.ledger.completeness.keeping import HeadMaps
from cellcustody.ledger.views.follower import Follower

from ...unit.custody_therapy.stories import DRIVER, THERAPY, Story
from .told_ledger import ToldLedger, rows_of


@pytest.fixture
def told(tmp_path: Path) -> Iterator[ToldLedger]:
    ledger = ToldLedger(tmp_path)
    yield ledger
    ledger.harness.close()


def rebuilt(told: ToldLedger, path: Path, batch: int = 500) -> dict[str, list[tuple[object, ...]]]:
    """Returns the rows of views made from nothing."""
    follower = Follower(path, told.harness.ledger, batch_entries_max=batch)
    try:
        assert follower.catch_up() == told.harness.ledger.checkpoint_size()
        return rows_of(follower)
    finally:
        follower.close()


def test_rows_followed_one_by_one_are_those_rebuilt_after_every_statement(told: ToldLedger, tmp_path: Path) -> None:
    """After each statement of a whole therapy, following and rebuilding give the same rows."""
    follower = Follower(tmp_path / "views.sqlite3", told.harness.ledger)
    for number, _ in enumerate(told.tell_all(Story().to_the_end())):
        follower.catch_up()
        assert rows_of(follower) == rebuilt(told, tmp_path / f"rebuilt-{number}.sqlite3")
    follower.close()


def test_views_without_memory_are_the_same(told: ToldLedger, tmp_path: Path) -> None:
    """Following in batches of three with nothing kept between them ends in the same rows."""
    follower = Follower(tmp_path / "views.sqlite3", told.harness.ledger, batch_entries_max=3, kept_statements_max=0)
    for _ in told.tell_all(Story().to_the_release()):
        pass
    follower.catch_up()
    assert rows_of(follower) == rebuilt(told, tmp_path / "rebuilt.sqlite3", batch=7)
    follower.close()


def test_maps_of_heads_leave_no_trace_in_views(told: ToldLedger, tmp_path: Path) -> None:
    """The log's own word on where streams end moves the position and no row, followed or rebuilt."""
    maps = HeadMaps(told.harness.ledger, tmp_path / "heads.sqlite")
    follower = Follower(tmp_path / "views.sqlite3", told.harness.ledger)
    for number, _ in enumerate(told.tell_all(Story().to_the_release())):
        if number % 5 == 0:
            follower.catch_up()
            before = rows_of(follower)
            maps.log_map()
            assert follower.catch_up() == told.harness.ledger.checkpoint_size()
            assert rows_of(follower) == before
    follower.catch_up()
    assert rows_of(follower) == rebuilt(told, tmp_path / "rebuilt.sqlite3")
    follower.close()
    maps.close()


def test_a_courier_who_delivers_last_changes_the_same_rows(told: ToldLedger, tmp_path: Path) -> None:
    """What the driver signed offline arrives after all that rests on it; re-judgements reach rows as a rebuild does."""
    story = Story().to_the_product()
    of_driver = [act for act in story.acts if act.signer == DRIVER]
    follower = Follower(tmp_path / "views.sqlite3", told.harness.ledger)
    signed = {act.digest: told.sign(act) for act in story.acts}
    for act in [*story.without(*of_driver), *reversed(of_driver)]:
        told.deliver(act, signed[act.digest])
        follower.catch_up()
        assert rows_of(follower) == rebuilt(told, tmp_path / f"rebuilt-{follower.position}.sqlite3")
    assert rows_of(follower)["material"]
    assert not rows_of(follower)["attention"]
    follower.close()


def test_views_resume_where_they_stopped(told: ToldLedger, tmp_path: Path) -> None:
    """A follower opened again reads only what came since."""
    path = tmp_path / "views.sqlite3"
    acts = Story().to_the_plant().acts
    for act in acts[:8]:
        told.tell(act)
    first = Follower(path, told.harness.ledger)
    stopped = first.catch_up()
    first.close()
    for act in acts[8:]:
        told.tell(act)

    again = Follower(path, told.harness.ledger)
    assert again.position == stopped
    again.catch_up()
    assert rows_of(again) == rebuilt(told, tmp_path / "rebuilt.sqlite3")
    again.close()


def test_views_come_out_the_same_after_the_patient_is_erased(told: ToldLedger, tmp_path: Path) -> None:
    """With IDENTITY and CLINICAL shredded, views rebuilt from nothing have the rows they had before."""
    for _ in told.tell_all(Story().to_the_end()):
        pass
    before = rebuilt(told, tmp_path / "before.sqlite3")
    told.erase_patient(THERAPY)
    assert rebuilt(told, tmp_path / "after.sqlite3") == before
    assert before["material"] and before["therapy"]


def test_views_of_another_ledger_are_emptied(told: ToldLedger, tmp_path: Path) -> None:
    """A file whose last leaf is not this log's is never gone on with."""
    (tmp_path / "other").mkdir()
    other = ToldLedger(tmp_path / "other")
    path = tmp_path / "views.sqlite3"
    follower = Follower(path, other.harness.ledger)
    assert follower.catch_up() > 0
    follower.close()
    other.harness.close()

    mine = Follower(path, told.harness.ledger)
    assert mine.position == 0
    mine.catch_up()
    assert rows_of(mine) == rebuilt(told, tmp_path / "rebuilt.sqlite3")
    mine.close()


def test_the_thread_follows_and_rebuilds(told: ToldLedger, tmp_path: Path) -> None:
    """What is recorded is in the views soon after; dropping them brings the same rows again."""
    follower = Follower(tmp_path / "views.sqlite3", told.harness.ledger)
    follower.start()
    for _ in told.tell_all(Story().to_the_collection()):
        pass
    size = told.harness.ledger.checkpoint_size()
    assert follower.wait_for(size, 30)
    before = rows_of(follower)
    follower.drop_and_rebuild()
    assert follower.wait_for(size, 30)
    assert rows_of(follower) == before
    assert not follower.wait_for(size + 1, 0.01)
    follower.close()
