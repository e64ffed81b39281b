"""Record for another process: what travels between the two, and the end that records.

The rules:

* The process that serves verifies and opens what comes in; this one parses it again and judges, commits, publishes.
  It alone holds the log's keys. Both run one configuration on one machine; the way between them is a private pipe.
* One thread takes what has come and records it, by turns: two would spend more on passing the interpreter's lock to
  each other than on reading. What comes meanwhile waits in the pipe and makes the next group.
* Under load it waits some milliseconds for a group worth its checkpoint, never when callers come one by one.
* Messages are pickled tuples of plain values. Answers to everything that one checkpoint covers go in one message, with
  the checkpoint, and say whether the registry has moved. A receipt travels without the checkpoint that it ends in.
* This process ends when the pipe ends, after recording what it had taken; and at once when the other has died.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.recording.answers import PlainRecorded, Recorded, plain_of, recorded_of
from cellcustody.ledger.recording.batches import Refusals
from cellcustody.ledger.recording.ledger import Ledger
from cellcustody.ledger.recording.pipe import MessagePipe
from cellcustody.ledger.recording.preparers import prepared_elsewhere
from cellcustody.ledger.recording.publisher import Published
from cellcustody.ledger.recording.writer import GROUP_MEMBERS_MAX, Member
from cellcustody.ledger.statements import Opening, StreamKind
from cellcustody.ledger.store import Head

__all__ = ["AnswersMessage", "Recorder", "StatementMessage", "SubmitMessage", "packed", "unpacked"]

# A checkpoint costs two signatures and two fsyncs, about two milliseconds of one core, however few statements it
# covers. With 16 callers groups of one and two were a third of all; waiting for half of those who are about makes them
# large enough, and leaves the other half to be verified meanwhile.
GATHERED_MEMBERS_MAX: Final = 16
GATHER_SECONDS_MAX: Final = 0.004

_REGISTRY_KINDS: Final = frozenset({StreamKind.REGISTRY, StreamKind.POLICY, StreamKind.SCHEMA})

StatementMessage: TypeAlias = tuple[int, bytes, tuple[tuple[int, bytes, bytes], ...], bytes]
"""Index in the call, envelope, openings as (index, salt, record), and the site that brought it."""


@dataclass(frozen=True)
class SubmitMessage:
    """Statements of one call. `refused` are digests of statements before them that were refused while prepared."""

    call: int
    with_receipts: bool
    statements: list[StatementMessage]
    refused: list[bytes]
    is_last: bool


@dataclass(frozen=True)
class AnswersMessage:
    """Results by call and index, with the checkpoint that covers them; `stopped` says why nothing is recorded now."""

    results: list[tuple[int, int, Recorded | CellcustodyError]]
    published: Published | None
    has_registry_moved: bool
    stopped: CellcustodyError | None

    def __reduce__(self) -> tuple[object, ...]:
        """Says how answers travel: as plain values, with the checkpoint once for all receipts that end in it."""
        last = self.published
        plain = None if last is None else (last.head.size, last.head.root_hash, last.head.epoch, last.checkpoint)
        suffix = b"" if last is None else last.checkpoint
        results = [
            (call, index, plain_of(result, suffix) if isinstance(result, Recorded) else result)
            for call, index, result in self.results
        ]
        return _answers_again, (results, plain, self.has_registry_moved, self.stopped)


def _answers_again(
    results: Sequence[tuple[int, int, PlainRecorded | CellcustodyError]],
    plain: tuple[int, bytes, int, bytes] | None,
    has_registry_moved: bool,
    stopped: CellcustodyError | None,
) -> AnswersMessage:
    published = None if plain is None else Published(Head(*plain[:3]), plain[3])
    suffix = b"" if published is None else published.checkpoint
    return AnswersMessage(
        [
            (call, index, recorded_of(result, suffix) if isinstance(result, tuple) else result)
            for call, index, result in results
        ],
        published,
        has_registry_moved,
        stopped,
    )


def packed(message: object) -> bytes:
    """Returns a message as it travels; made before the way is taken, so that nobody waits for it."""
    return pickle.dumps(message, protocol=5)


def unpacked(travelled: bytes) -> object:
    """Returns the message that travelled as these bytes."""
    return pickle.loads(travelled)


class Recorder:
    """Takes statements from a pipe to a ledger, and the answers back."""

    def __init__(self, pipe: MessagePipe) -> None:
        self._pipe = pipe
        self._sending = threading.Lock()
        self._gathering = threading.Lock()
        self._gathered: list[tuple[int, int, Recorded | CellcustodyError]] = []
        self._has_registry_moved = False
        self._refusals: dict[int, Refusals] = {}
        self._ledger: Ledger | None = None
        self._last_group = 0
        self._about = 0  # How many statements are under way at a time, as the last groups have shown.

    def run(self, opened: Callable[[Callable[[], None]], AbstractContextManager[Ledger]]) -> None:
        """Records until the pipe ends; `opened` opens the ledger, given what to call when a round was answered."""
        with ExitStack() as stack:
            try:
                ledger = stack.enter_context(opened(self._send_gathered))
            except CellcustodyError as failure:
                with suppress(OSError):  # The other process may have given up meanwhile.
                    self._pipe.send(packed(failure))
                return
            self._ledger = ledger
            self._send_gathered()
            goes_on = True
            while goes_on:
                goes_on = self._take_what_comes(ledger)
                self._last_group = ledger.record_waiting()
            while ledger.record_waiting():
                pass

    def _take_what_comes(self, ledger: Ledger) -> bool:
        """Takes what has come, waiting for something to record; returns whether more may come."""
        if not self._take_once(ledger, 0.0):
            return False
        # Those of the last group and those who came while it was recorded are different callers.
        seen = min(self._last_group + ledger.waiting, 2 * GATHERED_MEMBERS_MAX)
        self._about = max(seen, self._about - 1)
        if not ledger.waiting and not self._take_once(ledger, None):
            return False
        wanted = self._about // 2
        until = time.monotonic() + GATHER_SECONDS_MAX
        while ledger.waiting < GROUP_MEMBERS_MAX:
            left = 0.0 if ledger.waiting >= wanted else max(0.0, until - time.monotonic())
            before = ledger.waiting
            if not self._take_once(ledger, left):
                return False
            if ledger.waiting == before:
                break
        return True

    def _take_once(self, ledger: Ledger, timeout_seconds: float | None) -> bool:
        """Takes what comes within the time; returns whether more may come."""
        try:
            travelled = self._pipe.receive(timeout_seconds)
        except (EOFError, OSError):
            return False
        for one in travelled:
            message = unpacked(one)
            if message is None:
                return False
            if isinstance(message, SubmitMessage):
                self._take(ledger, message)
        return True

    def _take(self, ledger: Ledger, message: SubmitMessage) -> None:
        refusals = self._refusals.setdefault(message.call, Refusals())
        for digest in message.refused:
            refusals.add(digest)
        members: list[Member] = []
        indexes: list[int] = []
        for index, envelope, openings, site in message.statements:
            try:
                prepared = prepared_elsewhere(envelope, tuple(Opening(*one) for one in openings))
            except CellcustodyError as refusal:
                self._send_now(message.call, index, refusal)
                continue
            moves_registry = prepared.statement.stream[0] in _REGISTRY_KINDS
            done = self._done(message.call, index, moves_registry)
            members.append(Member(prepared, site, done, message.with_receipts, refusals))
            indexes.append(index)
        if message.is_last:
            del self._refusals[message.call]
        try:
            ledger.put(members)
        except CellcustodyError as failure:
            for index in indexes:
                self._send_now(message.call, index, failure)

    def _done(self, call: int, index: int, moves_registry: bool) -> Callable[[object], None]:
        def done(result: object) -> None:
            if isinstance(result, Recorded):
                # Answers come from the publisher's thread, which says when a round is complete.
                with self._gathering:
                    self._gathered.append((call, index, result))
                    self._has_registry_moved |= moves_registry
            elif isinstance(result, CellcustodyError):
                self._send_now(call, index, result)

        return done

    def _send_now(self, call: int, index: int, failure: CellcustodyError) -> None:
        self._send([(call, index, failure)], has_registry_moved=False)

    def _send_gathered(self) -> None:
        with self._gathering:
            results, self._gathered = self._gathered, []
            moved, self._has_registry_moved = self._has_registry_moved, False
        self._send(results, has_registry_moved=moved)

    def _send(self, results: list[tuple[int, int, Recorded | CellcustodyError]], *, has_registry_moved: bool) -> None:
        ledger = self._ledger
        if ledger is None:
            return  # What was published while the ledger opened goes with the first message.
        message = packed(AnswersMessage(results, ledger.published, has_registry_moved, ledger.why_stopped))
        with self._sending:
            try:
                self._pipe.send(message)
            except OSError:
                return  # Nobody is left to be told; what was recorded stands.
