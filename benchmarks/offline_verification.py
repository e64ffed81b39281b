"""Verify an export offline, in a process of its own: `python -m benchmarks.offline_verification EXPORT DIGEST`.

The export is a file of frames, two for each entry of the log in order: the entry, and its openings. The registry is
replayed from the entries of its streams; then every entry is verified on both cores. Times do not include reading the
file. The answer, on standard output, is one JSON object: `signatures` and `seconds`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.frames import read_frames, write_frames
from cellcustody.clients.parallel_verification import verify_export
from cellcustody.ledger.entries import read_entry
from cellcustody.ledger.recording.ledger import Ledger
from cellcustody.ledger.recording.replaying import openings_of
from cellcustody.ledger.recording.sealing import decode_openings, encode_openings
from cellcustody.ledger.statements import StreamKind, parse_statement
from cellcustody.ledger.verification import EntryToVerify, replay_registry

__all__ = ["CORES", "write_export"]

CORES = 2
READ_AT_ONCE = 1000
_EVERY_CLASS = frozenset(range(1, 7))
_REGISTRY_KINDS = frozenset({StreamKind.REGISTRY, StreamKind.POLICY, StreamKind.SCHEMA})


def write_export(ledger: Ledger, path: Path) -> None:
    """Writes every entry of a ledger with all its openings."""

    def frames() -> Iterator[bytes]:
        size = ledger.checkpoint_size()
        for start in range(0, size, READ_AT_ONCE):
            for raw in ledger.entries(start, READ_AT_ONCE):
                digest = parse_statement(read_entry(raw).envelope).digest
                yield raw
                yield encode_openings(openings_of(ledger.store, ledger.vault, digest, _EVERY_CLASS))

    write_frames(path, frames())


def main() -> None:
    """Verifies the export named on the command line against the founding digest after it."""
    frames = read_frames(Path(sys.argv[1]))
    entries = [
        EntryToVerify(index, raw, tuple(decode_openings(openings)) or None)
        for index, (raw, openings) in enumerate(zip(frames[::2], frames[1::2], strict=True))
    ]
    of_registry = [
        one
        for one in entries
        if StreamKind(parse_statement(read_entry(one.entry).envelope).stream[0]) in _REGISTRY_KINDS
    ]
    started = time.perf_counter()
    registry = replay_registry(of_registry, bytes.fromhex(sys.argv[2]))
    report = verify_export(entries, registry, threads=CORES)
    seconds = time.perf_counter() - started
    print(json.dumps({"signatures": report.signatures, "seconds": seconds}))


if __name__ == "__main__":
    main()
