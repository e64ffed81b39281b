"""The views' file: whole batches, indexes for every question, and nothing kept of another version."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from cellcustody.ledger.views import tables
from cellcustody.ledger.views.database import Changes, Followed, ViewsDatabase
from cellcustody.ledger.views.errors import ViewsDamagedError

STREAM = b"\x01" + bytes(16)
ROW = (STREAM, "order", "4711")


def changes_of(*rows: tables.Row) -> Changes:
    """Returns what writes these aliases."""
    return Changes({"alias": list(rows)}, {})


def test_rows_and_position_are_read_as_of_one_batch(tmp_path: Path) -> None:
    """A reader who has begun sees the position and the rows of one batch, whatever is written meanwhile."""
    database = ViewsDatabase(tmp_path / "views.sqlite3")
    database.write(changes_of(ROW), Followed(1, bytes(32)))
    with database.reading() as snapshot:
        database.write(Changes({}, {"alias": [ROW]}), Followed(2, bytes(32)))
        assert (snapshot.position, snapshot.rows("SELECT * FROM alias")) == (1, [ROW])
    with database.reading() as snapshot:
        assert (snapshot.position, snapshot.rows("SELECT * FROM alias")) == (2, [])
    database.close()


def test_a_batch_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """If one row cannot be written, neither the others nor the position are."""
    database = ViewsDatabase(tmp_path / "views.sqlite3")
    with pytest.raises(sqlite3.Error):
        database.write(changes_of(ROW, (STREAM, "order")), Followed(1, bytes(32)))
    assert database.followed() == Followed(0, b"")
    assert database.stream_rows(STREAM, tables.TABLES) == {}
    database.close()


def test_a_file_of_another_version_is_made_anew(tmp_path: Path) -> None:
    """Rows of another schema are dropped, to be rebuilt from the log."""
    path = tmp_path / "views.sqlite3"
    database = ViewsDatabase(path)
    database.write(changes_of(ROW), Followed(1, bytes(32)))
    database.close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {tables.SCHEMA_VERSION + 1}")
    connection.close()

    database = ViewsDatabase(path)
    assert database.followed() == Followed(0, b"")
    assert database.stream_rows(STREAM, tables.TABLES) == {}
    database.close()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    """What is no database is refused with its path, and may be deleted."""
    path = tmp_path / "views.sqlite3"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ViewsDamagedError):
        ViewsDatabase(path)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT answer FROM material WHERE stream = ?",
        "SELECT stream FROM material WHERE material = ? ORDER BY stream",
        "SELECT stream FROM alias WHERE scheme = 'order' AND value = ?",
        "SELECT answer FROM material WHERE (custodian_site = ?1 OR possessor_site = ?1)",
        "SELECT answer FROM container WHERE (custodian_site = ?1 OR possessor_site = ?1)",
        "SELECT answer FROM handoff WHERE receiver_site = ? ORDER BY since",
        "SELECT answer FROM outstanding WHERE site = ? ORDER BY due",
        "SELECT answer FROM attention WHERE site = ?",
        "SELECT answer FROM lot_use WHERE lot_number = ?",
        "SELECT answer FROM batch WHERE is_to_release = 1 AND site = ?",
        "SELECT answer FROM hold WHERE hold = ?",
        "SELECT 1 FROM party WHERE stream = ?1 AND site = ?1",
    ],
)
def test_no_question_reads_a_whole_table(tmp_path: Path, sql: str) -> None:
    """Every question finds its rows by an index, so that a long log answers as fast as a short one."""
    path = tmp_path / "views.sqlite3"
    ViewsDatabase(path).close()
    connection = sqlite3.connect(path)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", (b"",))]
    connection.close()
    assert plan
    assert not [step for step in plan if step.startswith("SCAN")]
