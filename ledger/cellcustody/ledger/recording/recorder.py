"""Record for another process: what travels between the two, and the end that records.

The rules:

* The process that serves verifies and opens what comes in; this one parses it again and judges, commits, publishes.
  It alone holds the log's keys. Both run one configuration on one machine; the way between them is a private pipe.
* Messages are pickled tuples of plain values. Answers to everything that one checkpoint covers go in one message, with
  the checkpoint, and say whether the registry has moved.
* This process ends when the pipe ends, after recording what it had taken; and at once when the other has died.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final, TypeAlias

from cellcustody.ledger.errors import CellcustodyError
from cellcustody.ledger.recording.answers import Recorded
from cellcustody.ledger.recording.batches import Refusals
from cellcustody.ledger.recording.ledger import Ledger
from cellcustody.ledger.recording.preparers import prepared_elsewhere
from cellcustody.ledger.recording.publisher import Published
from cellcustody.ledger.recording.writer import Member
from cellcustody.ledger.statements import Opening, StreamKind

__all__ = ["AnswersMessage", "Recorder", "StatementMessage", "SubmitMessage", "packed", "receive"]

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


def packed(message: object) -> bytes:
    """Returns a message as it travels; made before the way is taken, so that nobody waits for it."""
    return pickle.dumps(message, protocol=5)


def receive(connection: Connection) -> object:
    """Returns the next message.

    Raises:
        EOFError, OSError: the other end is closed.
    """
    return pickle.loads(connection.recv_bytes())


class Recorder:
    """Takes statements from a pipe to a ledger, and the answers back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._gathering = threading.Lock()
        self._gathered: list[tuple[int, int, Recorded | CellcustodyError]] = []
        self._has_registry_moved = False
        self._refusals: dict[int, Refusals] = {}
        self._ledger: Ledger | None = None

    def run(self, opened: Callable[[Callable[[], None]], AbstractContextManager[Ledger]]) -> None:
        """Records until the pipe ends; `opened` opens the ledger, given what to call when a round was answered."""
        with ExitStack() as stack:
            try:
                ledger = stack.enter_context(opened(self._send_gathered))
            except CellcustodyError as failure:
                with suppress(OSError):  # The other process may have given up meanwhile.
                    self._connection.send_bytes(packed(failure))
                return
            self._ledger = ledger
            self._send_gathered()
            while True:
                try:
                    message = receive(self._connection)
                except (EOFError, OSError):
                    return
                if message is None:
                    return
                if isinstance(message, SubmitMessage):
                    self._take(ledger, message)

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
                self._connection.send_bytes(message)
            except OSError:
                return  # Nobody is left to be told; what was recorded stands.
