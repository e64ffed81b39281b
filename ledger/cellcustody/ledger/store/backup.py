"""Backups of the embedded store while the ledger goes on.

The rules:

* A backup is a copy of the ledger's database at one commit, made page by page; readers and the writer go on.
* The head journal and the key store are never part of it: the journal would lose its purpose, and the keys that
  are shredded later would live on. The key store is copied by itself, to be kept elsewhere and for a shorter time.
* A copy takes its name only when it is whole and on the disk; an existing file is never replaced.
* A restored copy that is older than the last checkpoint is refused at start (`check_head_against_journal`).
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from cellcustody.ledger.errors import StoreError
from cellcustody.ledger.store.model import Head
from cellcustody.ledger.store.recorder import SELECT_HEAD, head_of
from cellcustody.ledger.store.tables import Value

PAGES_PER_STEP: Final = 1_024  # 4 MiB between chances for others; a commit in between makes the copy take it in.


def back_up_sqlite(source: Path | str, target: Path | str) -> Head:
    """Copies the ledger's database to the new file `target` and returns the head that the copy holds.

    Raises:
        StoreError: there is no database at `source`, `target` exists, or the copy could not be made whole.
    """
    (row,) = _copy(source, target, SELECT_HEAD)
    return head_of([row])


def back_up_key_store(source: Path | str, target: Path | str) -> None:
    """Copies the wrapped keys of the bodies to the new file `target`; to be kept apart from every copy of the data.

    Made after a backup of the data, it opens all that is in it: keys are durable before what is sealed under them.

    Raises:
        StoreError: there is no key store at `source`, `target` exists, or the copy could not be made whole.
    """
    _copy(source, target, "SELECT 1")


def _copy(source: Path | str, target: Path | str, read: str) -> list[tuple[Value, ...]]:
    """Copies a database page by page and returns what a query finds in the copy."""
    target = Path(target)
    partial = target.with_name(target.name + ".partial")
    if target.exists():
        raise StoreError("a backup never replaces a file", target=target)
    partial.unlink(missing_ok=True)
    try:
        with (
            closing(sqlite3.connect(f"{Path(source).resolve().as_uri()}?mode=ro", uri=True)) as live,
            closing(sqlite3.connect(partial)) as copy,
        ):
            partial.chmod(0o600)
            live.backup(copy, pages=PAGES_PER_STEP)
            # One file and no log beside it: that is what is carried away.
            copy.execute("PRAGMA journal_mode=DELETE").fetchall()
            ((verdict,),) = copy.execute("PRAGMA quick_check(1)").fetchall()
            if verdict != "ok":
                raise StoreError("the copy is not a whole database", verdict=verdict)
            found: list[tuple[Value, ...]] = copy.execute(read).fetchall()
        _sync(partial)
        # A hard link, unlike a rename, fails where the name is taken.
        os.link(partial, target)
        _sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise StoreError("the backup could not be made", target=target, cause=error) from error
    finally:
        partial.unlink(missing_ok=True)
    return found


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


__all__ = ["back_up_key_store", "back_up_sqlite"]
