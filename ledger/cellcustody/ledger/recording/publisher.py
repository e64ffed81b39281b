"""Publish what was committed: read it back, sign the head, journal it, and only then answer.

The rules (design, section 6, "No fork"):

* Before a checkpoint leaves, the new entries and the tiles they touch are read back from the store and hashed again.
  The publisher grows a right edge of its own from what it read; the writer's word is not taken for it.
* The root so computed must be the head's; the new tiles must be those computed; the log's own signatures are verified.
* The signed head is appended to the journal and is on the disk before anyone gets it.
* On any mismatch the ledger stops signing for good, keeps reading, and says what differs.
* Groups that wait are published under one checkpoint; nobody is answered before the one that covers them.
* The writer publishes a small group itself: what arrives meanwhile makes the next one larger, and no thread waits for
  another. A large one is published beside it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from cellcustody.ledger.entries import leaf_hash_of
from cellcustody.ledger.errors import CellcustodyError, FatalStoreError, StoreError
from cellcustody.ledger.recording.writer import CommittedGroup, LedgerStoppedError, Member, MemberOutcome
from cellcustody.ledger.store import Head, HeadJournal, LedgerStore
from cellcustody.ledger.transparency import NoteSigner, RightEdge, sign_checkpoint, verify_checkpoint
from cellcustody.ledger.transparency.encoding import HASH_SIZE_BYTES

__all__ = ["CheckpointMismatchError", "LogKeys", "Published", "Publisher"]

# A checkpoint costs two signatures and a fsync, however many entries it covers. While one is made, what arrives is
# better gathered into the next group than committed alone. Measured with 16 callers, that is half as many checkpoints
# and nearly half as many appends again; a group this large is worth judging meanwhile.
PIPELINED_MEMBERS_MIN: Final = 64
READ_BACK_MAX: Final = 1024  # Entries read back at a time; bounds memory when much was committed at once.


class CheckpointMismatchError(FatalStoreError):
    """Raised when what was read back is not what was committed, or the log's own signature does not verify."""

    reason = "CHECKPOINT_MISMATCH"


@dataclass(frozen=True, slots=True)
class LogKeys:
    """Who signs checkpoints now: the origin, and each key; all must sign."""

    origin: str
    signers: tuple[NoteSigner, ...]

    @property
    def vkeys(self) -> tuple[str, ...]:
        """The verifier keys, in text form."""
        return tuple(signer.vkey for signer in self.signers)


@dataclass(frozen=True, slots=True)
class Published:
    """A signed head."""

    head: Head
    checkpoint: bytes


