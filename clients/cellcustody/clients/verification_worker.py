"""Verify chunks of an export in a process of its own: `python -m cellcustody.clients.verification_worker`.

The rules:

* Standard input brings the number of leaves whose signatures were verified before, then the entries of the registry,
  then chunks; standard output takes one answer for each chunk, in order. A frame is a length of 8 bytes, big-endian,
  and as many bytes. Input is marshalled plain tuples; an answer is pickled, and read by the process that started this
  one alone.
* The registry is made again from its entries: nothing is taken over as verified.
* Whoever started this ends it by closing the pipe, or by dying: a worker never outlives its reader. It leaves the
  interrupt key to that process.
"""

from __future__ import annotations

import gc
import marshal
import pickle
import signal
import sys
from collections.abc import Sequence
from typing import IO, Final, cast

from cellcustody.ledger.statements import ClosedRecord, Opening
from cellcustody.ledger.verification import (
    CheckedStatement,
    DossierError,
    EntryToVerify,
    StatementVerifier,
    VerifiedChunk,
    replay_registry,
    verify_chunk,
)

__all__ = ["pack_chunk", "read_answer", "read_frame", "write_frame"]

_LENGTH_BYTES: Final = 8

_PackedRecord = tuple[int, bytes, bytes | None]
_PackedEntry = tuple[int, bytes, list[_PackedRecord] | None]


def write_frame(stream: IO[bytes], content: bytes) -> None:
    """Writes one frame, whole."""
    stream.write(len(content).to_bytes(_LENGTH_BYTES, "big"))
    stream.write(content)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Returns the next frame, or None where the stream has ended before or within one."""
    head = stream.read(_LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        return None
    length = int.from_bytes(head, "big")
    content = stream.read(length)
    return content if len(content) == length else None


def pack_chunk(chunk: Sequence[EntryToVerify]) -> bytes:
    """Returns entries as plain bytes; a closed record has no third member."""
    packed: list[_PackedEntry] = [
        (
            given.leaf_index,
            given.entry,
            None
            if given.records is None
            else [
                (one.index, one.salt, one.record) if isinstance(one, Opening) else (one.index, one.leaf_hash, None)
                for one in given.records
            ],
        )
        for given in chunk
    ]
    return marshal.dumps(packed, 2)  # From version 3 on equal objects are looked for, which takes longer.


def read_answer(content: bytes) -> VerifiedChunk:
    """Returns what a worker found of a chunk. `content` comes from a process that this one has started."""
    statements, defect = cast("tuple[list[tuple[object, ...]], DossierError | None]", pickle.loads(content))
    return VerifiedChunk([CheckedStatement._make(one) for one in statements], defect)


def main() -> None:
    """Answers until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    signed_before, entries = read_frame(requests), read_frame(requests)
    if signed_before is None or entries is None:
        return
    registry = replay_registry(_unpack_chunk(entries))
    verifier = StatementVerifier(
        registry.state, registry.leaf_indexes, keeps_bodies=False, signed_before=int.from_bytes(signed_before, "big")
    )
    gc.disable()  # A chunk's values hold one another in no circle, and all are let go with its answer.
    try:
        while (content := read_frame(requests)) is not None:
            statements, defect = verify_chunk(verifier, _unpack_chunk(content))
            answer = ([tuple(one) for one in statements], defect)
            write_frame(answers, pickle.dumps(answer, pickle.HIGHEST_PROTOCOL))
    except BrokenPipeError:
        sys.stderr.close()  # Nobody waits for the answer any more.


def _unpack_chunk(content: bytes) -> list[EntryToVerify]:
    packed = cast("list[_PackedEntry]", marshal.loads(content))
    return [
        EntryToVerify(
            leaf_index,
            entry,
            None
            if records is None
            else tuple(
                [
                    ClosedRecord(index, first) if record is None else Opening(index, first, record)
                    for index, first, record in records
                ]
            ),
        )
        for leaf_index, entry, records in packed
    ]


if __name__ == "__main__":
    main()
