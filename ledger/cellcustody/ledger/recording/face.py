"""The ledger as the rest of the system sees it: submit, assess, read, prove; whichever process records.

The rules:

* A submission is prepared in the caller's thread, and answered when it is under a signed and journalled checkpoint.
* What a checkpoint does not cover is not given out: neither entry nor proof nor tile.
* Where witnesses are asked, the newest checkpoint that a quorum cosigned is shown, and receipts stand under it as far
  as it reaches (`cosigned`).
* Reads need no writer: they come from the store, and go on when the ledger has stopped recording.
* An assessment judges against what is committed when it is asked, and leaves nothing behind.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeAlias

from cellcustody.ledger.contract import BODIES, DisclosureClass
from cellcustody.ledger.custody.act import Judged, Status
from cellcustody.ledger.entries import JudgedEntry, read_entry
from cellcustody.ledger.errors import (
    CellcustodyError,
    ConfigurationError,
    FormRefusedError,
    NotFoundError,
    RefusedError,
)
from cellcustody.ledger.recording.answers import (
    Assessment,
    BeyondCheckpointError,
    EntryView,
    OutcomeUnknownError,
    Recorded,
    Submission,
)
from cellcustody.ledger.recording.batches import digest_of_envelope
from cellcustody.ledger.recording.cosigned import Cosigned
from cellcustody.ledger.recording.judging import LedgerJudge
from cellcustody.ledger.recording.ledger_statements import LedgerVoice
from cellcustody.ledger.recording.packs import Packs
from cellcustody.ledger.recording.planning import RuleRefusedError, RuleRefusedRetryableError
from cellcustody.ledger.recording.prepared import Prepared, prepare, prepare_parsed
from cellcustody.ledger.recording.preparers import BATCH_STATEMENTS_MIN, Preparers
from cellcustody.ledger.recording.publisher import Published
from cellcustody.ledger.recording.replaying import latest_judgements, openings_of
from cellcustody.ledger.recording.shown_records import closed_records
from cellcustody.ledger.recording.stored_tiles import TilesOfStore
from cellcustody.ledger.registry.founding import founding_keys
from cellcustody.ledger.registry.state import RegistryState
from cellcustody.ledger.statements import (
    ClosedRecord,
    KeyId,
    KeyLookup,
    Opening,
    ParsedStatement,
    PayloadType,
    PublicKey,
    StreamKind,
    encode_envelope,
    parse_statement,
    partial_body,
    single_stream_id,
)
from cellcustody.ledger.statements.envelope import EnvelopeSignature
from cellcustody.ledger.store import LedgerStore, Vault
from cellcustody.ledger.transparency import TileTree, build_log_proof, encode_bundle, tile_width
from cellcustody.v1 import heads_pb2, registry_pb2, timestamps_pb2

__all__ = ["Call", "LedgerFace", "TilesOfStore", "Waiting"]

OwnWord: TypeAlias = registry_pb2.ExportMade | heads_pb2.HeadsMapped | timestamps_pb2.TimeEvidenceRecorded
"""What the ledger itself says in its own stream."""

_ALL_CLASSES: Final = frozenset(range(1, 7))
_REVISED_KINDS: Final = frozenset(
    {StreamKind.THERAPY, StreamKind.CONSIGNMENT, StreamKind.LOT, StreamKind.SITE, StreamKind.EQUIPMENT}
)


class Latch:
    """Opened once and waited for by one thread: a bare lock, for an event makes three of them for each append."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Opens it, once."""
        self._lock.release()

    def wait(self, timeout_seconds: float) -> bool:
        """Returns whether it is open, when it is or the time is up."""
        if not self._lock.acquire(timeout=timeout_seconds):
            return False
        self._lock.release()
        return True


@dataclass(slots=True)
class Waiting:
    """A caller waiting for its members; filled from the writer's and the publisher's threads."""

    count: int
    results: list[Recorded | CellcustodyError | None]
    event: Latch = field(default_factory=Latch)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def give(self, index: int, result: Recorded | CellcustodyError) -> None:
        """Notes one result; the first one counts."""
        with self.lock:
            if self.results[index] is not None:
                return
            self.results[index] = result
            self.count -= 1
            done = self.count == 0
        if done:
            self.event.set()


class Call(Protocol):
    """The statements of one call on their way to whoever records them, in order."""

    def refuse(self, digest: bytes) -> None:
        """Notes one that was refused while it was prepared, for those after it that name it."""

    def put(self, items: Sequence[tuple[int, Submission, Prepared | None]], *, is_last: bool) -> None:
        """Sends statements on, each with its index in the call; without `Prepared` another process found it right.

        Raises:
            LedgerStoppedError, LedgerBusyError: nothing of these was taken.
        """