class Publisher:
    """Owns the publishing thread and the verified right edge. `put` from the writer's thread alone."""

    def __init__(
        self,
        store: LedgerStore,
        journal: HeadJournal,
        edge: RightEdge,
        last: Published | None,
        *,
        keys_at: Callable[[int], LogKeys],
        now: Callable[[], int],
        answer: Callable[[Sequence[tuple[Member, MemberOutcome]], RightEdge, bytes], None],
        answered: Callable[[], None],
        stop: Callable[[CellcustodyError], None],
    ) -> None:
        """Takes ownership of `edge`, whose size is that of the last checkpoint that was verified at start.

        `keys_at` gives the log's keys in force at a tree size; `now` is in microseconds since 1970-01-01T00:00:00Z.
        """
        self._store = store
        self._journal = journal
        self._edge = edge
        self._last = last
        self._keys_at = keys_at
        self._now = now
        self._answer = answer
        self._answered = answered
        self._stop = stop
        self._waiting: deque[CommittedGroup] = deque()
        self._wake = threading.Condition()
        self._published = threading.Condition()
        self._closing = False
        self._is_publishing = False
        self._stopped: CellcustodyError | None = None
        self._thread = threading.Thread(target=self._run, name="cellcustody-publisher", daemon=True)

    @property
    def last(self) -> Published | None:
        """The last signed head; a reader sees one whole or the other."""
        return self._last

    def start(self) -> None:
        """Starts the publishing thread."""
        self._thread.start()

    def put(self, group: CommittedGroup) -> None:
        """Publishes a small group before it returns, unless others are being published; queues a large one."""
        with self._wake:
            is_for_here = len(group.outcomes) < PIPELINED_MEMBERS_MIN and not self._waiting and not self._is_publishing
            if not is_for_here:
                self._waiting.append(group)
                self._wake.notify()
                return
            self._is_publishing = True
        self._publish_all([group])

    def close(self) -> None:
        """Publishes what waits, then ends the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()
        with self._published:
            self._published.notify_all()

    def wait_beyond(self, size: int, timeout_seconds: float) -> None:
        """Returns when a checkpoint beyond `size` is out, or the time is up."""
        with self._published:
            self._published.wait_for(
                lambda: (
                    self._closing
                    or self._stopped is not None
                    or (self._last is not None and self._last.head.size > size)
                ),
                timeout_seconds,
            )

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting:
                    if self._closing:
                        return
                    self._wake.wait()
                if self._is_publishing:
                    self._wake.wait()
                    continue
                groups = list(self._waiting)
                self._waiting.clear()
                self._is_publishing = True
            self._publish_all(groups)

    def _publish_all(self, groups: Sequence[CommittedGroup]) -> None:
        """Publishes and answers groups; in whichever thread took the turn."""
        if self._stopped is None:
            try:
                published = self.publish(groups[-1].new_head)
            except Exception as failure:
                why = failure if isinstance(failure, CellcustodyError) else StoreError(repr(failure))
                self._stopped = why
                self._stop(why)
                with self._published:
                    self._published.notify_all()
        if self._stopped is not None:
            self._answer_stopped(groups, self._stopped)
        else:
            for group in groups:
                self._answer(group.outcomes, self._edge, published.checkpoint)
        self._answered()
        with self._wake:
            self._is_publishing = False
            self._wake.notify()

    def _answer_stopped(self, groups: Sequence[CommittedGroup], why: CellcustodyError) -> None:
        for group in groups:
            for member, outcome in group.outcomes:
                member.done(
                    LedgerStoppedError(
                        "recorded, but the ledger stopped before signing the head: look before trusting it",
                        position=outcome.leaf_index + 1,
                        cause=why.reason,
                        why=str(why),
                    )
                )

    def publish(self, head: Head) -> Published:
        """Returns the signed checkpoint of `head` after everything new under it was read back and hashed again.

        Raises:
            CheckpointMismatchError: what is stored is not what the head says.
        """
        last = self._last
        if last is not None and last.head.size == head.size:
            return last

        # (1): What was stored, read back and hashed again, makes the head's root.
        start = self._edge.size
        touched = self._read_back(head)
        if self._edge.root() != head.root_hash:
            raise CheckpointMismatchError(
                "the entries read back do not make the head's root",
                size=head.size,
                head_root=head.root_hash,
                computed_root=self._edge.root(),
                **self._first_other_leaf(start, head.size),
            )

        # (2): The tiles that others will read are those that the entries make.
        for (level, index), hashes in touched.items():
            stored = self._store.tile(level, index)
            if stored is None or stored[: len(hashes)] != hashes:
                raise CheckpointMismatchError(
                    "a stored tile is not what its entries make",
                    level=level,
                    index=index,
                    **_first_other_hash(stored or b"", hashes),
                )

        # (3): The log signs, and its own signatures verify.
        keys = self._keys_at(head.size)
        seconds = self._now() // 1_000_000
        note = sign_checkpoint(keys.origin, head.size, head.root_hash, keys.signers, timestamp_seconds=seconds)
        verify_checkpoint(note, keys.origin, keys.vkeys, required_vkeys=keys.vkeys)

        # (4): On the disk, outside the database, before anyone gets it.
        self._journal.append(note)
        published = Published(head, note)
        with self._published:
            self._last = published
            self._published.notify_all()
        return published

    def _read_back(self, head: Head) -> dict[tuple[int, int], bytes]:
        touched: dict[tuple[int, int], bytes] = {}
        while self._edge.size < head.size:
            wanted = min(READ_BACK_MAX, head.size - self._edge.size)
            entries = self._store.entries(self._edge.size, wanted)
            if len(entries) != wanted:
                raise CheckpointMismatchError(
                    "entries under the head are not in the store",
                    start=self._edge.size,
                    wanted=wanted,
                    found=len(entries),
                )
            for write in self._edge.extend([leaf_hash_of(raw) for raw in entries]):
                touched[(write.level, write.index)] = write.hashes
        return touched

    def _first_other_leaf(self, start: int, size: int) -> dict[str, object]:
        """Returns the first new entry that does not have the leaf hash which was recorded with it, if there is one."""
        for at in range(start, size, READ_BACK_MAX):
            wanted = min(READ_BACK_MAX, size - at)
            recorded = self._store.leaf_hashes(at, wanted)
            found = [leaf_hash_of(raw) for raw in self._store.entries(at, wanted)]
            for offset in range(wanted):
                expected = recorded[offset] if offset < len(recorded) else b""
                computed = found[offset] if offset < len(found) else b""
                if expected != computed:
                    return {"leaf_index": at + offset, "recorded_leaf_hash": expected, "computed_leaf_hash": computed}
        # Every entry has the hash that was recorded with it: it is the head's row that says something else.
        return {"leaf_index": "none: the head differs"}


def _first_other_hash(stored: bytes, computed: bytes) -> dict[str, object]:
    """Returns the first hash of a tile that is not what was computed: its number in the tile, and both values."""
    for at in range(0, len(computed), HASH_SIZE_BYTES):
        expected, found = computed[at : at + HASH_SIZE_BYTES], stored[at : at + HASH_SIZE_BYTES]
        if expected != found:
            return {"hash": at // HASH_SIZE_BYTES, "stored_hash": found, "computed_hash": expected}
    return {}
