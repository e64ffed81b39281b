"""The event-sourced application whose events are the log's entries, byte for byte.

The rules:

* An event carries one opaque `bytes`: the entry as the ledger serialised it. The mapper stores exactly that, so
  the stored state, the leaf of the tree and what a tile serves are the same bytes. Nothing is transcoded,
  compressed or encrypted on the way; contents are sealed in the vault beside it.
* A topic stands for a form of event in a closed table. It is never a path that could be imported.
* The originator is the stream, in hex; its version is the sequence in the stream.
* The environment is built here. Variables of the process cannot change how the ledger stores.
* A commit goes through the library's event store and recorder; our rows travel with it and are written by the
  recorder's hook in the same transaction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final

from eventsourcing.application import Application
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import InfrastructureFactory, Mapper, StoredEvent, TrackingRecorder, Transcoder
from eventsourcing.utils import Environment, EnvType

from cellcustody.ledger.errors import FatalStoreError
from cellcustody.ledger.store.errors import (
    ClaimTakenError,
    CommitFailedError,
    CommitOutcomeUnknownError,
    HeadMovedError,
    UnknownTopicError,
    WriterBusyError,
    WriterNotStartedError,
)
from cellcustody.ledger.store.model import (
    Commit,
    Head,
    IdentityMac,
    OperationalFinding,
    StatementPosition,
    StreamEntry,
    StreamHead,
    VaultRow,
)
from cellcustody.ledger.store.recorder import LedgerRecorder
from cellcustody.ledger.values import value

ENTRY_TOPIC: Final = "entry.v1"  # Stored with every event, so it never changes.


@value(frozen=True, slots=True)
class EntryRecorded:
    """An entry was recorded in a stream; `entry` is its exact bytes."""

    originator_id: str
    originator_version: int
    entry: bytes


TOPICS: Final[dict[str, type[EntryRecorded]]] = {ENTRY_TOPIC: EntryRecorded}


class OpaqueTranscoder(Transcoder):
    """Passes bytes through; the library's default would wrap them in JSON."""

    def encode(self, obj: object) -> bytes:
        """Returns `obj`, which is bytes already."""
        if not isinstance(obj, bytes):
            raise TypeError(f"an event carries bytes, not {type(obj).__name__}")
        return obj

    def decode(self, data: bytes) -> bytes:
        """Returns `data`."""
        return data


class EntryMapper(Mapper[str]):
    """Maps an event to a stored event whose state is the entry, and back."""

    def __init__(self) -> None:
        super().__init__(transcoder=OpaqueTranscoder())

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        """Returns the stored event whose state is the entry itself.

        Raises:
            UnknownTopicError: the event is of a class that is not in the closed table.
        """
        if not isinstance(domain_event, EntryRecorded):
            raise UnknownTopicError("only entries are recorded", event=type(domain_event).__name__)
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=ENTRY_TOPIC,
            state=domain_event.entry,
        )

    def to_domain_event(self, stored_event: StoredEvent) -> EntryRecorded:
        """Returns the event; its topic is looked up in the closed table and never imported.

        Raises:
            UnknownTopicError: the topic is not in the closed table.
        """
        event_class = TOPICS.get(stored_event.topic)
        if event_class is None:
            raise UnknownTopicError("the topic is not in the closed table", topic=stored_event.topic)
        return event_class(str(stored_event.originator_id), stored_event.originator_version, stored_event.state)


