"""The one writer: takes what waits as a group, judges it member by member, commits it, hands it on to be published.

The rules:

* Exactly one thread judges and commits. Whatever waits when it is free makes the next group, up to a limit.
* One transaction commits a whole group: events, leaves, head, claims, vault rows, links and tiles (design, section 4).
* On any error of a commit the speculative state is dropped, the head is read again, and the members are judged again
  one by one. An error that leaves the store in doubt stops the writer; reads go on.
* A member is answered by the publisher, after its checkpoint is signed and journalled; never from here, save refusals.
* Keys of new subjects are durable before the rows sealed under them. What comes of a class that was shredded for its
  subject is recorded, and its openings of that class are not kept.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cellcustody.ledger.contract import DisclosureClass
from cellcustody.ledger.entries import ZERO_HASH, JudgedEntry, encode_entry, leaf_hash_of
from cellcustody.ledger.errors import CellcustodyError, FatalStoreError, RefusedError, StoreError
from cellcustody.ledger.recording.batches import Refusals
from cellcustody.ledger.recording.planning import AlreadyRecorded, Explained, Judge, Plan
from cellcustody.ledger.recording.prepared import Prepared
from cellcustody.ledger.recording.sealing import (
    LEAF_HASHES,
    encode_leaf_hashes,
    encode_openings,
    is_erasable,
)
from cellcustody.ledger.store import (
    Claim,
    Commit,
    Head,
    IdentityMac,
    LedgerStore,
    PendingEntry,
    ShreddedError,
    StreamLink,
    TileWrite,
    Vault,
    VaultRow,
)
from cellcustody.ledger.transparency import RightEdge
from cellcustody.ledger.values import value

__all__ = [
    "GROUP_MEMBERS_MAX",
    "CommittedGroup",
    "LedgerBusyError",
    "LedgerStoppedError",
    "Member",
    "MemberOutcome",
    "Writer",
]

GROUP_MEMBERS_MAX: Final = 256  # One transaction stays a few milliseconds; a batch of 500 makes two groups.
HEADS_KEPT_MAX: Final = 10_000  # About two megabytes; what is not kept is read.
QUEUE_MEMBERS_MAX: Final = 20_000  # Beyond this the server is told to shed load instead of growing.


class LedgerStoppedError(FatalStoreError):
    """Raised when the ledger has stopped recording; reads go on. The values say why."""

    reason = "LEDGER_STOPPED"


class LedgerBusyError(StoreError):
    """Raised when more statements wait than the writer takes; send them again later."""

    reason = "LEDGER_BUSY"


class JudgingFailedError(StoreError):
    """Raised when judging a statement failed for a fault of the ledger's; nothing of it was recorded."""

    reason = "JUDGING_FAILED"


@value(frozen=True, slots=True)
class MemberOutcome:
    """What became of a member: where it stands, how it was judged, and its words for the submitter."""

    leaf_index: int
    statement_digest: bytes
    judgement: JudgedEntry | None
    already_recorded: bool
    explained: tuple[Explained, ...] = ()
    holds_opened: tuple[bytes, ...] = ()


@dataclass(slots=True)
class Member:
    """One statement on its way through writer and publisher; `done` takes what its submitter is told."""

    prepared: Prepared
    submitting_site: bytes
    done: Callable[[object], None]
    wants_receipt: bool = True
    call: Refusals = field(default_factory=Refusals)


@dataclass(frozen=True, slots=True)
class CommittedGroup:
    """A group that is durable and not yet published."""

    previous_head: Head
    new_head: Head
    outcomes: tuple[tuple[Member, MemberOutcome], ...]
    entries: tuple[PendingEntry, ...]


@dataclass(slots=True)
class _Building:
    """A group while it is judged."""

    start: int
    entries: list[PendingEntry] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    links: list[StreamLink] = field(default_factory=list)
    macs: list[IdentityMac] = field(default_factory=list)
    sealed: list[tuple[bytes, DisclosureClass, bytes, bytes]] = field(default_factory=list)
    hashes: list[VaultRow] = field(default_factory=list)
    streams: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    outcomes: list[tuple[Member, MemberOutcome]] = field(default_factory=list)


