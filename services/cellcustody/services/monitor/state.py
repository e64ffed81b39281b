"""Keep what a monitor knows: its copy of the log, the last checkpoint believed, what others showed, what was found.

    copy.sqlite, copy-keys.sqlite, copy.key     the copy, with what is open of bodies, sealed under a key beside it
    believed.checkpoint                         the last checkpoint of the log that was found right
    gossip/<digest>.checkpoint                  what others showed of trees that are larger than the copy
    findings.jsonl                              everything that was found false, one JSON object a line; never rewritten
    forks/<digest>.json                         proofs of forks

The folder is open to its owner alone. What is in it is worth what the bodies are worth that the monitor may read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cellcustody.ledger.errors import ConfigurationError
from cellcustody.ledger.recording.cosigned import write_durably
from cellcustody.ledger.replica import Replica
from cellcustody.ledger.store import KeyStore, Vault, open_sqlite, read_master_key, write_new_master_key

__all__ = ["MonitorState", "monitor_state"]


@dataclass(frozen=True, slots=True)
class MonitorState:
    """The open folder of one monitor of one log."""

    folder: Path
    replica: Replica

    @property
    def believed(self) -> bytes | None:
        """The last checkpoint that was found right."""
        path = self.folder / "believed.checkpoint"
        return path.read_bytes() if path.exists() else None

    def believe(self, checkpoint: bytes) -> None:
        """Keeps a checkpoint that was found right."""
        write_durably(self.folder / "believed.checkpoint", checkpoint)

    def findings(self) -> list[dict[str, object]]:
        """Returns everything that was found false until now."""
        path = self.folder / "findings.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def keep_finding(self, finding: Mapping[str, object]) -> bool:
        """Keeps a finding, durably; tells whether it is new."""
        kept = {name: value for name, value in finding.items() if name != "found_at"}
        if any({name: value for name, value in one.items() if name != "found_at"} == kept for one in self.findings()):
            return False
        with (self.folder / "findings.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(finding) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        return True

    def keep_fork(self, proof: bytes) -> Path:
        """Keeps a proof of a fork; returns where."""
        folder = self.folder / "forks"
        folder.mkdir(exist_ok=True)
        path = folder / f"{sha256(proof).hexdigest()[:32]}.json"
        write_durably(path, proof)
        return path

    def gossip(self) -> list[tuple[Path, bytes, float]]:
        """Returns what others showed and is not settled: file, checkpoint, and since when (Unix seconds)."""
        folder = self.folder / "gossip"
        if not folder.exists():
            return []
        return [(path, path.read_bytes(), path.stat().st_mtime) for path in sorted(folder.glob("*.checkpoint"))]

    def keep_gossip(self, checkpoint: bytes, *, at: float) -> None:
        """Keeps what others showed until the copy is as large; `at` is when, in Unix seconds."""
        folder = self.folder / "gossip"
        folder.mkdir(exist_ok=True)
        path = folder / f"{sha256(checkpoint).hexdigest()[:32]}.checkpoint"
        if not path.exists():
            write_durably(path, checkpoint)
            os.utime(path, (at, at))


@contextmanager
def monitor_state(folder: Path) -> Iterator[MonitorState]:
    """Yields the state in a folder, which is made if it is not there.

    Raises:
        ConfigurationError: the folder cannot be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as defect:
        raise ConfigurationError("the state's folder cannot be made", value=folder, cause=defect.strerror) from defect
    key = folder / "copy.key"
    if not key.exists():
        write_new_master_key(key)
    keys = KeyStore(folder / "copy-keys.sqlite", read_master_key(key), random_bytes=os.urandom)
    try:
        store = open_sqlite(folder / "copy.sqlite")
        try:
            yield MonitorState(folder, Replica(store, Vault(keys, random_bytes=os.urandom)))
        finally:
            store.close()
    finally:
        keys.close()