class LedgerFace(ABC):
    """One ledger, open. What records it is behind `_call`."""

    def __init__(
        self,
        store: LedgerStore,
        vault: Vault,
        registry: RegistryState,
        voice: LedgerVoice,
        *,
        now: Callable[[], int],
        preparing_processes: int,
    ) -> None:
        """`now` is in microseconds since 1970-01-01T00:00:00Z; no preparing processes means this one prepares."""
        self.store: LedgerStore = store
        self.vault: Vault = vault
        self.registry: RegistryState = registry
        self._voice = voice
        self._now = now
        self._packs = Packs(registry)
        self._tree = TileTree(TilesOfStore(store))
        self._preparers = Preparers(preparing_processes) if preparing_processes else None
        self.cosigned = Cosigned()
        """The newest checkpoint that a quorum of witnesses cosigned; set anew by whoever gathers cosignatures."""

    @property
    @abstractmethod
    def stopped(self) -> str | None:
        """Why the ledger has stopped recording, or None while it records."""

    @property
    @abstractmethod
    def published(self) -> Published | None:
        """The last signed head, or None before the founding."""

    @abstractmethod
    def wait_for_checkpoint_beyond(self, size: int, timeout_seconds: float) -> None:
        """Returns when a checkpoint beyond `size` is out, or the time is up."""

    @abstractmethod
    def halt(self, why: CellcustodyError) -> None:
        """Stops recording for good; reads go on."""

    @abstractmethod
    def _call(self, waiting: Waiting, *, with_receipts: bool) -> Call:
        """Returns the way of one call's statements to whoever records them."""

    def close(self) -> None:
        """Ends the processes that prepare."""
        if self._preparers is not None:
            self._preparers.close()

    # Writing. ------------------------------------------------------------------------------------------------------

    def key_lookup(self, key_id: KeyId) -> PublicKey | None:
        """Returns a key that was enrolled at any time; its state is judged by position, later."""
        return self.registry.public_key(key_id)

    def submit(self, submission: Submission, *, timeout_seconds: float, with_receipt: bool = True) -> Recorded:
        """Records one statement and waits until it is under a signed checkpoint.

        Raises:
            RefusedError: it was not recorded; the leaf class says why.
            OutcomeUnknownError: the time is up; send the same statement again.
            LedgerStoppedError: the ledger has stopped recording.
        """
        prepared = self.prepare(submission)
        waiting = Waiting(1, [None])
        self._call(waiting, with_receipts=with_receipt).put([(0, submission, prepared)], is_last=True)
        if not waiting.event.wait(timeout_seconds):
            raise _unknown_after(timeout_seconds)
        result = waiting.results[0]
        if isinstance(result, Recorded):
            return result
        raise result or _unknown_after(timeout_seconds)

    def submit_many(
        self, submissions: Sequence[Submission], *, timeout_seconds: float, with_receipts: bool = True
    ) -> list[Recorded | RefusedError]:
        """Records statements in order, each with its own result, and waits for all.

        Raises:
            OutcomeUnknownError: the time is up; send the same statements again.
            LedgerStoppedError: the ledger has stopped recording.
        """
        waiting = Waiting(len(submissions), [None] * len(submissions))
        call = self._call(waiting, with_receipts=with_receipts)
        index = 0
        is_any_put = False
        for is_right in self._checked(submissions):
            items: list[tuple[int, Submission, Prepared | None]] = []
            for right in is_right:
                submission = submissions[index]
                try:
                    items.append((index, submission, None if right else self.prepare(submission)))
                except RefusedError as refusal:
                    waiting.give(index, refusal)
                    digest = digest_of_envelope(submission.envelope)
                    if digest is not None:
                        call.refuse(digest)
                index += 1
            if items or is_any_put:
                call.put(items, is_last=index == len(submissions))
                is_any_put = True
        if is_any_put and not waiting.event.wait(timeout_seconds):
            raise _unknown_after(timeout_seconds)
        results: list[Recorded | RefusedError] = []
        for result in waiting.results:
            if isinstance(result, Recorded | RefusedError):
                results.append(result)
            elif result is not None:
                raise result
        return results

    def _checked(self, submissions: Sequence[Submission]) -> Iterable[list[bool]]:
        """Returns, in order and in chunks, which submissions other processes found right already."""
        if self._preparers is None or len(submissions) < BATCH_STATEMENTS_MIN:
            return [[False] * len(submissions)]
        return self._preparers.check([(one.envelope, one.openings) for one in submissions], self.key_lookup)

    def prepare(self, submission: Submission) -> Prepared:
        """Returns a submission whose bytes, signatures, form and body are right.

        Raises:
            FormRefusedError, SignatureRefusedError: they are not.
        """
        return prepare(submission.envelope, submission.openings, self._lookup_for(submission))

    def _lookup_for(self, submission: Submission) -> KeyLookup:
        if self.registry.latest.founding is not None or not submission.openings:
            return self.key_lookup
        # Before the founding nobody is known: the founding statement is verified with the keys that it names itself.
        try:
            body = partial_body(registry_pb2.LedgerFounded, submission.openings)
        except FormRefusedError:
            return self.key_lookup
        return founding_keys(body).get

    def record_own(self, body: OwnWord, *, timeout_seconds: float) -> Recorded:
        """Records what the ledger itself says, such as that an export was made, in the log's own stream."""
        view = self.registry.latest
        if view.schema is None:
            raise ConfigurationError("the ledger is not founded")
        size = self.store.head().size
        said = self._voice.say(
            body,
            ledger_id=view.ledger_id,
            stream=single_stream_id(StreamKind.LOG),
            schema_digest=view.schema.digest,
            leaf_index=size,
            now=self._now(),
        )
        submission = Submission(said.statement.envelope.raw, said.openings, b"")
        return self.submit(submission, timeout_seconds=timeout_seconds)

    def assess(
        self, payload: bytes, payload_type: str, openings: Sequence[Opening], *, submitting_site: bytes
    ) -> Assessment:
        """Returns what the ledger would find if this statement arrived now, signed; writes nothing."""
        position = self.store.head().size
        judge = LedgerJudge(self.store, self.vault, self.registry, self._voice, packs=self._packs, is_trial=True)
        try:
            prepared = prepare_parsed(parse_statement(_unsigned(payload, payload_type)), openings)
            plan = judge.assess(prepared, submitting_site, leaf_index=position, now=self._now())
        except RefusedError as refusal:
            told = refusal.findings if isinstance(refusal, RuleRefusedError | RuleRefusedRetryableError) else ()
            return Assessment(None, told, refusal, position, 0)
        needed = judge.co_signers_needed(prepared)
        return Assessment(plan.entries[0].judgement, plan.explained, None, position, needed)

    # Reading. ------------------------------------------------------------------------------------------------------

    def checkpoint(self) -> bytes:
        """Returns the last signed checkpoint, or the last that witnesses cosigned where some are asked.

        Raises:
            BeyondCheckpointError: nothing has been signed yet.
        """
        return self.cosigned.to_show(self._last()).checkpoint

    def checkpoint_over(self, size: int, *, wait_seconds: float) -> bytes:
        """Returns a checkpoint over at least `size` leaves, cosigned if that comes within the time."""
        if self.cosigned.is_gathering:
            witnessed = self.cosigned.wait(size, wait_seconds)
            if witnessed is not None:
                return witnessed.checkpoint
        return self._last().checkpoint

    def checkpoint_size(self) -> int:
        """Returns the tree size of the last signed checkpoint; 0 before the founding."""
        last = self.published
        return 0 if last is None else last.head.size

    def _last(self) -> Published:
        last = self.published
        if last is None:
            raise BeyondCheckpointError("nothing has been signed yet")
        return last

    def receipt(self, leaf_index: int) -> bytes:
        """Returns the tlog-proof of an entry under the last checkpoint that witnesses cosigned, else under the last.

        Raises:
            BeyondCheckpointError: no checkpoint covers it.
        """
        last = self._last()
        if not 0 <= leaf_index < last.head.size:
            raise BeyondCheckpointError("no checkpoint covers the entry", leaf_index=leaf_index, size=last.head.size)
        cosigned = self.cosigned.newest
        return self._receipt_under(
            leaf_index, last if cosigned is None or cosigned.head.size <= leaf_index else cosigned
        )

    def witnessed_receipt(self, leaf_index: int, *, timeout_seconds: float) -> bytes | None:
        """Returns the tlog-proof of an entry under a checkpoint that witnesses cosigned, None if the time is up."""
        witnessed = self.cosigned.wait(leaf_index + 1, timeout_seconds)
        return None if witnessed is None else self._receipt_under(leaf_index, witnessed)

    def _receipt_under(self, leaf_index: int, published: Published) -> bytes:
        proof = self._tree.inclusion_proof(leaf_index, published.head.size)
        return build_log_proof(leaf_index, proof, published.checkpoint)

    def root(self, size: int) -> bytes:
        """Returns the root of the first `size` leaves, as the stored tiles make it."""
        return self._tree.root(size)

    def consistency_proof(self, first_size: int, second_size: int = 0) -> tuple[list[bytes], int, bytes]:
        """Returns the proof between two sizes, the second size (0: the last checkpoint's) and the last checkpoint.

        Raises:
            BeyondCheckpointError: no checkpoint covers the second size.
            ConsistencyProofError: the sizes admit no proof.
        """
        last = self._last()
        second = second_size or last.head.size
        if second > last.head.size:
            raise BeyondCheckpointError("no checkpoint covers that size", size=second, signed=last.head.size)
        return self._tree.consistency_proof(first_size, second), second, last.checkpoint

    def tile(self, level: int, index: int, width: int) -> bytes:
        """Returns a hash tile of exactly that width.

        Raises:
            BeyondCheckpointError: no checkpoint covers it.
        """
        size = self.checkpoint_size()
        if width > tile_width(level, index, size):
            raise BeyondCheckpointError("no checkpoint covers the tile", level=level, index=index, width=width)
        return (self.store.tile(level, index) or b"")[: width * 32]

    def entry_bundle(self, index: int, width: int) -> bytes:
        """Returns a bundle of `width` entries.

        Raises:
            BeyondCheckpointError: no checkpoint covers it.
        """
        if width > tile_width(0, index, self.checkpoint_size()):
            raise BeyondCheckpointError("no checkpoint covers the bundle", index=index, width=width)
        return encode_bundle(self.store.entries(index * 256, width))

    def entries(self, start: int, limit: int) -> list[bytes]:
        """Returns up to `limit` entries from leaf index `start` on, as far as a checkpoint covers them."""
        return self.store.entries(start, max(0, min(limit, self.checkpoint_size() - start)))

    def public_records(self, leaf_index: int) -> tuple[list[Opening], list[ClosedRecord]]:
        """Returns the records of an entry's body: those that anyone may have open, the others closed.

        Raises:
            BeyondCheckpointError, EntryNotFoundError: there is no such entry.
        """
        if leaf_index >= self.checkpoint_size():
            raise BeyondCheckpointError("no checkpoint covers the entry", leaf_index=leaf_index)
        statement = parse_statement(read_entry(self.store.entry(leaf_index)).envelope)
        body = BODIES.get(statement.header.body_type)
        if body is None:
            return [], []
        there = openings_of(self.store, self.vault, statement.digest, _ALL_CLASSES)
        numbers = statement.commitment.field_numbers
        shown = [one for one in there if body.classes[numbers[one.index]] is DisclosureClass.PUBLIC]
        return shown, self.closed_records(statement, there, shown)

    def closed_records(
        self, statement: ParsedStatement, there: Sequence[Opening], shown: Sequence[Opening]
    ) -> list[ClosedRecord]:
        """Returns the records of a body that are not shown, by leaf hash; `there` are all openings that are left."""
        return closed_records(self.store, statement, there, {one.index for one in shown})

    def read_entry(
        self,
        *,
        leaf_index: int | None = None,
        statement_id: bytes | None = None,
        statement_digest: bytes | None = None,
    ) -> EntryView:
        """Returns one entry, named in one of three ways, with everything of its body that is still there.

        Raises:
            NotFoundError: there is no such entry.
        """
        index = leaf_index
        if index is None:
            found = (
                self.store.find_statement(statement_digest)
                if statement_digest is not None
                else self.store.find_statement_by_id(statement_id or b"")
            )
            if found is None:
                raise NotFoundError(
                    "no such statement is recorded", statement_id=statement_id, statement_digest=statement_digest
                )
            index = found.leaf_index
        raw = self.store.entry(index)
        entry = read_entry(raw)
        statement = parse_statement(entry.envelope)
        openings = (
            openings_of(self.store, self.vault, statement.digest, _ALL_CLASSES)
            if statement.header.body_type in BODIES
            else []
        )
        return EntryView(
            index,
            statement.stream,
            raw,
            tuple(openings),
            self._latest_judgement(statement.stream, statement.digest, entry.judgement),
        )

    def _latest_judgement(self, stream: bytes, digest: bytes, at_entry: JudgedEntry) -> JudgedEntry:
        if stream[0] in _REVISED_KINDS:
            return latest_judgements(self.store, stream)[digest]
        # The registry's streams grow for ever and are not read for this: its state tells what took effect since.
        act = self.registry.acts.get(digest)
        if at_entry.judged.status is not Status.PENDING or act is None or act.in_effect_at is None:
            return at_entry
        return replace(at_entry, judged=Judged(Status.IN_EFFECT, at_entry.judged.findings))


def _unknown_after(seconds: float) -> OutcomeUnknownError:
    return OutcomeUnknownError("the outcome is not known yet: send the same statement again", waited_seconds=seconds)


def _unsigned(payload: bytes, payload_type: str) -> bytes:
    """Returns an envelope around a payload that nobody has signed, for reading its form alone."""
    try:
        kind = PayloadType(payload_type)
    except ValueError as defect:
        raise FormRefusedError("a payload type is not known", payload_type=payload_type) from defect
    return encode_envelope(payload, kind, [EnvelopeSignature(b"\x00", "")])
