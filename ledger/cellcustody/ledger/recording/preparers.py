"""Prepare statements of large batches in processes beside the one that records.

The rules:

* Preparing needs no state but public keys, which travel with each statement; so any process can do it, and the one
  interpreter that records has its time for judging.
* A process says of each statement whether it is right, and nothing else. What is not is prepared again here, so that
  its error is the exact one; what is right is parsed here without being held to the rules a second time.
* Processes are spawned, never forked, for gRPC's threads do not survive a fork. They end with this process, however
  it ends.
* Where they fail, everything is prepared here: slower, and no different.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final

from google.protobuf.message import DecodeError

from cellcustody.ledger.contract import body_type
from cellcustody.ledger.errors import CellcustodyError, RefusedError
from cellcustody.ledger.recording.prepared import Prepared, prepare
from cellcustody.ledger.statements import (
    KeyId,
    KeyLookup,
    Opening,
    parse_public_key,
    parse_recorded_statement,
)
from cellcustody.v1 import envelope_pb2

__all__ = ["BATCH_STATEMENTS_MIN", "Preparers", "end_with_parent", "prepared_elsewhere"]

BATCH_STATEMENTS_MIN: Final = 32  # Below this the way there and back costs more than it spares.
CHUNK_STATEMENTS: Final = 100  # The first are judged while the next are prepared.

_Packed = tuple[bytes, tuple[tuple[int, bytes, bytes], ...], tuple[bytes, ...]]


def end_with_parent() -> None:
    """Ends this process when the one that spawned it has ended, even by a kill."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        parent.join()
        os._exit(0)

    threading.Thread(target=follow, name="cellcustody-follow", daemon=True).start()


def _check(chunk: Sequence[_Packed]) -> list[bool]:
    """Returns for each statement whether it is right."""
    return [_is_right(*packed) for packed in chunk]


def _is_right(envelope: bytes, openings: tuple[tuple[int, bytes, bytes], ...], keys: tuple[bytes, ...]) -> bool:
    try:
        known = {key.key_id: key for key in map(parse_public_key, keys)}
        prepare(envelope, tuple(Opening(*opening) for opening in openings), known.get)
    except CellcustodyError:
        return False
    return True


class Preparers:
    """The processes; a context of its owner's, closed with the ledger. Safe to use from many threads."""

    def __init__(self, processes: int) -> None:
        """Spawns nothing yet: the first batch does."""
        self._pool: ProcessPoolExecutor | None = ProcessPoolExecutor(
            processes, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent
        )

    def check(
        self, statements: Sequence[tuple[bytes, tuple[Opening, ...]]], key_lookup: KeyLookup
    ) -> Iterator[list[bool]]:
        """Yields, chunk by chunk and in order, whether each statement is right; False: it must be found out here."""
        chunks = [statements[at : at + CHUNK_STATEMENTS] for at in range(0, len(statements), CHUNK_STATEMENTS)]
        futures: list[Future[list[bool]] | None] = [
            self._submitted([_packed(envelope, openings, key_lookup) for envelope, openings in chunk])
            for chunk in chunks
        ]
        for chunk, future in zip(chunks, futures, strict=True):
            yield self._answer(chunk, future)

    def close(self) -> None:
        """Ends the processes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _submitted(self, chunk: list[_Packed]) -> Future[list[bool]] | None:
        pool = self._pool
        try:
            return None if pool is None else pool.submit(_check, chunk)
        except (BrokenProcessPool, RuntimeError):
            return None

    def _answer(
        self, chunk: Sequence[tuple[bytes, tuple[Opening, ...]]], future: Future[list[bool]] | None
    ) -> list[bool]:
        if future is not None:
            try:
                return future.result()
            except BrokenProcessPool:
                self.close()
        return [False] * len(chunk)


def _packed(envelope: bytes, openings: tuple[Opening, ...], key_lookup: KeyLookup) -> _Packed:
    """Returns a statement as it travels, with the keys that its hints lead to; without keys it is right nowhere."""
    keys: list[bytes] = []
    try:
        for signature in envelope_pb2.Envelope.FromString(envelope).signatures:
            key = key_lookup(KeyId(bytes.fromhex(signature.keyid)))
            if key is not None:
                keys.append(key.spki)
    except (DecodeError, ValueError):
        keys.clear()
    return envelope, tuple((one.index, one.salt, one.record) for one in openings), tuple(keys)


def prepared_elsewhere(envelope: bytes, openings: tuple[Opening, ...]) -> Prepared:
    """Returns a statement that another process found right.

    Raises:
        RefusedError: it is none after all.
    """
    statement = parse_recorded_statement(envelope)
    found = body_type(statement.header.body_type) if statement.header.body_type else None
    if found is None:
        return Prepared(statement, None, None, ())
    try:
        body = found.message_class.FromString(b"".join(opening.record for opening in openings))
    except DecodeError as defect:
        raise RefusedError("a body does not parse", body_type=found.name) from defect
    return Prepared(statement, found, body, openings)
