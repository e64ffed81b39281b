"""Keep the newest checkpoint that a quorum of witnesses cosigned, and let callers wait for one.

The rules:

* A checkpoint takes the place of the kept one if it is of a larger tree, or of the same with more signatures.
* It is durable before anybody gets it; without a file, as in a ledger without witnesses, nothing is ever kept.
* Whoever shows checkpoints shows the newest cosigned one, until newer ones have lacked a quorum for too long; and never
  one of a smaller tree than it has shown before.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cellcustody.ledger.recording.publisher import Published
from cellcustody.ledger.transparency import parse_note

__all__ = ["Cosigned", "write_durably"]


class Cosigned:
    """The newest cosigned checkpoint of one ledger; safe to use from many threads."""

    def __init__(self, path: Path | None = None, newest: Published | None = None) -> None:
        """`newest` is what was kept at `path` before, verified by the caller."""
        self._path = path
        self._newest = newest
        self._shown_size = 0
        self._changed = threading.Condition()
        self._awaited: list[int] = []
        self._closing = False
        self.is_overdue = False
        """Whether newer checkpoints have lacked a quorum for so long that the kept one is shown no more."""

        self.wake: Callable[[], None] = lambda: None
        """Called when somebody begins to wait, so that nobody waits for the next interval."""

    @property
    def is_gathering(self) -> bool:
        """Whether anybody is asked for cosignatures at all."""
        return self._path is not None

    @property
    def newest(self) -> Published | None:
        """The newest cosigned checkpoint."""
        return self._newest

    @property
    def size(self) -> int:
        """Its tree size; 0 before the first."""
        newest = self._newest
        return 0 if newest is None else newest.head.size

    @property
    def awaited_size(self) -> int:
        """The largest tree size that somebody waits for; 0 if nobody waits."""
        with self._changed:
            return max(self._awaited, default=0)

    def to_show(self, last: Published) -> Published:
        """Returns the checkpoint to show when `last` is the last that the log signed."""
        newest = self._newest
        if newest is None or (self.is_overdue and newest.head.size < last.head.size):
            newest = last
        with self._changed:
            if newest.head.size < self._shown_size:
                newest = last
            self._shown_size = max(self._shown_size, newest.head.size)
        return newest

    def offer(self, published: Published) -> None:
        """Keeps a checkpoint that a quorum cosigned, durably, and tells whoever waits.

        Raises:
            OSError: it could not be written, and was not kept.
        """
        with self._changed:
            newest = self._newest
            if newest is not None and _worth(published) <= _worth(newest):
                return
            if self._path is not None:
                write_durably(self._path, published.checkpoint)
            self._newest = published
            self._changed.notify_all()

    def wait(self, size: int, timeout_seconds: float) -> Published | None:
        """Returns a cosigned checkpoint of at least `size` leaves, or None if the time is up."""
        with self._waiting(size):
            self.wake()
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self.size >= size, timeout_seconds)
                return self._newest if self.size >= size else None

    def close(self) -> None:
        """Lets whoever waits go."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    @contextmanager
    def _waiting(self, size: int) -> Iterator[None]:
        with self._changed:
            self._awaited.append(size)
        try:
            yield
        finally:
            with self._changed:
                self._awaited.remove(size)


def write_durably(path: Path, content: bytes) -> None:
    """Puts a file in the place of another, whole and on the disk, or leaves the other."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(fresh, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _worth(published: Published) -> tuple[int, int]:
    return published.head.size, len(parse_note(published.checkpoint).signatures)
