"""Audit a whole log as an auditor does: `cellcustody audit FOLDER`, in a process of its own.

The log is written as the files that its HTTP server would give. Times are the audit's own, of the verification alone:
the entries have been read once before, and files are in the page cache, as they are for the raw signatures.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from cellcustody.ledger.recording.ledger import Ledger
from cellcustody.ledger.transparency import bundle_path, tile_path
from cellcustody.ledger.transparency.tiles import TILE_HEIGHT, TILE_WIDTH, tile_width
from cellcustody.services.append_core import write_closed, write_openings
from cellcustody.v1 import ledger_service_pb2

__all__ = ["audit_rate", "write_log_files"]

AUDIT_TIMEOUT_SECONDS: Final = 300


def write_log_files(ledger: Ledger, folder: Path) -> None:
    """Writes everything that the log gives by HTTP under the same paths."""
    size = ledger.checkpoint_size()
    files: dict[str, bytes] = {"checkpoint": ledger.checkpoint()}
    level = 0
    while count := size >> (TILE_HEIGHT * level):
        for index in range(-(-count // TILE_WIDTH)):
            width = tile_width(level, index, size)
            files[tile_path(level, index, width)] = ledger.tile(level, index, width)
            if level == 0:
                files[bundle_path(index, width)] = ledger.entry_bundle(index, width)
        level += 1
    for leaf_index in range(size):
        openings, closed = ledger.public_records(leaf_index)
        if openings:
            files[f"openings/{leaf_index}"] = ledger_service_pb2.GetEntryResponse(
                leaf_index=leaf_index, openings=write_openings(openings), closed=write_closed(closed)
            ).SerializeToString()
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def audit_rate(folder: Path, anchor: Path) -> float:
    """Returns the signatures verified a second by one audit of a folder.

    Raises:
        RuntimeError: the log does not verify.
    """
    done = subprocess.run(
        [sys.executable, "-m", "cellcustody.clients.cli.main", "audit", str(folder), "--anchor", str(anchor), "--json"],
        capture_output=True,
        text=True,
        timeout=AUDIT_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the log does not verify: {done.stderr[-2000:]}")
    answer = json.loads(done.stdout)
    return float(answer["signatures_verified"]) * 1000 / float(answer["milliseconds"])
