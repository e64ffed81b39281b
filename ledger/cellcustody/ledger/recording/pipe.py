"""Carry messages between two processes over one socket, so that many small ones cost few system calls.

The rules:

* A message is its length (4 bytes, big-endian) and that many bytes. What they mean is the two ends' own affair.
* Whoever receives takes all that has come in one call: under load that is many messages at a time.
* Whoever sends waits for room no longer than the time given, as long as nothing of the message has gone; a message
  that was begun is finished, however long that takes, for half of one would end the connection.

One thread at a time sends, and one receives; the two need not be the same.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from multiprocessing.connection import Connection
from typing import Final

__all__ = ["MessagePipe", "PipeFullError"]

RECEIVED_AT_ONCE_BYTES: Final = 256 * 1024  # As much as a socket holds by default.
_LENGTH: Final = struct.Struct(">I")


class PipeFullError(OSError):
    """Raised when the other end has not made room in time; nothing was sent."""


class MessagePipe:
    """One end of the way between two processes."""

    def __init__(self, connection: Connection) -> None:
        """Takes over one end of a `multiprocessing.Pipe()`, which is closed with this."""
        self._connection = connection  # Kept open: whoever made it closes it too.
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        self._arrived = select.poll()
        self._arrived.register(self._socket, select.POLLIN)
        self._received = bytearray()

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()
        self._connection.close()

    def send(self, message: bytes, timeout_seconds: float | None = None) -> None:
        """Sends one message.

        Raises:
            PipeFullError: there was no room for it in time; nothing was sent.
            OSError: the other end is closed, or this one.
        """
        left = memoryview(_LENGTH.pack(len(message)) + message)
        has_begun = False
        while left:
            try:
                sent = self._socket.send(left, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                self._wait_for_room(None if has_begun else timeout_seconds)
                continue
            has_begun = True
            left = left[sent:]

    def _wait_for_room(self, timeout_seconds: float | None) -> None:
        room = select.poll()
        room.register(self._socket, select.POLLOUT)
        if not room.poll(None if timeout_seconds is None else timeout_seconds * 1000):
            raise PipeFullError("the other process takes nothing")

    def receive(self, timeout_seconds: float | None = None) -> list[bytes]:
        """Returns the messages that have come, in order; none if none has come whole in time.

        Raises:
            EOFError: the other end is closed and everything was received.
            OSError: this end is closed.
        """
        while True:
            if timeout_seconds is not None and not self._arrived.poll(timeout_seconds * 1000):
                return []
            read = self._socket.recv(RECEIVED_AT_ONCE_BYTES)
            if not read:
                raise EOFError
            self._received += read
            messages = self._whole_messages()
            if messages:
                return messages

    def _whole_messages(self) -> list[bytes]:
        """Takes the whole messages out of what was received."""
        received, messages = self._received, []
        at, end = 0, len(received)
        while end - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(received, at)
            after = at + _LENGTH.size + length
            if after > end:
                break
            messages.append(bytes(received[at + _LENGTH.size : after]))
            at = after
        del received[:at]
        return messages
