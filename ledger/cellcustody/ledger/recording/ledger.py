"""A ledger that records in this process: its writer, its publisher, and the judge between them.

The rules:

* Opening refuses a store that is not what the last checkpoint said: older, of another history, or without its journal.
* A submission is judged and committed by the writer, and answered by the publisher: acknowledged means durable, in
  the log, and under a signed and journalled checkpoint.
* Once the ledger has stopped, it records nothing more, keeps reading, and says why.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from cellcustody.ledger.errors import CellcustodyError, ConfigurationError, RefusedError
from cellcustody.ledger.recording.answers import (
    Assessment,
    BeyondCheckpointError,
    EntryView,
    OutcomeUnknownError,
    Recorded,
    Submission,
)
from cellcustody.ledger.recording.batches import Refusals
from cellcustody.ledger.recording.face import Call, LedgerFace, TilesOfStore, Waiting
from cellcustody.ledger.recording.judging import LedgerJudge
from cellcustody.ledger.recording.ledger_statements import LedgerVoice
from cellcustody.ledger.recording.opening import open_registry, verified_last_checkpoint
from cellcustody.ledger.recording.prepared import Prepared
from cellcustody.ledger.recording.preparers import prepared_elsewhere
from cellcustody.ledger.recording.publisher import LogKeys, Published, Publisher
from cellcustody.ledger.recording.writer import Member, MemberOutcome, Writer
from cellcustody.ledger.statements import Signer
from cellcustody.ledger.store import (
    HeadJournal,
    LedgerStore,
    Vault,
    WitnessedHead,
    check_head_against_journal,
    check_head_against_witnesses,
)
from cellcustody.ledger.transparency import NoteSigner, RightEdge, build_log_proof

__all__ = [
    "Assessment",
    "BeyondCheckpointError",
    "EntryView",
    "Ledger",
    "LedgerParts",
    "OutcomeUnknownError",
    "Recorded",
    "Submission",
]


@dataclass(frozen=True, slots=True)
class LedgerParts:
    """What a ledger is made of. `now` is in microseconds since 1970-01-01T00:00:00Z."""

    store: LedgerStore
    vault: Vault
    journal: HeadJournal
    log_origin: str
    log_signers: tuple[NoteSigner, ...]
    service_signer: Signer
    service_device: bytes
    now: Callable[[], int]
    random_bytes: Callable[[int], bytes] = field(default=os.urandom)
    preparing_processes: int = 0
    """How many processes verify and open the statements of large batches; 0: this one does."""
    answered: Callable[[], None] = field(default=lambda: None)
    """Called in the publisher's thread after all that one checkpoint covers was answered."""
    witnessed: Callable[[], Sequence[WitnessedHead]] = field(default=lambda: ())
    """Asked once at start: what others have seen of this log, against a store that is older."""
    replaces_log_keys: bool = False
    """A log key is lost: what was committed before is published with the first group, under the keys then in force."""
    has_writing_thread: bool = True
    """False: whoever opens the ledger lends its own thread and calls `record_waiting`."""


