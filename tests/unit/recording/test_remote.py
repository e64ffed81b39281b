"""A ledger that records in another process, held against an other end that errs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import Pipe
from typing import cast

import pytest

from cellcustody.ledger.recording.answers import OutcomeUnknownError, Recorded
from cellcustody.ledger.recording.face import Waiting
from cellcustody.ledger.recording.ledger_statements import LedgerVoice
from cellcustody.ledger.recording.pipe import MessagePipe
from cellcustody.ledger.recording.publisher import Published
from cellcustody.ledger.recording.recorder import AnswersMessage, SubmitMessage, packed
from cellcustody.ledger.recording.remote import RemoteLedger
from cellcustody.ledger.recording.writer import LedgerStoppedError
from cellcustody.ledger.store import Head, LedgerStore, StoreUnavailableError, StreamEntry, Vault

SECONDS_MAX = 20.0


@dataclass
class BrokenStore:
    """A store with an empty registry, that no longer answers once it is broken."""

    is_broken: bool = False
    asked: list[bytes] = field(default_factory=list)

    def stream_entries(self, stream: bytes, after_sequence: int, limit: int) -> list[StreamEntry]:
        self.asked.append(stream)
        if self.is_broken:
            raise StoreUnavailableError("the database did not answer a read")
        return []


def published(size: int) -> Published:
    return Published(Head(size, bytes(32), 1), b"checkpoint of %d" % size)


def told(size: int, *results: tuple[int, int, Recorded], has_registry_moved: bool = False) -> bytes:
    return packed(AnswersMessage(list(results), published(size), has_registry_moved, None))


def until(condition: Callable[[], bool]) -> None:
    waited = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < waited, "it did not come about"
        time.sleep(0.005)


@pytest.fixture
def store() -> BrokenStore:
    return BrokenStore()


@pytest.fixture
def other_end() -> Iterator[tuple[MessagePipe, MessagePipe]]:
    here, there = map(MessagePipe, Pipe())
    yield here, there
    there.close()


@pytest.fixture
def ledger(store: BrokenStore, other_end: tuple[MessagePipe, MessagePipe]) -> Iterator[RemoteLedger]:
    here, there = other_end
    there.send(told(3))
    # Nothing of vault and voice is touched: what is asked of them stands in the registry's streams, which are empty.
    remote = RemoteLedger(
        cast(LedgerStore, store), cast(Vault, None), cast(LedgerVoice, None), here, now=lambda: 0, preparing_processes=0
    )
    yield remote
    there.close()
    remote.close()


def recorded(position: int) -> Recorded:
    return Recorded(position, bytes(32), None, (), None, False, ())


def test_the_last_checkpoint_never_goes_back(ledger: RemoteLedger, other_end: tuple[MessagePipe, MessagePipe]) -> None:
    """Two threads of the other process tell of checkpoints; the later one may arrive first."""
    waiting = Waiting(1, [None])
    ledger.send(SubmitMessage(0, False, [], [], True), waiting)
    other_end[1].send(told(7))
    other_end[1].send(told(5, (0, 0, recorded(5))))

    assert waiting.event.wait(SECONDS_MAX)
    assert ledger.published == published(7)


def test_a_registry_that_cannot_be_followed_stops_the_ledger(
    ledger: RemoteLedger, store: BrokenStore, other_end: tuple[MessagePipe, MessagePipe]
) -> None:
    """Who waits is told that the outcome is unknown; nothing more is taken, and the reason is told."""
    waiting = Waiting(1, [None])
    ledger.send(SubmitMessage(0, False, [], [], True), waiting)
    store.is_broken = True
    other_end[1].send(told(4, (0, 0, recorded(4)), has_registry_moved=True))

    assert waiting.event.wait(SECONDS_MAX)
    assert isinstance(waiting.results[0], OutcomeUnknownError)
    assert "did not answer" in (ledger.stopped or "")
    with pytest.raises(LedgerStoppedError, match="did not answer"):
        ledger.send(SubmitMessage(1, False, [], [], True), Waiting(1, [None]))


def test_what_was_sent_to_a_process_that_ended_has_an_unknown_outcome(
    ledger: RemoteLedger, other_end: tuple[MessagePipe, MessagePipe]
) -> None:
    waiting = Waiting(1, [None])
    ledger.send(SubmitMessage(0, False, [], [], True), waiting)
    other_end[1].close()

    assert waiting.event.wait(SECONDS_MAX)
    assert isinstance(waiting.results[0], OutcomeUnknownError)
    until(lambda: ledger.stopped is not None)