class Writer:
    """Owns the write side of a ledger. `start` it, or lend it a thread; `put` from any; `close` drains what waits."""

    def __init__(
        self,
        store: LedgerStore,
        vault: Vault,
        judge: Judge,
        edge: RightEdge,
        *,
        now: Callable[[], int],
        publish: Callable[[CommittedGroup], None],
        stop: Callable[[CellcustodyError], None],
    ) -> None:
        """Takes ownership of `edge` and `judge`; `head` must have been taken over with `store.start_writer` before."""
        self._store = store
        self._vault = vault
        self._judge = judge
        self._edge = edge
        self._now = now
        self._publish = publish
        self._stop = stop
        self._head = store.head()
        self._heads: dict[bytes, tuple[int, bytes]] = {}  # Sequence and leaf hash of streams written to of late.
        self._waiting: deque[Member] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._stopped: CellcustodyError | None = None
        self._thread = threading.Thread(target=self._run, name="cellcustody-writer", daemon=True)

    def start(self) -> None:
        """Starts the writing thread."""
        self._thread.start()

    def put(self, members: Sequence[Member]) -> None:
        """Queues members in order; each is answered through its `done`.

        Raises:
            LedgerStoppedError: the ledger has stopped recording.
            LedgerBusyError: too much waits; nothing of `members` was queued.
        """
        with self._wake:
            if self._stopped is not None or self._closing:
                raise self.stopped_error()
            if len(self._waiting) + len(members) > QUEUE_MEMBERS_MAX:
                raise LedgerBusyError("too many statements wait", waiting=len(self._waiting), limit=QUEUE_MEMBERS_MAX)
            self._waiting.extend(members)
            self._wake.notify()

    def stopped_error(self) -> LedgerStoppedError:
        """Returns the error that a caller gets after the writer has stopped."""
        why = self._stopped
        if why is None:
            return LedgerStoppedError("the ledger is closing")
        return LedgerStoppedError("the ledger has stopped recording", cause=why.reason, why=str(why))

    def halt(self, why: CellcustodyError) -> None:
        """Stops recording for good; what waits is answered with the reason."""
        with self._wake:
            self._stopped = self._stopped or why
            waiting = list(self._waiting)
            self._waiting.clear()
            self._wake.notify()
        for member in waiting:
            member.done(self.stopped_error())

    def close(self) -> None:
        """Records what waits, then ends the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def waiting(self) -> int:
        """How many members wait for the next group."""
        return len(self._waiting)

    def record_waiting(self) -> int:
        """Records one group of what waits in the calling thread, and returns how many it had; 0 if nothing waits.

        For an owner that lends its own thread instead of calling `start`.
        """
        with self._wake:
            members = self._next_group()
        if members:
            self._record_or_halt(members)
        return len(members)

    def _run(self) -> None:
        while True:
            members = self._take()
            if members is None or not self._record_or_halt(members):
                return

    def _record_or_halt(self, members: Sequence[Member]) -> bool:
        """Records a group; a failure that is nobody's statement's stops the writer. Returns whether it goes on."""
        try:
            self._record(members)
        except Exception as failure:
            why = failure if isinstance(failure, CellcustodyError) else StoreError(repr(failure))
            self.halt(why)
            self._stop(why)
            for member in members:
                member.done(self.stopped_error())
            if not isinstance(failure, CellcustodyError):
                raise
            return False
        return True

    def _take(self) -> list[Member] | None:
        with self._wake:
            while not self._waiting:
                if self._closing or self._stopped is not None:
                    return None
                self._wake.wait()
            return self._next_group()

    def _next_group(self) -> list[Member]:
        count = min(len(self._waiting), GROUP_MEMBERS_MAX)
        return [self._waiting.popleft() for _ in range(count)]

    def _record(self, members: Sequence[Member]) -> None:
        try:
            self._record_group(members)
        except FatalStoreError:
            raise
        except (StoreError, RefusedError):
            # A refusal that escapes judging, such as a claim taken, is some member's own: alone it will hit no other.
            self._drop_speculation()
            for member in members:
                self._record_alone(member)

    def _record_alone(self, member: Member) -> None:
        try:
            self._record_group([member])
        except FatalStoreError:
            raise
        except (StoreError, RefusedError) as failure:
            self._drop_speculation()
            member.done(failure)

    def _drop_speculation(self) -> None:
        self._judge.abandon()
        self._heads.clear()
        self._head = self._store.head()

    def _record_group(self, members: Sequence[Member]) -> None:
        group = _Building(self._head.size)
        refused: list[tuple[Member, RefusedError]] = []
        self._judge.expect([member.prepared.statement.statement_id for member in members])
        for member in members:
            now = self._now()
            leaf_index = group.start + len(group.entries)
            digest = member.prepared.statement.digest
            prepared = member.prepared
            if member.call.are_named_by(prepared):
                prepared = replace(prepared, depends_on_refused=True)
            try:
                plan = self._judge.judge(prepared, member.submitting_site, leaf_index=leaf_index, now=now)
            except RefusedError as refusal:
                member.call.add(digest)
                refused.append((member, refusal))
                continue
            except FatalStoreError:
                raise
            except Exception as failure:
                # A fault of ours, not of the statement: nothing of the group is committed with half-moved state.
                raise JudgingFailedError("a statement could not be judged", failure=repr(failure)) from failure
            member.call.drop(digest)
            if isinstance(plan, AlreadyRecorded):
                outcome = MemberOutcome(plan.leaf_index, digest, plan.judgement, already_recorded=True)
            else:
                self._add(group, plan, now)
                outcome = MemberOutcome(
                    leaf_index, digest, plan.entries[0].judgement, False, plan.explained, plan.holds_opened
                )
            group.outcomes.append((member, outcome))
        committed = self._commit(group)
        # A refusal may rest on an earlier member of the group, so it is told only once that member is durable.
        for member, reason in refused:
            member.done(reason)
        if group.outcomes:
            self._publish(committed)

    def _add(self, group: _Building, plan: Plan, now: int) -> None:
        for planned in plan.entries:
            sequence, previous = group.streams.get(planned.stream) or self._stream_head(planned.stream)
            raw = encode_entry(
                planned.envelope,
                recorded_at=now,
                submitting_site=planned.submitting_site,
                sequence=sequence + 1,
                previous_leaf_hash=previous,
                judgement=planned.judgement,
            )
            leaf_hash = leaf_hash_of(raw)
            group.streams[planned.stream] = (sequence + 1, leaf_hash)
            group.entries.append(
                PendingEntry(
                    group.start + len(group.entries),
                    planned.stream,
                    sequence + 1,
                    raw,
                    leaf_hash,
                    planned.statement_id,
                    planned.statement_digest,
                )
            )
            for sealed in planned.sealed:
                plaintext = encode_openings(sealed.openings)
                group.sealed.append((sealed.subject, sealed.disclosure_class, planned.statement_digest, plaintext))
            if any(is_erasable(sealed.disclosure_class, sealed.subject) for sealed in planned.sealed):
                group.hashes.append(
                    VaultRow(
                        planned.statement_digest,
                        planned.stream,
                        LEAF_HASHES,
                        encode_leaf_hashes([opening for sealed in planned.sealed for opening in sealed.openings]),
                    )
                )
        group.claims.extend(plan.claims)
        group.links.extend(plan.links)
        group.macs.extend(plan.identity_macs)

    def _stream_head(self, stream: bytes) -> tuple[int, bytes]:
        known = self._heads.get(stream)
        if known is not None:
            return known
        head = self._store.stream_head(stream)
        return (0, ZERO_HASH) if head is None else (head.sequence, head.leaf_hash)

    def _vault_row(
        self, subject: bytes, disclosed: DisclosureClass, digest: bytes, plaintext: bytes
    ) -> VaultRow | None:
        """Returns the row to keep, or None where the subject's key was destroyed: what was erased stays so."""
        if disclosed is DisclosureClass.PUBLIC:
            return VaultRow(digest, subject, disclosed, plaintext)
        try:
            return VaultRow(digest, subject, disclosed, self._vault.seal(subject, disclosed, digest, plaintext))
        except ShreddedError:
            return None

    def _commit(self, group: _Building) -> CommittedGroup:
        if not group.entries:
            return CommittedGroup(self._head, self._head, tuple(group.outcomes), ())
        self._vault.ensure_subjects(
            {subject for subject, disclosed, _, _ in group.sealed if disclosed is not DisclosureClass.PUBLIC}
        )
        rows = tuple(row for sealed in group.sealed if (row := self._vault_row(*sealed)) is not None)
        rows += tuple(group.hashes)
        edge = self._edge.copy()
        tiles = edge.extend([entry.leaf_hash for entry in group.entries])
        new_head = Head(self._head.size + len(group.entries), edge.root(), self._head.epoch)
        entries = tuple(group.entries)
        self._store.commit(
            Commit(
                entries=entries,
                claims=tuple(group.claims),
                vault_rows=rows,
                identity_macs=tuple(group.macs),
                tiles=tuple(TileWrite(tile.level, tile.index, tile.hashes) for tile in tiles),
                links=tuple(dict.fromkeys(group.links)),
                previous_head=self._head,
                new_head=new_head,
            )
        )
        committed = CommittedGroup(self._head, new_head, tuple(group.outcomes), entries)
        self._edge = edge
        self._head = new_head
        if len(self._heads) > HEADS_KEPT_MAX:
            self._heads.clear()
        self._heads.update(group.streams)
        self._judge.committed()
        return committed