class LedgerApplication(Application[str], ABC):
    """A `LedgerStore` on the event-sourcing library; a back end makes its factory."""

    name = "ledger"

    def __init__(self, env: EnvType, on_step: Callable[[str], None] | None = None) -> None:
        super().__init__(env)
        recorder = self.recorder
        if not isinstance(recorder, LedgerRecorder):
            raise TypeError(f"{type(recorder).__name__} does not write the ledger's rows")
        if on_step is not None:
            recorder.on_step = on_step
        self._ledger: LedgerRecorder[object] = recorder
        self._committing = Lock()
        self._writer_started = False

    # How the library is set up.

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """Returns the environment given here and nothing of the process's."""
        return Environment(name, {**(env or {}), "ORIGINATOR_ID_TYPE": "text"})

    @abstractmethod
    def construct_factory(self, env: Environment) -> InfrastructureFactory[TrackingRecorder]:
        """Returns the back end's factory; no topic of the environment is resolved."""

    def construct_mapper(self) -> Mapper[str]:
        """Returns the mapper whose stored state is the entry."""
        return EntryMapper()

    # Writing.

    def start_writer(self) -> Head:
        """Takes over as the one writer and returns the head with the epoch raised."""
        with self._committing:
            head = self._ledger.raise_epoch()
            self._writer_started = True
            return head

    def commit(self, group: Commit) -> None:
        """Makes the whole group durable in one transaction, as `LedgerStore.commit` says."""
        if not self._committing.acquire(blocking=False):
            raise WriterBusyError("another thread is committing; the ledger has exactly one writing thread")
        try:
            if not self._writer_started:
                raise WriterNotStartedError("start_writer was not called on this store")
            events = [EntryRecorded(entry.stream.hex(), entry.sequence, entry.entry) for entry in group.entries]
            try:
                self.events.put(events, group=group)
            except FatalStoreError:
                raise
            except Exception as error:
                self._settle(group, error)
        finally:
            self._committing.release()

    def _settle(self, group: Commit, error: Exception) -> None:
        """Decides by the head row what became of a commit that ended in `error`; returns if it is there."""
        if self._ledger.is_fatal(error):
            raise CommitOutcomeUnknownError("the disk or the database file failed", cause=error) from error
        try:
            head = self._ledger.settled_head()
        except FatalStoreError:
            raise
        except Exception as lost:
            raise CommitOutcomeUnknownError("the head row could not be reread", cause=error) from lost
        if head == group.new_head:
            return
        if head != group.previous_head:
            raise HeadMovedError("another writer moved the head", size=head.size, epoch=head.epoch) from error
        if self._ledger.is_unique_violation(error):
            taken = self._ledger.taken_claim(group)
            if taken is not None:
                raise ClaimTakenError(taken.kind, taken.key) from error
        raise CommitFailedError("the transaction was rolled back whole", cause=error) from error

    def operational_finding(self, finding: OperationalFinding) -> None:
        """Keeps something refused that someone should look at, outside the log."""
        self._ledger.keep_finding(finding)

    def truncate_log(self) -> None:
        """Empties the write-ahead log after an erasure."""
        self._ledger.truncate_log()

    # Reading.

    def head(self) -> Head:
        """Returns the head row."""
        return self._ledger.head()

    def entry(self, leaf_index: int) -> bytes:
        """Returns the entry at `leaf_index`, or raises `EntryNotFoundError`."""
        return self._ledger.entry(leaf_index)

    def entries(self, start: int, limit: int) -> list[bytes]:
        """Returns up to `limit` entries from leaf index `start` on."""
        return self._ledger.entries(start, limit)

    def leaf_hashes(self, start: int, limit: int) -> list[bytes]:
        """Returns up to `limit` leaf hashes from leaf index `start` on."""
        return self._ledger.leaf_hashes(start, limit)

    def stream_entries(self, stream: bytes, after_sequence: int, limit: int) -> list[StreamEntry]:
        """Returns up to `limit` entries of `stream` above `after_sequence`."""
        return self._ledger.stream_entries(stream, after_sequence, limit)

    def stream_head(self, stream: bytes) -> StreamHead | None:
        """Returns the last entry's place in `stream`, or None."""
        return self._ledger.stream_head(stream)

    def find_statement(self, statement_digest: bytes) -> StatementPosition | None:
        """Returns where the statement with that digest was recorded, or None."""
        return self._ledger.find_statement(statement_digest)

    def find_statement_by_id(self, statement_id: bytes) -> StatementPosition | None:
        """Returns where the statement with that id was recorded, or None."""
        return self._ledger.find_statement_by_id(statement_id)

    def recorded_ids(self, statement_ids: Sequence[bytes]) -> frozenset[bytes]:
        """Returns those of these statement ids under which something was recorded."""
        return self._ledger.recorded_ids(statement_ids)

    def vault_rows(self, statement_digest: bytes) -> list[VaultRow]:
        """Returns the sealed openings of a statement."""
        return self._ledger.vault_rows(statement_digest)

    def identity_macs(self, stream: bytes) -> list[IdentityMac]:
        """Returns the identity MACs enrolled for `stream`."""
        return self._ledger.identity_macs(stream)

    def tile(self, level: int, index: int) -> bytes | None:
        """Returns the present hashes of a tile, or None."""
        return self._ledger.tile(level, index)

    def claim(self, kind: str, key: bytes) -> bytes | None:
        """Returns the digest of the statement that holds the claim, or None."""
        return self._ledger.claim(kind, key)

    def linked(self, stream: bytes) -> list[bytes]:
        """Returns the streams that cite `stream`."""
        return self._ledger.linked(stream)

    def operational_findings(self, limit: int) -> list[OperationalFinding]:
        """Returns up to `limit` operational findings, the latest first."""
        return self._ledger.operational_findings(limit)


__all__ = ["ENTRY_TOPIC", "TOPICS", "EntryMapper", "EntryRecorded", "LedgerApplication"]
