"""Killing the process that writes: what was acknowledged is there, in the log, under a consistent checkpoint."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ledger_harness import ORIGIN

from cellcustody.ledger.entries import leaf_hash_of, read_entry
from cellcustody.ledger.statements import parse_statement
from cellcustody.ledger.store import HeadJournal, check_head_against_journal, open_sqlite
from cellcustody.ledger.transparency import parse_checkpoint, root_of, verify_checkpoint

_HERE = Path(__file__).parent


def _kill_once(folder: Path, seed: int) -> int:
    """Lets a ledger write, kills it without warning, and returns how many acknowledged statements were found."""
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(_HERE / "writing_process.py"), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_HERE)},
    )
    assert process.stdout is not None
    vkeys = process.stdout.readline().removeprefix("vkeys ").strip().split(" ")
    time.sleep(random.Random(seed).uniform(0.05, 0.6))
    process.send_signal(signal.SIGKILL)
    told, _ = process.communicate()
    whole_lines = told[: told.rfind("\n") + 1].splitlines()

    journal = HeadJournal(folder / "heads.journal")
    store = open_sqlite(folder / "ledger.sqlite3")
    try:
        note = journal.last()
        assert note is not None
        checkpoint = verify_checkpoint(note, ORIGIN, vkeys, required_vkeys=vkeys)
        entries = store.entries(0, 100_000)
        hashes = [leaf_hash_of(raw) for raw in entries]
        assert root_of(hashes[: checkpoint.size]) == checkpoint.root
        head = store.head()
        assert (head.size, head.root_hash) == (len(entries), root_of(hashes))
        check_head_against_journal(
            head, (parse_checkpoint(note).size, checkpoint.root), root_at=lambda size: root_of(hashes[:size])
        )
        for line in whole_lines:
            leaf_index, digest = line.split(" ")
            assert int(leaf_index) < checkpoint.size
            statement = parse_statement(read_entry(entries[int(leaf_index)]).envelope)
            assert statement.digest.hex() == digest
            assert store.vault_rows(statement.digest)
        for raw in entries:
            assert store.find_statement(parse_statement(read_entry(raw).envelope).digest) is not None
    finally:
        store.close()
        journal.close()
    return len(whole_lines)


def test_what_was_acknowledged_before_a_kill_is_there(tmp_path: Path) -> None:
    """Twice, at moments drawn with a seed; the torture run does it twenty times."""
    assert sum(_kill_once(tmp_path / str(seed), seed) for seed in range(2)) > 0


@pytest.mark.torture
def test_what_was_acknowledged_before_twenty_kills_is_there(tmp_path: Path) -> None:
    """Twenty times."""
    assert sum(_kill_once(tmp_path / str(seed), seed) for seed in range(20)) > 0
