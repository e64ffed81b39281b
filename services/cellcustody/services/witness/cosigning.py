"""Decide about one request to a witness: the rules of `transparency.witnessing` over the store.

The rules:

* What is decided outside the transaction is decided again inside it: only there the last head is known for certain.
* The time of a cosignature never goes back for one log, whatever the clock does, for it says "the largest tree seen".
* A cosignature of this witness over a larger tree than it remembers proves that its database was rolled back: it stops
  cosigning that log until somebody looks.
* A log that asks for what contradicts what was cosigned before is told so, and the request is kept as evidence.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.transparency import (
    CosignedHead,
    NoteSigner,
    add_cosignatures,
    check_submission,
    cosign,
    parse_add_checkpoint,
    parse_checkpoint,
    parse_cosignatures,
    parse_note,
    parse_vkey,
)
from cellcustody.ledger.transparency.errors import ConsistencyProofError, OriginUnknownError
from cellcustody.services.witness.configuration import WitnessedLog
from cellcustody.services.witness.store import Kept, WitnessRolledBackError, WitnessStore

__all__ = ["Witness"]

CONTRADICTIONS_KEPT_MAX: Final = 16  # Each is evidence enough; the log could send any number.


class Witness:
    """One witness of several logs; safe to use from many threads."""

    def __init__(
        self,
        store: WitnessStore,
        logs: Sequence[WitnessedLog],
        cosigners: Sequence[NoteSigner],
        *,
        now: Callable[[], int],
        contradicted: Callable[[str, bytes, bytes], None] = lambda origin, kept, submitted: None,
    ) -> None:
        """`now` is in Unix seconds; `contradicted` takes origin, the note kept and the note that contradicts it."""
        self._store = store
        self._logs: Mapping[str, WitnessedLog] = {log.origin: log for log in logs}
        self._cosigners = tuple(cosigners)
        self._own = {(key.name, key.id): key for key in (parse_vkey(one.vkey) for one in cosigners)}
        self._now = now
        self._contradicted = contradicted
        self._contradictions = 0
        self._stopped: dict[str, WitnessRolledBackError] = {}
        self._lock = threading.Lock()

    @property
    def vkeys(self) -> tuple[str, ...]:
        """The verifier keys of this witness."""
        return tuple(one.vkey for one in self._cosigners)

    @property
    def stopped(self) -> Mapping[str, WitnessRolledBackError]:
        """Why logs are not cosigned any more, by origin."""
        return dict(self._stopped)

    def latest(self, origin: str) -> Kept | None:
        """Returns what is kept of a log, None before its first cosignature."""
        return self._store.latest(origin)

    def origins(self) -> tuple[str, ...]:
        """Returns the logs that are witnessed here."""
        return tuple(self._logs)

    def add_checkpoint(self, raw: bytes) -> bytes:
        """Returns this witness's signature lines for what a log submits, after its head is durable.

        Raises:
            MalformedError: the request is not in its form, or its old size is above the checkpoint's (400).
            OriginUnknownError: no such log is witnessed here (404).
            NoteUnsignedError, NoteSignatureError, CheckpointUnsignedError: the log did not sign (403).
            WitnessStateError: another size was cosigned last (409).
            ConsistencyProofError, CheckpointRootError: it does not continue what was cosigned last (422).
            WitnessRolledBackError: this witness has cosigned more than it remembers.
            StoreError: nothing could be made durable.
        """
        request = parse_add_checkpoint(raw)
        submitted = parse_checkpoint(request.checkpoint)
        log = self._logs.get(submitted.origin)
        if log is None:
            raise OriginUnknownError("no such log is witnessed here", origin=submitted.origin)
        self._check_running(log.origin)
        note = parse_note(request.checkpoint)

        # Signatures and proofs take longer than anything else, and nothing that fails here can pass below.
        kept = self._store.latest(log.origin)
        self._check_own(request.checkpoint, log, kept)
        try:
            check_submission(request, log.origin, log.vkeys, None if kept is None else kept.head)
        except ConsistencyProofError:
            self._note_contradiction(log, kept, request.checkpoint, submitted.size)
            raise

        lines = b""

        def decide(last: Kept | None) -> Kept:
            nonlocal lines
            head = None if last is None else last.head
            checkpoint = check_submission(request, log.origin, log.vkeys, head)
            seconds = max(self._now(), 0 if last is None else last.cosigned_at)
            lines = cosign(note.text, self._cosigners, timestamp_seconds=seconds)
            known = self._verified_part(request.checkpoint, log)
            return Kept(
                CosignedHead(checkpoint.size, checkpoint.root),
                add_cosignatures(known, parse_cosignatures(lines)),
                seconds,
            )

        self._store.advance(log.origin, decide)
        return lines

    def _verified_part(self, checkpoint: bytes, log: WitnessedLog) -> bytes:
        """Returns the note with the signatures of the log's own keys alone: nobody vouches for the others."""
        note = parse_note(checkpoint)
        keys = {(key.name, key.id) for key in map(parse_vkey, log.vkeys)}
        by_log = [line for line in note.signatures if (line.name, line.key_id) in keys]
        return (note.text + "\n" + "".join(line.line() for line in by_log)).encode()

    def _check_running(self, origin: str) -> None:
        stopped = self._stopped.get(origin)
        if stopped is not None:
            raise stopped

    def _check_own(self, checkpoint: bytes, log: WitnessedLog, kept: Kept | None) -> None:
        """Stops cosigning a log that shows a cosignature of ours over a larger tree than is remembered."""
        note = parse_note(checkpoint)
        size = parse_checkpoint(checkpoint).size
        if kept is not None and size <= kept.head.size:
            return
        for line in note.signatures:
            key = self._own.get((line.name, line.key_id))
            if key is None:
                continue
            try:
                key.verify(note.text, line.signature)
            except CellcustodyError:
                continue  # Somebody's words under our name; the log's own signature decides about the rest.
            why = WitnessRolledBackError(
                "this witness has cosigned a larger tree than it remembers",
                origin=log.origin,
                size=size,
                remembered=0 if kept is None else kept.head.size,
            )
            self._stopped[log.origin] = why
            raise why

    def _note_contradiction(self, log: WitnessedLog, kept: Kept | None, submitted: bytes, size: int) -> None:
        with self._lock:
            if self._contradictions >= CONTRADICTIONS_KEPT_MAX:
                return
            self._contradictions += 1
        if kept is not None:
            self._contradicted(log.origin, kept.note, submitted)