class Ledger(LedgerFace):
    """One ledger, open for writing and reading. Close it, or use it as a context manager."""

    def __init__(self, parts: LedgerParts) -> None:
        """Opens the ledger: checks the store against the journal, resumes registry and tree, starts its threads.

        Raises:
            StoreRolledBackError, StoreForkedError, JournalMissingError: the store is not what the journal, or a
                witness, says.
            ConfigurationError: a log key in force has no signer here.
        """
        self._parts = parts
        self._stopped: CellcustodyError | None = None
        head = parts.store.start_writer()
        super().__init__(
            parts.store,
            parts.vault,
            open_registry(parts.store, parts.vault),
            LedgerVoice(parts.service_signer, parts.service_device, parts.random_bytes),
            now=parts.now,
            preparing_processes=parts.preparing_processes,
        )
        last = verified_last_checkpoint(parts.journal, self.registry, parts.log_origin, parts.log_signers)
        check_head_against_journal(
            head, None if last is None else (last.head.size, last.head.root_hash), root_at=self._tree.root
        )
        check_head_against_witnesses(head, parts.witnessed(), root_at=self._tree.root)
        published_size = 0 if last is None else last.head.size
        reader = TilesOfStore(parts.store)
        vkeys = frozenset(signer.vkey for signer in parts.log_signers)
        judge = LedgerJudge(parts.store, parts.vault, self.registry, self._voice, packs=self._packs, log_vkeys=vkeys)
        self._publisher = Publisher(
            parts.store,
            parts.journal,
            RightEdge.resume(reader, published_size, older=self._tree),
            last,
            keys_at=self._log_keys_at,
            now=parts.now,
            answer=self._answer,
            answered=parts.answered,
            stop=self._stop,
        )
        self._writer = Writer(
            parts.store,
            parts.vault,
            judge,
            RightEdge.resume(reader, head.size, older=self._tree),
            now=parts.now,
            publish=self._publisher.put,
            stop=self._stop,
        )
        if head.size > published_size and not parts.replaces_log_keys:
            # A crash came between commit and checkpoint: what is durable is published now.
            self._publisher.publish(head)
        self._publisher.start()
        if parts.has_writing_thread:
            self._writer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Records and publishes what waits, then ends the threads; store, journal and keys stay open."""
        self._writer.close()
        self._publisher.close()
        super().close()

    @property
    def stopped(self) -> str | None:
        """Why the ledger has stopped recording, or None while it records."""
        return None if self._stopped is None else str(self._stopped)

    @property
    def why_stopped(self) -> CellcustodyError | None:
        """The error after which the ledger stopped recording, or None while it records."""
        return self._stopped

    @property
    def published(self) -> Published | None:
        """The last signed head, or None before the founding."""
        return self._publisher.last

    def wait_for_checkpoint_beyond(self, size: int, timeout_seconds: float) -> None:
        """Returns when a checkpoint beyond `size` is out, or the time is up."""
        self._publisher.wait_beyond(size, timeout_seconds)

    def put(self, members: Sequence[Member]) -> None:
        """Queues members in order; each is answered through its `done`.

        Raises:
            LedgerStoppedError, LedgerBusyError: nothing of `members` was queued.
        """
        self._writer.put(members)

    @property
    def waiting(self) -> int:
        """How many members wait to be recorded."""
        return self._writer.waiting

    def record_waiting(self) -> int:
        """Records one group of what waits in the calling thread, and returns how many members it had.

        Only for a ledger without a writing thread of its own.
        """
        return self._writer.record_waiting()

    def _call(self, waiting: Waiting, *, with_receipts: bool) -> Call:
        return _LocalCall(self._writer, waiting, with_receipts)

    def _answer(self, outcomes: Sequence[tuple[Member, MemberOutcome]], edge: RightEdge, checkpoint: bytes) -> None:
        """Tells submitters what became of their statements; called in the publisher's thread."""
        for member, outcome in outcomes:
            receipt: bytes | None = None
            if member.wants_receipt:
                try:
                    proof = edge.inclusion_proof(outcome.leaf_index)
                except CellcustodyError as failure:
                    member.done(failure)  # It is recorded and published; only the proof of it could not be made.
                    continue
                receipt = build_log_proof(outcome.leaf_index, proof, checkpoint)
            member.done(
                Recorded(
                    position=outcome.leaf_index + 1,
                    statement_digest=outcome.statement_digest,
                    judgement=outcome.judgement,
                    explained=outcome.explained,
                    receipt=receipt,
                    already_recorded=outcome.already_recorded,
                    holds_opened=outcome.holds_opened,
                )
            )

    def halt(self, why: CellcustodyError) -> None:
        """Stops recording for good; reads go on."""
        self._stop(why)

    def _stop(self, why: CellcustodyError) -> None:
        self._stopped = self._stopped or why
        self._writer.halt(why)

    def _log_keys_at(self, size: int) -> LogKeys:
        keys = self.registry.as_of(size).log_keys
        signers = {signer.vkey: signer for signer in self._parts.log_signers}
        wanted = tuple(signers) if keys is None else keys.signing(size)
        missing = [vkey for vkey in wanted if vkey not in signers]
        if missing:
            raise ConfigurationError("a log key in force has no signer here", vkeys=" ".join(missing))
        return LogKeys(self._parts.log_origin, tuple(signers[vkey] for vkey in wanted))


class _LocalCall:
    """The way of one call's statements to the writer of this process."""

    def __init__(self, writer: Writer, waiting: Waiting, with_receipts: bool) -> None:
        self._writer = writer
        self._waiting = waiting
        self._with_receipts = with_receipts
        self._refusals = Refusals()

    def refuse(self, digest: bytes) -> None:
        """Notes one that was refused while it was prepared."""
        self._refusals.add(digest)

    def put(self, items: Sequence[tuple[int, Submission, Prepared | None]], *, is_last: bool) -> None:
        """Queues statements for the writer."""
        members: list[Member] = []
        for index, submission, found in items:
            try:
                prepared = found or prepared_elsewhere(submission.envelope, submission.openings)
            except RefusedError as refusal:
                self._waiting.give(index, refusal)
                continue
            members.append(self._member(prepared, submission.submitting_site, index))
        self._writer.put(members)

    def _member(self, prepared: Prepared, submitting_site: bytes, index: int) -> Member:
        def done(result: object) -> None:
            if isinstance(result, Recorded | CellcustodyError):
                self._waiting.give(index, result)

        return Member(prepared, submitting_site, done, self._with_receipts, self._refusals)
