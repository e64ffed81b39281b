"""A ledger whose writer and publisher run in a process of their own, so that each has an interpreter to itself.

The rules:

* This process answers callers, verifies what they send, and reads the store; the other judges, commits and signs.
* The registry here follows the recorded entries, and has caught up before anyone is told that an entry moved it.
* When the other process ends, or what it says cannot be followed, whoever waits is told that the outcome is unknown;
  nothing more is taken; reads go on.
* The last checkpoint never goes back, in whatever order messages of the other process's threads arrive.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from cellcustody.ledger.errors import CellcustodyError, StoreError
from cellcustody.ledger.recording.answers import OutcomeUnknownError, Submission
from cellcustody.ledger.recording.face import Call, LedgerFace, Waiting
from cellcustody.ledger.recording.ledger_statements import LedgerVoice
from cellcustody.ledger.recording.opening import RegistryReplica
from cellcustody.ledger.recording.pipe import MessagePipe, PipeFullError
from cellcustody.ledger.recording.prepared import Prepared
from cellcustody.ledger.recording.publisher import Published
from cellcustody.ledger.recording.recorder import AnswersMessage, StatementMessage, SubmitMessage, packed, unpacked
from cellcustody.ledger.recording.writer import LedgerBusyError, LedgerStoppedError
from cellcustody.ledger.store import LedgerStore, Vault

__all__ = ["RemoteLedger"]

_NOTHING_MORE: Final = None
SEND_SECONDS_MAX: Final = 5.0  # A process that takes nothing for so long waits for its disk; callers are told.
CLOSE_SECONDS: Final = 60.0  # What was taken is recorded by then; after it, whoever started the process ends it.


class RemoteLedger(LedgerFace):
    """One ledger, open for reading here and for writing in the process behind `pipe`."""

    def __init__(
        self,
        store: LedgerStore,
        vault: Vault,
        voice: LedgerVoice,
        pipe: MessagePipe,
        *,
        now: Callable[[], int],
        preparing_processes: int,
    ) -> None:
        """Waits for the other process to have opened the ledger.

        Raises:
            LedgerStoppedError: it ended without a word.
            CellcustodyError: it could not; the error is its own.
        """
        self._pipe = pipe
        received = self._first_messages(pipe)
        first = self._first(received)
        replica = RegistryReplica(store, vault)
        replica.catch_up(_size_of(first.published))
        super().__init__(store, vault, replica.state, voice, now=now, preparing_processes=preparing_processes)
        self._replica = replica
        self._published = first.published
        self._has_published = threading.Condition()
        self._stopped: CellcustodyError | None = first.stopped
        self._sending = threading.Lock()
        self._calls: dict[int, Waiting] = {}
        self._numbers = itertools.count()
        self._closing = False
        self._thread = threading.Thread(
            target=self._run, args=(received[1:],), name="cellcustody-recorder", daemon=True
        )
        self._thread.start()

    @staticmethod
    def _first_messages(pipe: MessagePipe) -> list[bytes]:
        try:
            return pipe.receive()
        except (EOFError, OSError) as failure:
            raise LedgerStoppedError("the process that records ended while it opened the ledger") from failure

    @staticmethod
    def _first(received: Sequence[bytes]) -> AnswersMessage:
        message = unpacked(received[0])
        if isinstance(message, CellcustodyError):
            raise message
        if not isinstance(message, AnswersMessage):
            raise LedgerStoppedError("the process that records said something else", message=type(message).__name__)
        return message

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets the other process record what it has taken, and waits for it to end."""
        with self._sending:
            self._closing = True
            with contextlib.suppress(OSError):  # It may have ended already.
                self._pipe.send(packed(_NOTHING_MORE), SEND_SECONDS_MAX)
        self._thread.join(CLOSE_SECONDS)
        self._pipe.close()
        super().close()

    @property
    def stopped(self) -> str | None:
        """Why the ledger has stopped recording, or None while it records."""
        return None if self._stopped is None else str(self._stopped)

    @property
    def published(self) -> Published | None:
        """The last signed head, or None before the founding."""
        return self._published

    def wait_for_checkpoint_beyond(self, size: int, timeout_seconds: float) -> None:
        """Returns when a checkpoint beyond `size` is out, or the time is up."""
        with self._has_published:
            self._has_published.wait_for(
                lambda: self._closing or self._stopped is not None or _size_of(self._published) > size,
                timeout_seconds,
            )

    def halt(self, why: CellcustodyError) -> None:
        """Takes nothing more to the process that records; what it has taken is recorded, and reads go on."""
        self._stopped = self._stopped or why
        with self._has_published:
            self._has_published.notify_all()

    def _call(self, waiting: Waiting, *, with_receipts: bool) -> Call:
        return _RemoteCall(self, next(self._numbers), waiting, with_receipts)

    def send(self, message: SubmitMessage, waiting: Waiting) -> None:
        """Sends statements of a call on; their results go to `waiting`.

        Raises:
            LedgerStoppedError: the ledger has stopped recording or is closing.
        """
        if self._stopped is not None:
            raise self._stopped_error()
        self._calls[message.call] = waiting
        travelling = packed(message)
        if not self._sending.acquire(timeout=SEND_SECONDS_MAX):
            raise self._busy_error(message)
        try:
            if self._closing:
                raise LedgerStoppedError("the ledger is closing")
            self._pipe.send(travelling, SEND_SECONDS_MAX)
        except PipeFullError as failure:
            raise self._busy_error(message) from failure
        except OSError as failure:
            self._calls.pop(message.call, None)
            raise LedgerStoppedError("the process that records has ended") from failure
        finally:
            self._sending.release()

    def _busy_error(self, message: SubmitMessage) -> LedgerBusyError:
        self._calls.pop(message.call, None)
        return LedgerBusyError("the process that records takes nothing for now", waited_seconds=SEND_SECONDS_MAX)

    def _stopped_error(self) -> LedgerStoppedError:
        why = self._stopped
        if why is None:
            return LedgerStoppedError("the ledger is closing")
        return LedgerStoppedError("the ledger has stopped recording", cause=why.reason, why=str(why))

    def _run(self, received: Sequence[bytes]) -> None:
        """Tells callers what the other process says, beginning with what came right after its first message."""
        try:
            while True:
                for travelled in received:
                    message = unpacked(travelled)
                    if isinstance(message, AnswersMessage):
                        self._tell(message)
                received = self._pipe.receive()
        except (EOFError, OSError):
            pass
        except Exception as failure:
            # The registry could not be followed: who may sign is not known here any more.
            self._stopped = failure if isinstance(failure, CellcustodyError) else StoreError(repr(failure))
        if not self._closing:
            self._stopped = self._stopped or LedgerStoppedError("the process that records has ended")
        ended = OutcomeUnknownError("the process that records has ended: send the same statement again")
        for waiting in list(self._calls.values()):
            for index in range(len(waiting.results)):
                waiting.give(index, ended)
        with self._has_published:
            self._has_published.notify_all()

    def _tell(self, message: AnswersMessage) -> None:
        if message.has_registry_moved:
            self._replica.catch_up(_size_of(message.published))
        if message.stopped is not None:
            self._stopped = message.stopped
        if _size_of(message.published) > _size_of(self._published):
            with self._has_published:
                self._published = message.published
                self._has_published.notify_all()
        for call, index, result in message.results:
            waiting = self._calls.get(call)
            if waiting is not None:
                waiting.give(index, result)
                if waiting.count == 0:
                    del self._calls[call]


class _RemoteCall:
    """The way of one call's statements to the process that records."""

    def __init__(self, ledger: RemoteLedger, number: int, waiting: Waiting, with_receipts: bool) -> None:
        self._ledger = ledger
        self._number = number
        self._waiting = waiting
        self._with_receipts = with_receipts
        self._refused: list[bytes] = []

    def refuse(self, digest: bytes) -> None:
        """Notes one that was refused while it was prepared."""
        self._refused.append(digest)

    def put(self, items: Sequence[tuple[int, Submission, Prepared | None]], *, is_last: bool) -> None:
        """Sends statements to the process that records."""
        statements: list[StatementMessage] = [
            (index, one.envelope, tuple((o.index, o.salt, o.record) for o in one.openings), one.submitting_site)
            for index, one, _ in items
        ]
        refused, self._refused = self._refused, []
        self._ledger.send(SubmitMessage(self._number, self._with_receipts, statements, refused, is_last), self._waiting)


def _size_of(published: Published | None) -> int:
    return 0 if published is None else published.head.size
