"""Messages between two processes: whole, in order, and never half of one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from multiprocessing import Pipe

import pytest

from cellcustody.ledger.recording.pipe import MessagePipe, PipeFullError

LARGE_BYTES = 3 * 1024 * 1024  # More than a socket holds.


@pytest.fixture
def ends() -> Iterator[tuple[MessagePipe, MessagePipe]]:
    here, there = map(MessagePipe, Pipe())
    yield here, there
    here.close()
    there.close()


def test_all_that_has_come_is_received_at_once_and_in_order(ends: tuple[MessagePipe, MessagePipe]) -> None:
    sent = [b"first", b"", b"third" * 100]
    for message in sent:
        ends[0].send(message)

    assert ends[1].receive() == sent
    assert ends[1].receive(0.0) == []


def test_a_message_larger_than_the_socket_arrives_whole(ends: tuple[MessagePipe, MessagePipe]) -> None:
    large = bytes(range(256)) * (LARGE_BYTES // 256)
    sending = threading.Thread(target=ends[0].send, args=(large,))
    sending.start()

    assert ends[1].receive() == [large]
    sending.join()


def test_what_finds_no_room_in_time_is_not_sent(ends: tuple[MessagePipe, MessagePipe]) -> None:
    """The other end takes nothing; once it does, it gets what was sent before, and no part of what was not."""
    message = b"m" * 1000
    sent = 0
    with pytest.raises(PipeFullError):
        while True:
            ends[0].send(message, 0.0)
            sent += 1

    received: list[bytes] = []
    while more := ends[1].receive(0.0):
        received += more
    assert received == [message] * sent


def test_a_closed_end_is_told_after_all_was_received(ends: tuple[MessagePipe, MessagePipe]) -> None:
    ends[0].send(b"last")
    ends[0].close()

    assert ends[1].receive() == [b"last"]
    with pytest.raises(EOFError):
        ends[1].receive()
    with pytest.raises(OSError):
        ends[1].send(b"too late")
